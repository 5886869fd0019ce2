"""The key service over HTTP: the same calls as the local operations, and the same errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from sealwright.clock import Clock
from sealwright.errors import (
    BackendError,
    Reason,
    RefusedError,
    RejectedError,
    SealwrightError,
    UnavailableError,
)
from sealwright.jose import base64url, strict_json

TIMEOUT_S = 30.0
MAXIMUM_ANSWER_BYTES = 8 * 1024 * 1024
_REASONS = {str(reason): reason for reason in Reason}


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

    def keys(self, issuer: str | None = None) -> dict[str, Any]:
        return self._call("GET", "/v1/keys" + (f"?issuer={quote(issuer, safe='')}" if issuer else ""))

    def create(self, issuer: str, *, algorithm: str | None, reason: str) -> dict[str, Any]:
        return self._call("POST", _path("issuers", issuer, "keys"), {"algorithm": algorithm, "reason": reason})

    def import_key(self, issuer: str, *, state: str, reason: str, **given: Any) -> dict[str, Any]:
        return self._call("POST", _path("issuers", issuer, "import"), {"state": str(state), "reason": reason, **given})

    def rotate_kek(self, *, reason: str) -> dict[str, Any]:
        return self._call("POST", "/v1/kek/rotate", {"reason": reason})

    def move(
        self, verb: str, key_id: str, *, reason: str, force: bool = False, approval: str | None = None
    ) -> dict[str, Any]:
        why = {"reason": reason, "approval": approval}
        return self._call(
            "POST", _path("keys", key_id, verb), why if verb in ("revoke", "hold") else {**why, "force": force}
        )

    def rotate(self, issuer: str, *, reason: str, force: bool = False, **named: str | None) -> dict[str, Any]:
        """``named``: the algorithm during a roll-out, and an approval."""
        body = {"reason": reason, "force": force, **named}
        return self._call("POST", _path("issuers", issuer, "rotate"), body)

    def emergency_rotate(
        self, issuer: str, *, key_id: str | None, reason: str, break_glass: bool = False, **named: str | None
    ) -> dict[str, Any]:
        """``named``: the algorithm during a roll-out, and an approval."""
        body = {"key_id": key_id, "reason": reason, "break_glass": break_glass, **named}
        return self._call("POST", _path("issuers", issuer, "emergency-rotate"), body)

    def rollout(self, issuer: str, step: str, **asked: Any) -> dict[str, Any]:
        return self._call("POST", _path("issuers", issuer, "rollout", step), asked)

    def issuers(self) -> dict[str, Any]:
        return self._call("GET", "/v1/issuers")

    def plan_policies(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        return self._call("POST", "/v1/config/plan", wanted)

    def apply_policies(self, wanted: Mapping[str, Any], *, reason: str) -> dict[str, Any]:
        return self._call("POST", "/v1/config/apply", {**wanted, "reason": reason})

    def plan(self, issuer: str | None = None, *, for_s: float) -> dict[str, Any]:
        named = f"&issuer={quote(issuer, safe='')}" if issuer else ""
        return self._call("GET", f"/v1/plan?for_s={for_s}{named}")

    def orphans(self) -> dict[str, Any]:
        return self._call("GET", "/v1/orphans")

    def issue_token(
        self, issuer: str, *, claims: Mapping[str, Any], audience: str | Sequence[str], lifetime_s: float | None = None
    ) -> dict[str, Any]:
        body = {"claims": dict(claims), "audience": audience, "lifetime_s": lifetime_s}
        return self._call("POST", _path("issuers", issuer, "tokens"), body)

    def sign_payload(self, issuer: str, *, payload: bytes, typ: str) -> dict[str, Any]:
        body = {"payload": base64url.encode_text(payload), "typ": typ}
        return self._call("POST", _path("issuers", issuer, "sign"), body)

    @property
    def trail(self) -> TrailClient:
        """What can be asked of the audit."""
        return TrailClient(self._call)

    def verify(self, token: str, *, audience: str, scopes: Sequence[str] = (), explain: bool = False) -> dict[str, Any]:
        body = {"token": token, "audience": audience, "scopes": list(scopes), "explain": explain}
        return self._call("POST", "/v1/verify", body, authorized=False)

    def jwks(self, issuer: str) -> dict[str, Any]:
        return self._call("GET", f"/issuers/{quote(issuer, safe='')}/.well-known/jwks.json", authorized=False)

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, authorized: bool = True
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if authorized and self._credential is not None:
            headers["Authorization"] = f"Bearer {self._credential()}"
        content = json.dumps(body).encode() if body is not None else None
        if content is not None:
            headers["Content-Type"] = "application/json"
        status, answer = self._exchange(method, path, content, headers)
        if status >= 400:
            raise _error(status, answer)
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


class SecretsClient:
    """The calls below /v1/secrets."""

    def __init__(self, call: Callable[..., dict[str, Any]]) -> None:
        self._call = call

    def create(self, partner: str, **given: Any) -> dict[str, Any]:
        return self._call("POST", _path("secrets", partner), given)

    def rotate(self, partner: str, *, reason: str, force: bool = False) -> dict[str, Any]:
        return self._call("POST", _path("secrets", partner, "rotate"), {"reason": reason, "force": force})

    def reveal(self, key_id: str, *, reason: str) -> dict[str, Any]:
        return self._call("POST", _path("secrets", "keys", key_id, "reveal"), {"reason": reason})

    def sign(self, partner: str, *, payload: bytes, typ: str) -> dict[str, Any]:
        body = {"payload": base64url.encode_text(payload), "typ": typ}
        return self._call("POST", _path("secrets", partner, "sign"), body)

    def verify(self, partner: str, token: str) -> dict[str, Any]:
        return self._call("POST", _path("secrets", partner, "verify"), {"token": token})


class AccessCalls:
    """Credentials and approvals over HTTP: the same calls as the local operations."""

    def __init__(self, call: Callable[..., dict[str, Any]]) -> None:
        self._call = call

    def issue(
        self, subject: str, *, roles: Sequence[str], issuers: Sequence[str] = (), lifetime_s: float | None = None
    ) -> dict[str, Any]:
        body = {"subject": subject, "roles": list(roles), "issuers": list(issuers), "lifetime_s": lifetime_s}
        return self._call("POST", "/v1/credentials", body)

    def renew(self) -> dict[str, Any]:
        """The credential of this client again, with a new life."""
        return self._call("POST", "/v1/credentials/renew")

    def deny(self, subject: str, *, reason: str) -> dict[str, Any]:
        return self._call("POST", "/v1/credentials/deny", {"subject": subject, "reason": reason})

    def allow(self, subject: str, *, reason: str) -> dict[str, Any]:
        return self._call("POST", "/v1/credentials/allow", {"subject": subject, "reason": reason})

    def denied(self) -> dict[str, Any]:
        return self._call("GET", "/v1/credentials/denied")

    def approvals(self) -> dict[str, Any]:
        return self._call("GET", "/v1/approvals")

    def grant(self, approval_id: str) -> dict[str, Any]:
        return self._call("POST", _path("approvals", approval_id, "grant"))

    def deny_approval(self, approval_id: str, *, reason: str) -> dict[str, Any]:
        return self._call("POST", _path("approvals", approval_id, "deny"), {"reason": reason})


class RenewedCredential:
    """The credential of a KeyServiceClient, renewed in the second half of its life.

    ``read`` and ``write`` keep the token, in a file or wherever; ``renew`` asks the service for the next one. A
    renewal that is refused or fails changes nothing: the credential is good until it expires.
    """

    def __init__(
        self, read: Callable[[], str], write: Callable[[str], None], renew: Callable[[str], str], clock: Clock
    ) -> None:
        self._read = read
        self._write = write
        self._renew = renew
        self._clock = clock
        self._asked = ""

    def __call__(self) -> str:
        token = self._read()
        issued, expires = _life(token)
        if (issued + expires) / 2 <= self._clock.now() < expires and token != self._asked:
            self._asked = token  # once for each: a service that refuses is not asked for every call
            with suppress(SealwrightError):
                renewed = self._renew(token)
                self._write(renewed)
                return renewed
        return token


def _life(token: str) -> tuple[float, float]:
    """When a token of our own was issued and expires; nothing is decided by it but when to renew."""
    with suppress(SealwrightError, ValueError, TypeError):
        claims = strict_json.parse_object(base64url.decode_text(token.split(".")[1] if "." in token else ""))
        return float(claims["iat"]), float(claims["exp"])
    return 0.0, 0.0


class TrailClient:
    """The audit of one key service."""

    def __init__(self, call: Callable[..., dict[str, Any]]) -> None:
        self._call = call

    def page(self, *, writer: str | None = None, after: int = 0, action: str | None = None) -> dict[str, Any]:
        asked = {"writer": writer, "after": after, "action": action}
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return self._call("GET", f"/v1/audit?{query}")

    def chains(self) -> dict[str, Any]:
        return self._call("GET", "/v1/audit/chains")

    def trust_roots(self) -> dict[str, Any]:
        return self._call("GET", "/v1/audit/trust-roots")

    def checkpoint(self, *, reason: str) -> dict[str, Any]:
        return self._call("POST", "/v1/audit/checkpoint", {"reason": reason})

    def archive(self, segments: Sequence[Mapping[str, Any]], *, reason: str) -> dict[str, Any]:
        return self._call("POST", "/v1/audit/archive", {"segments": [dict(one) for one in segments], "reason": reason})

    def prune(self) -> dict[str, Any]:
        return self._call("POST", "/v1/audit/prune")


def _path(*parts: str) -> str:
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _error(status: int, answer: Mapping[str, Any]) -> SealwrightError:
    """The error that the service meant: its class decides what a caller does next."""
    reason = _REASONS.get(str(answer.get("reason")), Reason.REQUEST_MALFORMED)
    message = str(answer.get("detail") or f"the service answered {status}")
    if reason.startswith(("move.", "guard.", "approval.")) or status == 409:
        return RefusedError(reason, message)
    kind = {429: UnavailableError, 502: BackendError, 503: UnavailableError}.get(
        status, UnavailableError if status >= 500 else RejectedError
    )
    return kind(reason, message)
