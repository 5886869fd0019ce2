"""The audit, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode


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
