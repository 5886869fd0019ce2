"""Single tokens, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sealwright.client.calling import path


class TokensClient:
    """The calls about tokens that were issued before."""

    def __init__(self, call: Callable[..., dict[str, Any]]) -> None:
        self._call = call

    def change(
        self,
        verb: str,
        issuer: str,
        *,
        reason: str,
        token: str | None = None,
        jti: str | None = None,
        expires_at: float | None = None,
    ) -> dict[str, Any]:
        """revoke, suspend or restore: the token itself, or its jti and when it expires (seconds since the epoch)."""
        named = {"token": token, "jti": jti, "expires_at": expires_at}
        return self._call("POST", path("issuers", issuer, "tokens", verb), {**named, "reason": reason})

    def marked(self, issuer: str) -> dict[str, Any]:
        """Tokens that are revoked or suspended, until they have expired."""
        return self._call("GET", path("issuers", issuer, "tokens", "revoked"))
