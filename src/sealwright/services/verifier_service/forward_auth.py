"""Forward auth: what Envoy, nginx, Caddy and Traefik ask before they pass a request on. Raw ASGI, the hot path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

from sealwright.config.verifier_rules import proxies_of
from sealwright.config.verifier_tables import EdgeTable
from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.services.verifier_service.identity_headers import IdentityHeaders
from sealwright.services.verifier_service.proxied_request import (
    AUTH_REQUEST,
    EXT_AUTHZ,
    FORWARD_AUTH,
    ProxiedRequests,
    Saying,
)
from sealwright.services.verifier_service.refusals import Refusals
from sealwright.trust.decision import Decision
from sealwright.wiring.verifying import VerifyingSide

ENVOY_PREFIX = EXT_AUTHZ.prefix.decode()
_EMPTY = {"type": "http.response.body", "body": b""}
_NO_BODY = (b"content-length", b"0")


class _Endpoint(NamedTuple):
    requests: ProxiedRequests
    refusals: Refusals


class ForwardAuth:
    """Answers 200 with identity headers, or a refusal. Never raises, whatever a client sent: it refuses with 503."""

    def __init__(self, side: VerifyingSide, edge: EdgeTable) -> None:
        self._side = side
        self._identities = IdentityHeaders(side, edge.header_prefix)
        by_proof = any("dpop" in one.table.binding for one in side.issuers.values())
        proxies = proxies_of(edge)

        def endpoint(saying: Saying) -> _Endpoint:
            requests = ProxiedRequests(saying, public_url=edge.public_url, proxies=proxies, dpop=by_proof)
            return _Endpoint(requests, Refusals(edge.realm, dpop=by_proof, for_nginx=saying is AUTH_REQUEST))

        self._envoy = endpoint(EXT_AUTHZ)
        self._others = {"/forward-auth": endpoint(FORWARD_AUTH), "/auth-request": endpoint(AUTH_REQUEST)}

    def answers(self, path: str) -> bool:
        return path in self._others or path.startswith(ENVOY_PREFIX)

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        endpoint = self._others.get(scope["path"], self._envoy)
        status, headers = await self._answer(scope, endpoint)
        await send({"type": "http.response.start", "status": status, "headers": [*headers, _NO_BODY]})
        await send(_EMPTY)

    async def _answer(self, scope: Scope, endpoint: _Endpoint) -> tuple[int, Iterable[tuple[bytes, bytes]]]:
        try:
            decision = await self._decide(scope, endpoint.requests)
            if decision.verified is not None:
                return 200, self._identities.of(decision, decision.verified)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the door stays shut
            fault = UnavailableError(Reason.SERVICE_FAULT, "the request could not be checked", detail=repr(type(error)))
            decision = self._side.verifier.refuse(fault)
        return endpoint.refusals.of(decision)

    async def _decide(self, scope: Scope, requests: ProxiedRequests) -> Decision:
        try:
            token, evidence = requests.read(scope)
        except RejectedError as error:
            return self._side.verifier.refuse(error)
        return await self._side.verifier.adecide(token, evidence=evidence)
