"""The key service over HTTP: the same calls as the local operations, and the same errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import urllib3

from sealwright.errors import (
    BackendError,
    Reason,
    RefusedError,
    RejectedError,
    SealwrightError,
    UnavailableError,
)
from sealwright.jose import base64url

TIMEOUT_S = 30.0
MAXIMUM_ANSWER_BYTES = 8 * 1024 * 1024
_REASONS = {str(reason): reason for reason in Reason}


class KeyServiceClient:
    """Calls one key service. ``credential`` gives the bearer token and is asked again for each call."""

    def __init__(self, url: str, credential: Callable[[], str] | None = None) -> None:
        self._url = url.rstrip("/")
        self._credential = credential
        self._pool = urllib3.PoolManager(retries=False, timeout=TIMEOUT_S)

    def keys(self, issuer: str | None = None) -> dict[str, Any]:
        return self._call("GET", "/v1/keys" + (f"?issuer={quote(issuer, safe='')}" if issuer else ""))

    def create(self, issuer: str, *, algorithm: str | None, reason: str) -> dict[str, Any]:
        return self._call("POST", _path("issuers", issuer, "keys"), {"algorithm": algorithm, "reason": reason})

    def move(self, verb: str, key_id: str, *, reason: str, force: bool = False) -> dict[str, Any]:
        body = {"reason": reason} if verb == "revoke" else {"reason": reason, "force": force}
        return self._call("POST", _path("keys", key_id, verb), body)

    def rotate(self, issuer: str, *, reason: str, force: bool = False) -> dict[str, Any]:
        return self._call("POST", _path("issuers", issuer, "rotate"), {"reason": reason, "force": force})

    def emergency_rotate(self, issuer: str, *, key_id: str | None, reason: str) -> dict[str, Any]:
        return self._call("POST", _path("issuers", issuer, "emergency-rotate"), {"key_id": key_id, "reason": reason})

    def issue_token(
        self,
        issuer: str,
        *,
        claims: Mapping[str, Any],
        audience: str | Sequence[str],
        lifetime_s: float | None = None,
        reuse: bool = False,
    ) -> dict[str, Any]:
        body = {"claims": dict(claims), "audience": audience, "lifetime_s": lifetime_s, "reuse": reuse}
        return self._call("POST", _path("issuers", issuer, "tokens"), body)

    def issue_tokens(self, issuer: str, tokens: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Up to 500 items {"claims", "audience", "lifetime_s"}: all or none, in their order."""
        return self._call(
            "POST", _path("issuers", issuer, "tokens", "batch"), {"tokens": [dict(one) for one in tokens]}
        )

    def sign_payload(self, issuer: str, *, payload: bytes, typ: str) -> dict[str, Any]:
        body = {"payload": base64url.encode_text(payload), "typ": typ}
        return self._call("POST", _path("issuers", issuer, "sign"), body)

    def sign_payloads(self, issuer: str, payloads: Sequence[tuple[bytes, str]]) -> dict[str, Any]:
        """Up to 500 pairs of a payload and its type: all or none, in their order."""
        items = [{"payload": base64url.encode_text(payload), "typ": typ} for payload, typ in payloads]
        return self._call("POST", _path("issuers", issuer, "sign", "batch"), {"payloads": items})

    def audit(self, *, after: int = 0) -> dict[str, Any]:
        return self._call("GET", f"/v1/audit?after={after}")

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
        content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() if body is not None else None
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


def _path(*parts: str) -> str:
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _error(status: int, answer: Mapping[str, Any]) -> SealwrightError:
    """The error that the service meant: its class decides what a caller does next."""
    reason = _REASONS.get(str(answer.get("reason")), Reason.REQUEST_MALFORMED)
    message = str(answer.get("detail") or f"the service answered {status}")
    if reason.startswith(("move.", "guard.")) or status == 409:
        return RefusedError(reason, message)
    kind = {502: BackendError, 503: UnavailableError}.get(status, UnavailableError if status >= 500 else RejectedError)
    return kind(reason, message)
