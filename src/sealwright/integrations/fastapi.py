"""Bearer: a FastAPI dependency that gives a route the verified token, with the scopes that the route names."""

# FastAPI cannot resolve annotations of a callable object that are text, so they are none here.
from fastapi import HTTPException, WebSocketException
from fastapi.openapi.models import HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from sealwright.integrations.asgi import POLICY_VIOLATION, TRY_AGAIN_LATER, asked_of
from sealwright.integrations.guard import Guard, scopes_of
from sealwright.integrations.refusal import Refusal
from sealwright.trust.decision import Verified


class Bearer(SecurityBase):
    """``Annotated[Verified, Security(Bearer(guard), scopes=["orders:read"])]``, on routes, routers or the application.

    What is public in the guard is not public here: a route that depends on it needs a token. Raises HTTPException, or
    WebSocketException before a handshake is accepted.
    """

    def __init__(self, guard: Guard, *, scheme_name: str = "bearer", description: str | None = None) -> None:
        self.model = HTTPBearer(bearerFormat="JWT", description=description)
        self.scheme_name = scheme_name
        self._guard = guard

    async def __call__(self, connection: HTTPConnection, needed: SecurityScopes) -> Verified:
        found = await self._guard.aadmit(asked_of(connection.scope), scopes_of(needed.scopes))
        if not isinstance(found, Refusal):
            return found
        if connection.scope["type"] == "websocket":
            raise WebSocketException(TRY_AGAIN_LATER if found.status == 503 else POLICY_VIOLATION)
        raise HTTPException(found.status, found.phrase, headers=_Lines(found))


class _Lines(Headers):
    """Headers whose items have each line, also where two have the same name; handlers pass them on as they are."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(
            raw=[(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in refusal.headers]
        )
