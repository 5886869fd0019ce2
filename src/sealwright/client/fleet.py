"""The fleet over HTTP: who is behind, rehearsals, and how far a revocation got."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sealwright.client.calling import Call, path


class FleetClient:
    """What can be asked of the verifiers that report to a key service."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def show(self, issuer: str | None = None) -> dict[str, Any]:
        return self._call("GET", "/v1/fleet" + (f"?issuer={quote(issuer, safe='')}" if issuer else ""))

    def rehearse(self, key_id: str, *, reason: str) -> dict[str, Any]:
        return self._call("POST", path("keys", key_id, "rehearse"), {"reason": reason})

    def rehearsal(self, key_id: str) -> dict[str, Any]:
        return self._call("GET", path("keys", key_id, "rehearsal"))

    def enforcement(self, key_id: str) -> dict[str, Any]:
        return self._call("GET", path("keys", key_id, "enforcement"))
