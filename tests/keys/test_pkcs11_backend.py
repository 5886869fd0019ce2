"""Keys in SoftHSM: how they are made, named, adopted and destroyed, as the token itself shows it."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import softhsm
from backend_failing import failing
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass

import sealwright as sw
from sealwright.jose.jwk import PrivateJWK
from sealwright.keys.backend import KeyBackend
from sealwright.wiring.key_backends import open_backend

HALVES = (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)
P256 = bytes.fromhex("06082a8648ce3d030107")


@pytest.fixture(scope="module")
def token() -> softhsm.Token:
    return softhsm.new_token()


@pytest.fixture
def backend(token: softhsm.Token) -> Iterator[Any]:
    with contextlib.closing(open_backend("hsm", token.uri(wait_s=60))) as opened:
        yield opened


def objects(session: Any, label: str, *classes: ObjectClass) -> list[Any]:
    found = (session.get_objects({Attribute.CLASS: one, Attribute.LABEL: label}) for one in classes or HALVES)
    return [one for some in found for one in some]


def foreign_pair(
    session: Any, label: str, kind: KeyType = KeyType.EC, *, identifier: bytes | None = None, **changes: bool
) -> Any:
    """A key pair as an operator's own tool makes it, with an id of its own."""
    changed = {Attribute[name.upper()]: value for name, value in changes.items()}
    return session.generate_keypair(
        kind,
        2048 if kind == KeyType.RSA else None,
        label=label,
        id=identifier or label.encode(),
        store=True,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        public_template=changed | ({} if kind == KeyType.RSA else {Attribute.EC_PARAMS: P256}),
        private_template={Attribute.EXTRACTABLE: False, **changed},
    )


def signs(backend: KeyBackend, handle: str, public: Any) -> bool:
    return bool(public.verify(backend.sign(handle, b"data").value, b"data"))


@pytest.mark.parametrize("algorithm", sorted(["ES256", "ES384", "ES512", "RS512", "PS384", "PS512", "Ed25519"]))
def test_what_the_token_holds_can_sign_and_can_never_leave(
    backend: Any, token: softhsm.Token, handle: str, algorithm: str
) -> None:
    assert signs(backend, handle, backend.generate(handle, algorithm))
    with softhsm.raw_session(token) as session:
        private, public = objects(session, handle)
        assert [
            private[name] for name in (Attribute.SENSITIVE, Attribute.TOKEN, Attribute.PRIVATE, Attribute.SIGN)
        ] == [True] * 4
        assert not private[Attribute.EXTRACTABLE]
        assert private[Attribute.NEVER_EXTRACTABLE]
        assert not any(private[name] for name in (Attribute.DECRYPT, Attribute.UNWRAP, Attribute.DERIVE))
        assert private[Attribute.ID] == public[Attribute.ID] == bytes.fromhex(handle) + b":" + algorithm.encode()


def test_rsa_keys_have_the_size_that_the_uri_says(backend: Any, token: softhsm.Token, handle: str) -> None:
    def bits(public: Any) -> int:
        return len(public.to_dict()["n"]) * 6 // 256 * 256

    assert bits(backend.generate(handle, "RS256")) == 2048
    with contextlib.closing(open_backend("hsm", token.uri(rsa_bits=3072))) as larger:
        assert bits(larger.generate(secrets.token_hex(16), "PS256")) == 3072


def test_an_algorithm_that_no_token_has_is_unsupported(backend: Any, handle: str) -> None:
    failing("backend.unsupported", backend.generate, handle, "ML-DSA-44")
    failing("backend.unsupported", backend.import_private, handle, PrivateJWK.generate("ES256"))


def test_a_mechanism_that_this_token_lacks_is_unsupported_and_leaves_no_key(handle: str) -> None:
    token = softhsm.new_token(softhsm.new_folder(slots_mechanisms="-CKM_EDDSA,CKM_EC_EDWARDS_KEY_PAIR_GEN"))
    code = f"""
import sealwright as sw
from sealwright.wiring.key_backends import open_backend
backend = open_backend("hsm", {token.uri()!r})
try:
    backend.generate({handle!r}, "Ed25519")
except sw.BackendError as error:
    print(error, list(backend.handles()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=token.environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert "lacks" in done.stdout
    assert done.stdout.endswith("(backend.unsupported) []\n")


@pytest.mark.parametrize("lost", HALVES)
def test_a_pair_that_lost_a_half_is_found_by_nobody_and_made_anew(
    backend: Any, token: softhsm.Token, handle: str, lost: ObjectClass
) -> None:
    first = backend.generate(handle, "ES256")
    with softhsm.raw_session(token) as session:
        objects(session, handle, lost)[0].destroy()
    assert backend.find(handle) is None
    assert handle in backend.handles()
    again = backend.generate(handle, "ES256")
    assert again != first
    assert signs(backend, handle, again)
    with softhsm.raw_session(token) as session:
        assert len(objects(session, handle)) == 2


def test_a_process_killed_while_it_makes_keys_leaves_each_usable_or_replaceable() -> None:
    token = softhsm.new_token()
    code = f"""
import secrets
from sealwright.wiring.key_backends import open_backend
backend = open_backend("hsm", {token.uri()!r})
backend.handles()  # a kill while SoftHSM logs in can empty the file of the whole token
while True:
    handle = secrets.token_hex(16)
    print(handle, flush=True)
    backend.generate(handle, "ES256")
"""
    started: list[str] = []
    for lines in (1, 2, 3, 1, 2):
        with subprocess.Popen(
            [sys.executable, "-c", code], env=token.environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            started += [process.stdout.readline().strip() for _ in range(lines)]
            process.kill()
            started += process.stdout.read().split()
    with contextlib.closing(open_backend("hsm", token.uri())) as backend:
        for handle in started:
            public = backend.generate(handle, "ES256")
            assert signs(backend, handle, public)
            with softhsm.raw_session(token) as session:
                assert len(objects(session, handle)) == 2


def test_one_handle_that_many_threads_and_two_backends_ask_for_is_one_key(
    backend: Any, token: softhsm.Token, handle: str
) -> None:
    made: list[Any] = []
    with contextlib.closing(open_backend("hsm", token.uri(wait_s=60))) as second:
        asked = [backend, second] * 4
        threads = [threading.Thread(target=lambda one=one: made.append(one.generate(handle, "ES256"))) for one in asked]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert made == [made[0]] * 8
    with softhsm.raw_session(token) as session:
        assert len(objects(session, handle)) == 2


def test_a_disabled_key_is_switched_off_at_the_token_for_everyone(
    backend: Any, token: softhsm.Token, handle: str
) -> None:
    public = backend.generate(handle, "RS256")
    with contextlib.closing(open_backend("hsm", token.uri())) as second:
        second.sign(handle, b"data")
        backend.disable(handle)
        failing("backend.key_disabled", second.sign, handle, b"data")
        failing("backend.key_disabled", backend.sign, handle, b"data")
        assert backend.find(handle) == public
        backend.enable(handle)
        assert signs(second, handle, public)


def test_a_key_that_the_token_does_not_let_be_switched_off_goes_on_signing(
    backend: Any, token: softhsm.Token, handle: str
) -> None:
    with softhsm.raw_session(token) as session:
        foreign_pair(session, handle, identifier=bytes.fromhex(handle) + b":ES256", modifiable=False)
    backend.disable(handle)
    assert signs(backend, handle, backend.find(handle))


def test_destroying_removes_both_halves(backend: Any, token: softhsm.Token, handle: str) -> None:
    backend.generate(handle, "ES256")
    backend.destroy(handle)
    with softhsm.raw_session(token) as session:
        assert not objects(session, handle)


def test_handles_are_those_of_sealwright_alone(backend: Any, token: softhsm.Token, handle: str) -> None:
    backend.generate(handle, "ES256")
    with softhsm.raw_session(token) as session:
        foreign_pair(session, "vpn")
    listed = backend.handles()
    assert handle in listed
    assert "vpn" not in listed


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS512"])
@pytest.mark.parametrize("by", ["label", "id"])
def test_a_key_of_the_token_can_be_adopted(
    backend: Any, token: softhsm.Token, handle: str, algorithm: str, by: str
) -> None:
    label = secrets.token_hex(4)
    with softhsm.raw_session(token) as session:
        foreign_pair(session, label, KeyType.EC if algorithm == "ES256" else KeyType.RSA)
    reference = label if by == "label" else f"id:{label.encode().hex()}"
    public = backend.adopt(handle, reference, algorithm)
    assert public == backend.find(handle) == backend.adopt(handle, reference, algorithm)
    assert public.algorithm.name == algorithm
    assert signs(backend, handle, public)
    assert handle in backend.handles()
    with softhsm.raw_session(token) as session:
        assert len(objects(session, handle)) == 2
        assert not objects(session, label)


def test_an_adoption_that_was_killed_between_its_halves_is_finished(
    backend: Any, token: softhsm.Token, handle: str
) -> None:
    with softhsm.raw_session(token) as session:
        public, _ = foreign_pair(session, "half-adopted")
        public[Attribute.ID] = bytes.fromhex(handle) + b":ES256"
        public[Attribute.LABEL] = handle
    assert signs(backend, handle, backend.adopt(handle, "half-adopted", "ES256"))


def test_what_cannot_be_adopted_says_why_and_keeps_its_name(backend: Any, token: softhsm.Token, handle: str) -> None:
    with softhsm.raw_session(token) as session:
        foreign_pair(session, "one")
        foreign_pair(session, "twin")
        foreign_pair(session, "twin")
        foreign_pair(session, "fixed", modifiable=False)
        foreign_pair(session, "no-signing")[1][Attribute.SIGN] = False
    failing("backend.key_missing", backend.adopt, handle, "nobody", "ES256")
    failing("backend.key_missing", backend.adopt, handle, "id:xyz", "ES256")
    failing("backend.unsupported", backend.adopt, handle, "one", "RS256")
    failing("backend.unsupported", backend.adopt, handle, "one", "ES384")
    failing("backend.unsupported", backend.adopt, handle, "one", "ML-DSA-44")
    failing("backend.unsupported", backend.adopt, handle, "no-signing", "ES256")
    failing("backend.unsupported", backend.adopt, handle, "fixed", "ES256")
    assert "id:HEX" in failing("backend.failed", backend.adopt, handle, "twin", "ES256").message
    assert backend.find(handle) is None
    with softhsm.raw_session(token) as session:
        assert len(objects(session, "one")) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pin": "1234"}, "unknown option pin"),
        ({"pin-source": "1234"}, "file:PATH"),
        ({"pin-source": "file:/nowhere"}, "cannot be read"),
        ({"module-path": "/nowhere.so"}, "no file at module-path"),
        ({"sessions": "0"}, "from 1 to 256"),
        ({"rsa-bits": "1024"}, "2048, 3072 or 4096"),
    ],
)
def test_a_uri_that_is_wrong_is_refused_at_the_start(token: softhsm.Token, changes: dict[str, str], said: str) -> None:
    with pytest.raises(sw.ConfigurationError, match=said) as caught:
        open_backend("hsm", token.uri(**changes))
    assert caught.value.reason == "settings.backend"


@pytest.mark.parametrize("path", ["prod", "token=", "token=prod;object=key", "slot-id=3"])
def test_a_token_is_named_by_its_label_and_by_nothing_else(token: softhsm.Token, path: str) -> None:
    with pytest.raises(sw.ConfigurationError, match="label alone"):
        open_backend("hsm", token.uri().replace(f"token={token.label}", path, 1))


def test_a_file_that_is_no_module_fails_with_a_reason(token: softhsm.Token, handle: str, tmp_path: Path) -> None:
    (tmp_path / "module.so").write_bytes(b"no library")
    with contextlib.closing(open_backend("hsm", token.uri(module_path=tmp_path / "module.so"))) as backend:
        failing("backend.failed", backend.find, handle)


def test_the_walk_through_on_its_page_works(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "backends" / "pkcs11.md").read_text("utf-8")
    script = page.split("```sh\n")[1].split("```")[0].replace(softhsm.MODULES[0], softhsm.module())
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-eu", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("signed: True - keys: 1\n")
