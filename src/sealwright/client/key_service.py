"""KeyServiceClient: the same calls as the local operations, and the same errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import urllib3

from sealwright.client.access import AccessCalls
from sealwright.client.calling import MAXIMUM_ANSWER_BYTES, TIMEOUT_S, error_of, path
from sealwright.client.clients import ClientsClient
from sealwright.client.evidence import evidence_members
from sealwright.client.fleet import FleetClient
from sealwright.client.secrets import SecretsClient
from sealwright.client.tokens import TokensClient
from sealwright.client.trail import TrailClient
from sealwright.errors import (
    Reason,
    UnavailableError,
)
from sealwright.jose import base64url
from sealwright.trust.evidence import NO_EVIDENCE, Evidence


class KeyServiceClient:
    """Calls one key service. ``credential`` gives the bearer token and is asked again for each call."""

    def __init__(self, url: str, credential: Callable[[], str] | None = None, **tls: Any) -> None:
        """``tls`` are urllib3's own: ``ca_certs``, ``cert_file``, ``key_file``, ``assert_fingerprint``."""
        self._url = url.rstrip("/")
        self._credential = credential
        self._pool = urllib3.PoolManager(retries=False, timeout=TIMEOUT_S, **tls)

    @property
    def access(self) -> AccessCalls:
        """Credentials and approvals."""
        return AccessCalls(self._call)

    @property
    def secrets(self) -> SecretsClient:
        """HMAC secrets of partners."""
        return SecretsClient(self._call)

    @property
    def clients(self) -> ClientsClient:
        """OAuth clients."""
        return ClientsClient(self._call)

    @property
    def fleet(self) -> FleetClient:
        """The verifiers that report."""
        return FleetClient(self._call)

    @property
    def tokens(self) -> TokensClient:
        """Single tokens that were issued before."""
        return TokensClient(self._call)

    def keys(self, issuer: str | None = None) -> dict[str, Any]:
        return self._call("GET", "/v1/keys" + (f"?issuer={quote(issuer, safe='')}" if issuer else ""))

    def canary(self, key_id: str) -> dict[str, Any]:
        return self._call("GET", path("keys", key_id, "canary"))

    def create(self, issuer: str, *, algorithm: str | None, reason: str) -> dict[str, Any]:
        return self._call("POST", path("issuers", issuer, "keys"), {"algorithm": algorithm, "reason": reason})

    def import_key(self, issuer: str, *, state: str, reason: str, **given: Any) -> dict[str, Any]:
        return self._call("POST", path("issuers", issuer, "import"), {"state": str(state), "reason": reason, **given})

    def rotate_kek(self, *, reason: str) -> dict[str, Any]:
        return self._call("POST", "/v1/kek/rotate", {"reason": reason})

    def move(
        self, verb: str, key_id: str, *, reason: str, force: bool = False, approval: str | None = None
    ) -> dict[str, Any]:
        why = {"reason": reason, "approval": approval}
        return self._call(
            "POST", path("keys", key_id, verb), why if verb in ("revoke", "hold") else {**why, "force": force}
        )

    def rotate(self, issuer: str, *, reason: str, force: bool = False, **named: str | None) -> dict[str, Any]:
        """``named``: the algorithm during a roll-out, and an approval."""
        body = {"reason": reason, "force": force, **named}
        return self._call("POST", path("issuers", issuer, "rotate"), body)

    def emergency_rotate(
        self, issuer: str, *, key_id: str | None, reason: str, break_glass: bool = False, **named: str | None
    ) -> dict[str, Any]:
        """``named``: the algorithm during a roll-out, and an approval."""
        body = {"key_id": key_id, "reason": reason, "break_glass": break_glass, **named}
        return self._call("POST", path("issuers", issuer, "emergency-rotate"), body)

    def rollout(self, issuer: str, step: str, **asked: Any) -> dict[str, Any]:
        return self._call("POST", path("issuers", issuer, "rollout", step), asked)

    def issuers(self) -> dict[str, Any]:
        return self._call("GET", "/v1/issuers")

    def plan_policies(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        return self._call("POST", "/v1/config/plan", wanted)

    def apply_policies(
        self, wanted: Mapping[str, Any], *, reason: str, approvals: Sequence[str] = ()
    ) -> dict[str, Any]:
        return self._call("POST", "/v1/config/apply", {**wanted, "reason": reason, "approvals": list(approvals)})

    def plan(self, issuer: str | None = None, *, for_s: float) -> dict[str, Any]:
        named = f"&issuer={quote(issuer, safe='')}" if issuer else ""
        return self._call("GET", f"/v1/plan?for_s={for_s}{named}")

    def backends(self) -> dict[str, Any]:
        return self._call("GET", "/v1/backends")

    def orphans(self) -> dict[str, Any]:
        return self._call("GET", "/v1/orphans")

    def issue_token(
        self,
        issuer: str,
        *,
        claims: Mapping[str, Any],
        audience: str | Sequence[str],
        lifetime_s: float | None = None,
        reuse: bool = False,
        status: bool = False,
    ) -> dict[str, Any]:
        """``status`` gives the token a place in a status list."""
        body = {"claims": dict(claims), "audience": audience, "lifetime_s": lifetime_s, "reuse": reuse}
        body |= {"status": True} if status else {}
        return self._call("POST", path("issuers", issuer, "tokens"), body)

    def issue_tokens(self, issuer: str, tokens: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Up to 500 items {"claims", "audience", "lifetime_s"}: all or none, in their order."""
        return self._call("POST", path("issuers", issuer, "tokens", "batch"), {"tokens": [dict(one) for one in tokens]})

    def sign_payload(self, issuer: str, *, payload: bytes, typ: str) -> dict[str, Any]:
        body = {"payload": base64url.encode_text(payload), "typ": typ}
        return self._call("POST", path("issuers", issuer, "sign"), body)

    def sign_payloads(self, issuer: str, payloads: Sequence[tuple[bytes, str]]) -> dict[str, Any]:
        """Up to 500 pairs of a payload and its type: all or none, in their order."""
        items = [{"payload": base64url.encode_text(payload), "typ": typ} for payload, typ in payloads]
        return self._call("POST", path("issuers", issuer, "sign", "batch"), {"payloads": items})

    @property
    def trail(self) -> TrailClient:
        """What can be asked of the audit."""
        return TrailClient(self._call)

    def verify(
        self,
        token: str,
        *,
        audience: str,
        scopes: Sequence[str] = (),
        evidence: Evidence = NO_EVIDENCE,
        explain: bool = False,
    ) -> dict[str, Any]:
        body = {"token": token, "audience": audience, "scopes": list(scopes), "explain": explain}
        return self._call("POST", "/v1/verify", {**body, **evidence_members(evidence)}, authorized=False)

    def jwks(self, issuer: str) -> dict[str, Any]:
        return self._call("GET", f"/issuers/{quote(issuer, safe='')}/.well-known/jwks.json", authorized=False)

    def discovery(self, issuer: str) -> dict[str, Any]:
        """The metadata of an issuer, under the name that its tokens give it."""
        page = f"/issuers/{quote(issuer, safe='')}/.well-known/openid-configuration"
        return self._call("GET", page, authorized=False)

    def trust_root(self) -> dict[str, Any]:
        """The JWK Set that verifiers pin."""
        return self._call("GET", "/.well-known/trust-root.jwks.json", authorized=False)

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, authorized: bool = True
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if authorized and self._credential is not None:
            headers["Authorization"] = f"Bearer {self._credential()}"
        content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() if body is not None else None
        if content is not None:
            headers["Content-Type"] = "application/json"
        status, answer = self._exchange(method, path, content, headers)
        if status >= 400:
            raise error_of(status, answer)
        return answer

    def _exchange(
        self, method: str, path: str, content: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        try:
            response = self._pool.request(
                method, self._url + path, body=content, headers=headers, redirect=False, preload_content=False
            )
            text = response.read(MAXIMUM_ANSWER_BYTES)
            response.release_conn()
            answer = json.loads(text)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise UnavailableError(
                Reason.SERVICE_UNREACHABLE, f"the service at {self._url} does not answer: is it running?"
            ) from error
        return response.status, answer if isinstance(answer, dict) else {}
