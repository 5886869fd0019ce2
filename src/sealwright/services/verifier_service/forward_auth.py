"""Forward auth: what Envoy, nginx, Caddy and Traefik ask before they pass a request on. Raw ASGI, the hot path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

from sealwright.config.verifier_tables import EdgeTable
from sealwright.errors import Reason, RejectedError
from sealwright.services.verifier_service.identity_headers import IdentityHeaders
from sealwright.services.verifier_service.refusals import Refusals
from sealwright.trust import bearer
from sealwright.trust.decision import Decision
from sealwright.trust.evidence import Evidence
from sealwright.wiring.verifying import VerifyingSide

Headers = list[tuple[bytes, bytes]]
ENVOY_PREFIX = "/ext-authz"
_EMPTY = {"type": "http.response.body", "body": b""}


class _Saying(NamedTuple):
    """In which headers a kind of proxy says what was asked of it."""

    method: bytes
    target: bytes


# Caddy and Traefik; nginx, as its configuration is written. Envoy repeats the request itself below ENVOY_PREFIX.
_SAYINGS: Mapping[str, _Saying] = {
    "/forward-auth": _Saying(b"x-forwarded-method", b"x-forwarded-uri"),
    "/auth-request": _Saying(b"x-original-method", b"x-original-uri"),
}


class ForwardAuth:
    """Answers 200 with identity headers, or a refusal. Never raises for what a client sent."""

    def __init__(self, side: VerifyingSide, edge: EdgeTable) -> None:
        self._side = side
        self._identities = IdentityHeaders(side, edge.header_prefix)
        self._refusals = Refusals(edge.realm)

    @staticmethod
    def answers(path: str) -> bool:
        return path in _SAYINGS or path == ENVOY_PREFIX or path.startswith(f"{ENVOY_PREFIX}/")

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        decision = await self._decide(scope)
        headers: Iterable[tuple[bytes, bytes]]
        if decision.verified is not None:
            status, headers = 200, self._identities.of(decision, decision.verified)
        else:
            status, headers = self._refusals.of(decision)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send(_EMPTY)

    async def _decide(self, scope: Scope) -> Decision:
        try:
            headers = _single(scope["headers"])
            method, target = _asked(scope, headers)
            scheme, token = bearer.presented_token(headers.get(b"authorization"))
        except RejectedError as error:
            return self._side.verifier.refuse(error)
        return await self._side.verifier.adecide(token, evidence=Evidence(method=method, path=target, scheme=scheme))


def _asked(scope: Scope, headers: Mapping[bytes, str]) -> tuple[str, str]:
    """Method and target of the request that the proxy holds."""
    saying = _SAYINGS.get(scope["path"])
    if saying is None:
        return scope["method"], scope["raw_path"].decode("latin-1")[len(ENVOY_PREFIX) :] or "/"
    method, target = headers.get(saying.method), headers.get(saying.target)
    if not method or not target:
        raise RejectedError(Reason.REQUEST_MALFORMED, "the proxy does not say which request it holds")
    return method, target


def _single(headers: Headers) -> dict[bytes, str]:
    """By lower-case name. Raises RejectedError for one of those that decide and is there twice."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in _DECIDING:
            if name in found:
                raise RejectedError(Reason.REQUEST_MALFORMED, "a header that decides is there twice")
            found[name] = value.decode("latin-1")
    return found


_DECIDING = frozenset({b"authorization", *(name for saying in _SAYINGS.values() for name in saying)})
