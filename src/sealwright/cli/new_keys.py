"""New keys of every kind for sealwright jwk generate: to sign, to share, and to encrypt for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sealwright.jose.algorithms import SYMMETRIC
from sealwright.jose.encryption_keys import CONTENT_ALGORITHMS, KEY_ALGORITHMS, DecryptionJWK, SharedEncryptionJWK
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.secret_jwk import SecretJWK


class Made(NamedTuple):
    """The whole key, and what of it may be shown: the public half, or of a secret everything but the secret."""

    whole: Mapping[str, Any]
    shown: Mapping[str, Any]


def new_key(alg: str, key_id: str | None) -> Made:
    """Raises RejectedError ``algorithm.unknown``, and ``key.ambiguous`` for "dir", which names no size."""
    if alg in SYMMETRIC:
        return _secret(SecretJWK.generate(alg, key_id=key_id).export_secret_dict())
    if alg in CONTENT_ALGORITHMS or KEY_ALGORITHMS.get(alg) == "oct":
        return _secret(SharedEncryptionJWK.generate(alg, key_id=key_id).export_secret_dict())
    kind = DecryptionJWK if alg in KEY_ALGORITHMS else PrivateJWK
    key = kind.generate(alg, key_id=key_id)
    return Made(key.export_private_dict(), key.public.to_dict())


def _secret(members: dict[str, Any]) -> Made:
    return Made(members, {name: value for name, value in members.items() if name != "k"})
