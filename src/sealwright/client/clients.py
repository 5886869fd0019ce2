"""OAuth clients, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from sealwright.client.calling import path


class ClientsClient:
    """The calls about OAuth clients of issuers."""

    def __init__(self, call: Callable[..., dict[str, Any]]) -> None:
        self._call = call

    def create(self, issuer: str, client_id: str, **given: Any) -> dict[str, Any]:
        """``given`` are the members of the request: audiences, scopes, grants, authentication and so on."""
        return self._call("POST", path("issuers", issuer, "clients"), {"client_id": client_id, **given})

    def list(self, issuer: str | None = None) -> dict[str, Any]:
        return self._call("GET", "/v1/clients" + (f"?issuer={quote(issuer, safe='')}" if issuer else ""))

    def rotate_secret(self, issuer: str, client_id: str, *, reason: str, end_others: bool = False) -> dict[str, Any]:
        body = {"reason": reason, "end_others": end_others}
        return self._call("POST", path("issuers", issuer, "clients", client_id, "rotate-secret"), body)

    def remove(self, issuer: str, client_id: str, *, reason: str) -> dict[str, Any]:
        return self._call("POST", path("issuers", issuer, "clients", client_id, "remove"), {"reason": reason})
