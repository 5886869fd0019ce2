"""What every KeyBackend does, on its real component."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path
from typing import Any

import pytest
from implementations import BACKENDS, SECRET_BACKENDS

import sealwright as sw
from sealwright.jose.jwk import PrivateJWK
from sealwright.wiring.key_backends import LOCAL, SCHEMES, SECRET_SCHEMES

ALGORITHMS = ("ES256", "ES384", "RS256", "PS256", "Ed25519", "ES512", "ES256K", "Ed448", "ML-DSA-44", "ML-DSA-65")


@pytest.fixture
def handle() -> str:
    return secrets.token_hex(16)


def reason_of(call: Any) -> str:
    with pytest.raises(sw.BackendError) as caught:
        call()
    return str(caught.value.reason)


def test_every_scheme_that_wiring_lists_is_tested_here() -> None:
    assert {*SCHEMES, LOCAL} - SECRET_SCHEMES <= BACKENDS.keys()
    assert SCHEMES.keys() & SECRET_SCHEMES <= SECRET_BACKENDS.keys()


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_it_signs_what_its_public_key_verifies(backend: Any, handle: str, alg: str) -> None:
    if alg not in backend.algorithms:
        assert reason_of(lambda: backend.generate(handle, alg)) == "backend.unsupported"
        return
    public = backend.generate(handle, alg)
    assert public.algorithm.name == alg
    assert public.key_id == public.thumbprint()
    for size in (13, 5000):
        try:
            signature = backend.sign(handle, b"x" * size).value
        except sw.RejectedError as error:
            assert (error.reason, size, alg) == ("backend.input_too_large", 5000, "Ed25519")  # noqa: PT017
        else:
            assert public.verify(signature, b"x" * size)


def test_it_has_the_algorithms_that_most_teams_sign_with(backend: Any) -> None:
    assert {"ES256", "RS256", "PS256"} <= backend.algorithms


def test_generating_again_answers_with_the_same_key(backend: Any, handle: str) -> None:
    made = backend.generate(handle, "ES256")
    assert backend.generate(handle, "ES256") == made == backend.find(handle)


def test_handles_have_keys_of_their_own(backend: Any, handle: str) -> None:
    assert backend.generate(handle, "ES256") != backend.generate(secrets.token_hex(16), "ES256")


def test_an_unknown_handle_is_found_by_nobody_and_signs_nothing(backend: Any, handle: str) -> None:
    assert backend.find(handle) is None
    assert reason_of(lambda: backend.sign(handle, b"data")) == "backend.key_missing"
    backend.disable(handle)


def test_a_destroyed_key_is_gone_and_destroying_it_again_is_no_error(backend: Any, handle: str) -> None:
    backend.generate(handle, "ES256")
    backend.sign(handle, b"data")
    backend.destroy(handle)
    backend.destroy(handle)
    assert backend.find(handle) is None
    assert handle not in backend.handles()
    assert reason_of(lambda: backend.sign(handle, b"data")) == "backend.key_missing"


def test_its_keys_can_be_listed_by_their_handles(backend: Any) -> None:
    made = {secrets.token_hex(16) for _ in range(3)}
    for one in made:
        backend.generate(one, "ES256")
    assert made <= set(backend.handles())


def test_a_key_that_was_disabled_signs_again_once_enabled(backend: Any, handle: str) -> None:
    public = backend.generate(handle, "ES256")
    backend.disable(handle)
    try:
        backend.sign(handle, b"data")
    except sw.BackendError as error:
        assert error.reason == "backend.key_disabled"  # noqa: PT017 a backend without a switch goes on signing
    backend.enable(handle)
    assert public.verify(backend.sign(handle, b"data").value, b"data")
    assert backend.find(handle) == public


def test_a_key_that_can_be_imported_signs(backend: Any, handle: str) -> None:
    key = PrivateJWK.generate("ES256")
    try:
        assert backend.import_private(handle, key) == backend.import_private(handle, key) == key.public
    except sw.BackendError as error:
        assert error.reason == "backend.unsupported"  # noqa: PT017
        return
    assert key.public.verify(backend.sign(handle, b"data").value, b"data")


def test_a_closed_backend_opens_again_at_the_next_call(backend: Any, handle: str) -> None:
    public = backend.generate(handle, "ES256")
    backend.close()
    assert backend.find(handle) == public
    assert public.verify(backend.sign(handle, b"data").value, b"data")


def test_threads_sign_at_the_same_time(backend: Any, handle: str) -> None:
    public = backend.generate(handle, "ES256")
    failures: list[object] = []

    def work(number: int) -> None:
        try:
            for step in range(10):
                data = b"%d %d" % (number, step)
                if not public.verify(backend.sign(handle, data).value, data):
                    failures.append((number, step))
        except BaseException as error:  # noqa: BLE001 reported by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_keys_of_the_local_backend_outlive_their_process(tmp_path: Path, handle: str) -> None:
    with BACKENDS["local"](tmp_path) as first:
        public = first.generate(handle, "ES256")
    with BACKENDS["local"](tmp_path) as again:
        assert again.find(handle) == public
        assert public.verify(again.sign(handle, b"data").value, b"data")
