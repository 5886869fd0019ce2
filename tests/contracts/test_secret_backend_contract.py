"""What every SecretBackend does, on its real component."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

import sealwright as sw


@pytest.fixture
def handle() -> str:
    return secrets.token_hex(16)


def reason_of(call: Any) -> str:
    with pytest.raises(sw.BackendError) as caught:
        call()
    return str(caught.value.reason)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_it_signs_with_the_secret_that_it_reveals(secret_backend: Any, handle: str, alg: str) -> None:
    facts = secret_backend.generate(handle, alg)
    secret = secret_backend.reveal(handle)
    assert (facts.key_id, facts.algorithm.name) == (secret.key_id, alg)
    assert facts.to_dict() == {"kty": "oct", "alg": alg, "kid": facts.key_id}
    assert secret.verify(secret_backend.sign(handle, b"data").value, b"data")


def test_generating_again_answers_with_the_same_secret(secret_backend: Any, handle: str) -> None:
    made = secret_backend.generate(handle, "HS256")
    revealed = secret_backend.reveal(handle).export_secret_dict()
    assert secret_backend.generate(handle, "HS256") == made == secret_backend.find(handle)
    assert secret_backend.reveal(handle).export_secret_dict() == revealed


def test_a_destroyed_secret_is_gone(secret_backend: Any, handle: str) -> None:
    secret_backend.generate(handle, "HS256")
    assert handle in secret_backend.handles()
    secret_backend.destroy(handle)
    secret_backend.destroy(handle)
    assert secret_backend.find(handle) is None
    assert handle not in secret_backend.handles()
    for call in (secret_backend.reveal, lambda name: secret_backend.sign(name, b"data")):
        assert reason_of(lambda call=call: call(handle)) == "backend.key_missing"


def test_nothing_that_can_be_printed_holds_the_secret(secret_backend: Any, handle: str) -> None:
    facts = secret_backend.generate(handle, "HS256")
    k = secret_backend.reveal(handle).export_secret_dict()["k"]
    for shown in (repr(secret_backend), repr(facts), str(facts), repr(secret_backend.reveal(handle))):
        assert k not in shown
