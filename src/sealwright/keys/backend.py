"""KeyBackend protocol: where private keys live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from sealwright.errors import BackendError, Reason
from sealwright.jose.algorithms import Algorithm
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.jose.secret_jwk import SecretJWK

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BackendSignature:
    """A signature in its JWS form (r||s for ECDSA), and what the backend calls the request, for the audit."""

    value: bytes
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """What is recorded of an HMAC secret in place of a public half: nothing that the secret can be guessed from."""

    key_id: str
    algorithm: Algorithm

    def thumbprint(self) -> str:
        """The kid: a digest of the secret itself would say something of it."""
        return self.key_id

    def to_dict(self) -> dict[str, Any]:
        return {"kty": "oct", "alg": self.algorithm.name, "kid": self.key_id}


PublicHalf = PublicJWK | SecretFacts


class KeyBackend(Protocol):
    """Holds private keys under a handle and never gives one out.

    Every method may raise BackendError ``backend.*``; drivers' own exceptions are kept as ``__cause__``, and none
    comes out. Methods are called from several threads at once. A backend opens its driver at the first call, so that
    an object made before a fork works in the child.
    """

    name: str  # what a key record and a metric call it, e.g. "local"
    algorithms: frozenset[str]  # the "alg" names that ``generate`` can make keys for

    def generate(self, handle: str, algorithm: str) -> PublicHalf:
        """Make the key of this handle, or return the one it already has: safe to repeat after a crash.

        ``handle`` is the idempotency tag: 32 hexadecimal digits, recorded at the backend with the key (a label, an
        alias, a tag). The answer's kid is its thumbprint. BackendError ``backend.unsupported`` for other algorithms.
        """
        ...

    def find(self, handle: str) -> PublicHalf | None:
        """The public half, or None when the backend has no such key (any more)."""
        ...

    def sign(self, handle: str, signing_input: bytes) -> BackendSignature:
        """A JWS signature over the signing input.

        BackendError ``backend.key_missing`` if the key is gone, ``backend.key_disabled`` if it is switched off,
        ``backend.throttled`` or ``backend.failed`` after bounded retries; RejectedError
        ``backend.input_too_large`` where the backend must have the whole input and that has a limit.
        """
        ...

    def disable(self, handle: str) -> None:
        """Switch a retired key off, where the backend can; ``enable`` undoes it. No error for a key that is gone."""
        ...

    def enable(self, handle: str) -> None: ...

    def destroy(self, handle: str) -> None:
        """Remove the private half for good, or schedule that; destroying what is gone already is not an error.

        Afterwards ``find`` answers None and ``sign`` raises ``backend.key_missing``, even while a deletion is pending.
        """
        ...

    def handles(self) -> Iterable[str]:
        """The handle of every key here that was made or adopted by Sealwright and not destroyed: to find orphans."""
        ...

    def adopt(self, handle: str, reference: str, algorithm: str) -> PublicHalf:
        """Take over a key that exists at the backend already under ``reference``, in the backend's own words.

        From now on the handle means that key. BackendError ``backend.key_missing`` or ``backend.unsupported``.
        """
        ...

    def import_private(self, handle: str, key: PrivateJWK) -> PublicHalf:
        """Store this key under the handle; repeating it with the same key is no error.

        BackendError ``backend.unsupported`` where private keys cannot be put in, as in an HSM.
        """
        ...

    def close(self) -> None:
        """Give sessions and connections back; the next call opens them anew."""
        ...


@runtime_checkable
class SecretBackend(KeyBackend, Protocol):
    """Holds HMAC secrets, which partners must be given, so that these can be read."""

    def reveal(self, handle: str) -> SecretJWK:
        """The secret itself. BackendError ``backend.key_missing``. Search for this name when reviewing."""
        ...


def backend_named(backends: Mapping[str, KeyBackend], name: str) -> KeyBackend:
    """Raises BackendError ``backend.failed`` for one that is not configured here."""
    try:
        return backends[name]
    except KeyError:
        raise BackendError(Reason.BACKEND_FAILED, f"no key backend is called {name} here") from None


def sign_checked(backend: KeyBackend, handle: str, public: PublicJWK, data: bytes) -> BackendSignature:
    """A signature that verifies with the recorded public key; no other one is released.

    Raises BackendError ``backend.wrong_signature``, and what the backend raises.
    """
    made = backend.sign(handle, data)
    if not public.verify(made.value, data):
        message = "the key backend's signature does not verify, and was not released"
        raise BackendError(Reason.BACKEND_WRONG_SIGNATURE, message)
    return made


def none_if_missing(ask: Callable[[], T]) -> T | None:
    """The answer, or None where it is BackendError ``backend.key_missing``."""
    try:
        return ask()
    except BackendError as error:
        if error.reason is not Reason.BACKEND_KEY_MISSING:
            raise
        return None
