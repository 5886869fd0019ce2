"""Credentials and approvals, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sealwright.client.calling import path


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
        return self._call("POST", path("approvals", approval_id, "grant"))

    def deny_approval(self, approval_id: str, *, reason: str) -> dict[str, Any]:
        return self._call("POST", path("approvals", approval_id, "deny"), {"reason": reason})
