"""KeyBackend protocol: where private keys live."""

from __future__ import annotations

from typing import Protocol

from sealwright.jose.jwk import PublicJWK


class KeyBackend(Protocol):
    """Holds private keys under a handle and never gives one out.

    Every method raises BackendError and nothing else; drivers' own exceptions are kept as ``__cause__``.
    """

    name: str  # what a key record and a metric call it, e.g. "local"

    def generate(self, handle: str, algorithm: str) -> PublicJWK:
        """Make the key of this handle, or return the one it already has: safe to repeat after a crash."""
        ...

    def find(self, handle: str) -> PublicJWK | None:
        """The public half, or None when the backend has no such key."""
        ...

    def sign(self, handle: str, signing_input: bytes) -> bytes:
        """A JWS signature over the signing input (r||s for ECDSA). BackendError ``backend.key_missing`` if gone."""
        ...

    def destroy(self, handle: str) -> None:
        """Remove the private half for good; destroying what is gone already is not an error."""
        ...
