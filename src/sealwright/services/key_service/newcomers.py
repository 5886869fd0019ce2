"""From what a caller gives, a JWK or the name of a key at a backend, to a key that can be imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.jose.key_types import PRIVATE_MEMBERS
from sealwright.keys.importing import Newcomer
from sealwright.wiring.key_backends import LOCAL


def newcomer_of(
    *,
    jwk: Mapping[str, Any] | None = None,
    reference: str | None = None,
    backend: str | None = None,
    algorithm: str | None = None,
    key_id: str | None = None,
) -> Newcomer:
    """Raises RejectedError ``request.malformed`` for too much or too little, and ``key.*`` for a JWK that is no good.

    The kid is the one given, else the JWK's own, else the thumbprint.
    """
    if (jwk is None) == (reference is None):
        raise _malformed('give either "jwk", or the "reference" of a key that a backend holds')
    if reference is not None:
        if backend is None or algorithm is None or key_id is None:
            raise _malformed("a key that a backend holds needs its backend, its algorithm and the kid it is known by")
        return Newcomer.at_backend(reference, algorithm, backend, key_id)
    assert jwk is not None
    members = {**jwk, **{name: value for name, value in (("alg", algorithm), ("kid", key_id)) if value is not None}}
    if PRIVATE_MEMBERS.isdisjoint(members):
        public = PublicJWK.from_dict(members)
        if public.algorithm is None:
            raise RejectedError(Reason.KEY_AMBIGUOUS, "the key fits several algorithms: name one with --alg")
        named = PublicJWK.from_dict({**public.to_dict(), "kid": public.key_id or public.thumbprint()})
        return Newcomer.public_only(named)
    return Newcomer.private(PrivateJWK.from_dict(members), backend or LOCAL)


def _malformed(message: str) -> RejectedError:
    return RejectedError(Reason.REQUEST_MALFORMED, message)
