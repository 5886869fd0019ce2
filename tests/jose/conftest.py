"""Keys for every row of the table, and tokens made by hand where a signer of ours would refuse to make them."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

import sealwright as sw
from sealwright.jose import base64url
from sealwright.jose.algorithms import ALGORITHMS
from sealwright.jose.encryption_keys import KEY_ALGORITHMS, DecryptionJWK

SECRET = bytes(range(32))


@pytest.fixture(scope="session")
def signers() -> dict[str, Any]:
    """One signing key for each algorithm; RSA keys take a while to make."""
    return {
        name: sw.SecretJWK.generate(name) if row.symmetric else sw.PrivateJWK.generate(name)
        for name, row in ALGORITHMS.items()
    }


@pytest.fixture(scope="session")
def recipients() -> dict[str, DecryptionJWK]:
    """One decryption key for each algorithm that has a public half."""
    return {alg: DecryptionJWK.generate(alg) for alg, kty in KEY_ALGORITHMS.items() if kty != "oct"}


@pytest.fixture
def secret() -> sw.SecretJWK:
    return sw.SecretJWK.from_dict({"kty": "oct", "alg": "HS256", "k": base64url.encode_text(SECRET)})


@pytest.fixture
def forge() -> Callable[..., str]:
    """A correctly MACed token with any header and payload, so that a refusal comes from the rule under test."""

    def make(header: Any, payload: bytes = b'{"sub":"u"}', *, raw_header: bytes | None = None) -> str:
        head = base64url.encode(raw_header if raw_header is not None else json.dumps(header).encode())
        signing_input = head + b"." + base64url.encode(payload)
        mac = hmac.digest(SECRET, signing_input, hashlib.sha256)
        return (signing_input + b"." + base64url.encode(mac)).decode()

    return make


@pytest.fixture
def refused() -> Callable[..., None]:
    """Asserts that a call is refused with one reason."""

    def check(reason: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        with pytest.raises(sw.RejectedError) as caught:
            call(*arguments, **named)
        assert caught.value.reason == reason

    return check
