"""Secrets of partners, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sealwright.client.calling import path
from sealwright.jose import base64url


class SecretsClient:
    """The calls below /v1/secrets."""

    def __init__(self, call: Callable[..., dict[str, Any]]) -> None:
        self._call = call

    def create(self, partner: str, **given: Any) -> dict[str, Any]:
        return self._call("POST", path("secrets", partner), given)

    def rotate(self, partner: str, *, reason: str, force: bool = False) -> dict[str, Any]:
        return self._call("POST", path("secrets", partner, "rotate"), {"reason": reason, "force": force})

    def reveal(self, key_id: str, *, reason: str) -> dict[str, Any]:
        return self._call("POST", path("secrets", "keys", key_id, "reveal"), {"reason": reason})

    def sign(self, partner: str, *, payload: bytes, typ: str) -> dict[str, Any]:
        body = {"payload": base64url.encode_text(payload), "typ": typ}
        return self._call("POST", path("secrets", partner, "sign"), body)

    def verify(self, partner: str, token: str) -> dict[str, Any]:
        return self._call("POST", path("secrets", partner, "verify"), {"token": token})
