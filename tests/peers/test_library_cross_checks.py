"""Tokens and keys of ours under other libraries, and theirs under ours, for every algorithm both know."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import joserfc.jwk
import joserfc.jws
import jwcrypto.jwk
import jwcrypto.jws
import jwt
import pytest

import sealwright as sw
from sealwright.jose.algorithms import ALGORITHMS

pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
PAYLOAD = b'{"sub":"alice"}'
RSA_EC_HMAC = [name for name in ALGORITHMS if name[:2] in ("HS", "RS", "PS", "ES")]


def members(key: Any, *, private: bool) -> dict[str, Any]:
    if isinstance(key, sw.SecretJWK):
        return key.export_secret_dict()
    return key.export_private_dict() if private else key.public.to_dict()


def pyjwt_verify(token: str, key: dict[str, Any], alg: str) -> bytes:
    return bytes(jwt.PyJWS().decode(token, jwt.PyJWK(key).key, algorithms=[alg]))


def pyjwt_sign(key: dict[str, Any], alg: str) -> str:
    return str(jwt.PyJWS().encode(PAYLOAD, jwt.PyJWK(key).key, algorithm=alg))


def joserfc_verify(token: str, key: dict[str, Any], alg: str) -> bytes:
    return joserfc.jws.deserialize_compact(token, joserfc.jwk.import_key(key), algorithms=[alg]).payload


def joserfc_sign(key: dict[str, Any], alg: str) -> str:
    return joserfc.jws.serialize_compact({"alg": alg}, PAYLOAD, joserfc.jwk.import_key(key), algorithms=[alg])


def jwcrypto_verify(token: str, key: dict[str, Any], alg: str) -> bytes:
    signed = jwcrypto.jws.JWS()
    signed.allowed_algs = [alg]
    signed.deserialize(token, jwcrypto.jwk.JWK(**key))
    return bytes(signed.payload)


def jwcrypto_sign(key: dict[str, Any], alg: str) -> str:
    signed = jwcrypto.jws.JWS(PAYLOAD)
    signed.allowed_algs = [alg]
    signed.add_signature(jwcrypto.jwk.JWK(**key), alg, json.dumps({"alg": alg}))
    return str(signed.serialize(compact=True))


LIBRARIES: dict[str, tuple[Callable[..., bytes], Callable[..., str], list[str]]] = {
    "pyjwt": (pyjwt_verify, pyjwt_sign, [*RSA_EC_HMAC, "EdDSA"]),
    "joserfc": (joserfc_verify, joserfc_sign, [*RSA_EC_HMAC, "EdDSA", "Ed25519", "Ed448"]),
    "jwcrypto": (
        jwcrypto_verify,
        jwcrypto_sign,
        [*RSA_EC_HMAC, "EdDSA", "Ed25519", "Ed448", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"],
    ),
}
CASES = [(library, alg) for library, (_, _, algs) in LIBRARIES.items() for alg in algs]


@pytest.fixture(scope="module")
def keys() -> dict[str, Any]:
    return {
        name: sw.SecretJWK.generate(name) if row.symmetric else sw.PrivateJWK.generate(name)
        for name, row in ALGORITHMS.items()
    }


@pytest.mark.parametrize(("library", "alg"), CASES)
def test_another_library_verifies_ours(library: str, alg: str, keys: dict[str, Any]) -> None:
    verify, _, _ = LIBRARIES[library]
    assert verify(sw.sign(PAYLOAD, keys[alg]), members(keys[alg], private=False), alg) == PAYLOAD


@pytest.mark.parametrize(("library", "alg"), CASES)
def test_we_verify_another_librarys(library: str, alg: str, keys: dict[str, Any]) -> None:
    _, sign, _ = LIBRARIES[library]
    token = sign(members(keys[alg], private=True), alg)
    key = keys[alg] if isinstance(keys[alg], sw.SecretJWK) else keys[alg].public
    assert sw.verify_signature(token, key).payload == PAYLOAD
