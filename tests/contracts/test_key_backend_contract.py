"""What every KeyBackend does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from implementations import BACKENDS

import sealwright as sw
from sealwright.jose.algorithms import ASYMMETRIC

HANDLE = "00ff" * 8


@pytest.mark.parametrize("alg", sorted(ASYMMETRIC - {"RS384", "RS512", "PS384", "PS512"}))
def test_it_signs_what_its_public_key_verifies(backend: Any, alg: str) -> None:
    public = backend.generate(HANDLE, alg)
    assert public.algorithm.name == alg
    assert public.key_id == public.thumbprint()
    assert public.verify(backend.sign(HANDLE, b"header.payload"), b"header.payload")


def test_generating_again_answers_with_the_same_key(backend: Any) -> None:
    assert backend.generate(HANDLE, "ES256") == backend.generate(HANDLE, "ES256") == backend.find(HANDLE)


def test_handles_have_keys_of_their_own(backend: Any) -> None:
    assert backend.generate(HANDLE, "ES256") != backend.generate("11" * 16, "ES256")


def test_an_unknown_handle_is_found_by_nobody_and_signs_nothing(backend: Any) -> None:
    assert backend.find(HANDLE) is None
    with pytest.raises(sw.BackendError) as caught:
        backend.sign(HANDLE, b"data")
    assert caught.value.reason == "backend.key_missing"


def test_a_destroyed_key_is_gone_and_destroying_it_again_is_no_error(backend: Any) -> None:
    backend.generate(HANDLE, "ES256")
    backend.destroy(HANDLE)
    backend.destroy(HANDLE)
    assert backend.find(HANDLE) is None
    with pytest.raises(sw.BackendError):
        backend.sign(HANDLE, b"data")


def test_it_shows_nothing_private(backend: Any) -> None:
    public = backend.generate(HANDLE, "ES256")
    assert not {"d", "priv", "k"} & public.members.keys()
    assert HANDLE not in repr(backend)


@pytest.mark.parametrize("name", ["local", "observed"])
def test_keys_survive_the_process(name: str, tmp_path: Path) -> None:
    public = BACKENDS[name](tmp_path).generate(HANDLE, "Ed25519")
    again = BACKENDS[name](tmp_path)
    assert again.find(HANDLE) == public
    assert public.verify(again.sign(HANDLE, b"data"), b"data")
