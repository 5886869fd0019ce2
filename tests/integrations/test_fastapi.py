"""What is special about FastAPI: dependencies of dependencies, OpenAPI, handlers of the user's own, handshakes."""

from __future__ import annotations

from typing import Annotated, Any

import binding_parts as parts
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Security, WebSocket
from fastapi.responses import JSONResponse
from http_callers import call_asgi

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.integrations.asgi import Guarded
from sealwright.integrations.fastapi import Bearer
from sealwright.integrations.guard import Guard
from sealwright.trust.binding import Binding
from sealwright.trust.dpop import DpopProofs
from sealwright.trust.sources.static import StaticKeys

CLOCK = ManualClock()
PUBLIC_URL = "https://orders.example"
BINDING = Binding(dpop=DpopProofs(), claims=parts.OnceEach(CLOCK))
POLICY = sw.VerificationPolicy(issuer=parts.ISSUER, audience=parts.AUDIENCE)
TRUSTED = sw.TrustedIssuer(POLICY, StaticKeys(parts.ISSUER_KEY.public), BINDING)
GUARD = Guard(sw.Verifier(issuers=[TRUSTED], clock=CLOCK), realm="r", public_url=PUBLIC_URL)
bearer = Bearer(GUARD, description="An access token")


def caller(found: Annotated[sw.Verified, Depends(bearer)]) -> str:
    return str(found.subject)


app = FastAPI(dependencies=[Depends(bearer)])
router = APIRouter(dependencies=[Security(bearer, scopes=["orders:read"])])


@router.post("/orders")
async def write(
    name: Annotated[str, Depends(caller)],
    found: Annotated[sw.Verified, Security(bearer, scopes=["orders:write"])],
) -> dict[str, Any]:
    return {"name": name, "scopes": sorted(found.scopes)}


@app.websocket("/feed")
async def feed(websocket: WebSocket) -> None:
    await websocket.accept()


@app.get("/wrong", dependencies=[Security(bearer, scopes=["two scopes"])])
def wrong() -> None:
    raise AssertionError("not reached")


app.include_router(router)


def lines(**claims: Any) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {parts.token(CLOCK, **claims)}")]


def test_one_proof_serves_all_dependencies_of_a_route_and_all_their_scopes_are_needed() -> None:
    def post(scope: str) -> Any:
        token = parts.token(CLOCK, cnf={"jkt": parts.JKT}, scope=scope)
        proof = parts.sign_proof(parts.CLIENT_KEY, "POST", f"{PUBLIC_URL}/orders", token=token, clock=CLOCK)
        return call_asgi(app, "POST", "/orders", [("Authorization", f"DPoP {token}"), ("DPoP", proof)])

    assert post("orders:read orders:write").body == b'{"name":"alice","scopes":["orders:read","orders:write"]}'
    for scope in ("", "orders:read", "orders:write"):
        assert post(scope).status == 403
    assert 'scope="orders:write"' in post("orders:read").all("WWW-Authenticate")[1]


def test_one_proof_serves_the_middleware_and_the_routes_behind_it() -> None:
    token = parts.token(CLOCK, cnf={"jkt": parts.JKT}, scope="orders:read orders:write")
    proof = parts.sign_proof(parts.CLIENT_KEY, "POST", f"{PUBLIC_URL}/orders", token=token, clock=CLOCK)
    sent = [("Authorization", f"DPoP {token}"), ("DPoP", proof)]
    assert call_asgi(Guarded(app, GUARD), "POST", "/orders", sent).status == 200


def test_openapi_shows_the_scheme_and_the_scopes() -> None:
    described = app.openapi()
    scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token"}
    assert described["components"]["securitySchemes"] == {"bearer": scheme}
    assert [sorted(one["bearer"]) for one in described["paths"]["/orders"]["post"]["security"]] == [
        ["orders:read", "orders:write"]
    ]


def test_a_handshake_without_a_token_is_closed_before_it_is_accepted() -> None:
    done = call_asgi(app, "GET", "/feed", type="websocket")
    assert [(one["type"], one["code"]) for one in done.messages] == [("websocket.close", 1008)]
    done = call_asgi(app, "GET", "/feed", lines(), type="websocket")
    assert done.messages[0]["type"] == "websocket.accept"


def test_a_scope_that_no_token_can_have_lets_nobody_in() -> None:
    with pytest.raises(sw.ConfigurationError):
        call_asgi(app, "GET", "/wrong", lines(scope="two scopes"))


def test_handlers_of_the_users_own_can_pass_every_challenge_on() -> None:
    own = FastAPI(dependencies=[Depends(bearer)])

    @own.exception_handler(HTTPException)
    def problem(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"title": error.detail}, error.status_code, error.headers)

    own.get("/")(lambda: None)
    answer = call_asgi(own, "GET", "/")
    assert answer.body == b'{"title":"Unauthorized"}'
    assert [one.partition(" ")[0] for one in answer.all("WWW-Authenticate")] == ["Bearer", "DPoP"]
