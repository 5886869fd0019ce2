"""Google Cloud KMS through its own SDK, against a server of the same protocol that can fail on demand."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from backend_failing import failing
from fake_gcp_kms import RING, FakeGcpKms, State
from google.auth.exceptions import DefaultCredentialsError

import sealwright as sw
from sealwright.jose.jwk import PrivateJWK
from sealwright.keys.backends.gcp_kms.backend import DESTROYED, HANDLE, GcpKmsBackend
from sealwright.keys.backends.gcp_kms.calls import connecting_to
from sealwright.keys.crc32c import crc32c
from sealwright.keys.retrying import Retrying
from sealwright.wiring.key_backends import open_backend

HANDLE_1, HANDLE_2 = "1" * 32, "2" * 32
QUICK = Retrying(first_wait_s=0.002)
KEY_1 = f"{RING}/cryptoKeys/sealwright-{HANDLE_1}"
Code = grpc.StatusCode


@pytest.fixture
def google() -> Iterator[FakeGcpKms]:
    with contextlib.closing(FakeGcpKms()) as fake:
        yield fake


@pytest.fixture
def opened(google: FakeGcpKms) -> Iterator[Callable[..., GcpKmsBackend]]:
    with contextlib.ExitStack() as stack:

        def open_one(**named: Any) -> GcpKmsBackend:
            connect = connecting_to(f"127.0.0.1:{google.port}")
            made = GcpKmsBackend(RING, connect=connect, **{"retrying": QUICK, "generating": QUICK, **named})
            return stack.enter_context(contextlib.closing(made))

        yield open_one


@pytest.fixture
def backend(opened: Callable[..., GcpKmsBackend]) -> GcpKmsBackend:
    return opened()


def test_a_signature_is_one_call_once_the_key_is_known(google: FakeGcpKms, opened: Any) -> None:
    opened().generate(HANDLE_1, "ES256")
    backend = opened()
    google.calls.clear()
    for _ in range(10):
        backend.sign(HANDLE_1, b"data")
    assert google.calls == {"GetCryptoKeyVersion": 1, "GetPublicKey": 1, "AsymmetricSign": 10}


def test_an_hsm_has_secp256k1_too_and_large_rsa_keys_are_made_where_asked_for(google: FakeGcpKms, opened: Any) -> None:
    hsm = opened(hsm=True, rsa_bits="3072")
    for handle, alg in ((HANDLE_1, "ES256K"), (HANDLE_2, "RS256"), ("3" * 32, "PS512")):
        public = hsm.generate(handle, alg)
        assert public.verify(hsm.sign(handle, b"data").value, b"data")
    templates = {key.version_template.algorithm.name for key in google.keys.values()}
    assert templates == {"EC_SIGN_SECP256K1_SHA256", "RSA_SIGN_PKCS1_3072_SHA256", "RSA_SIGN_PSS_4096_SHA512"}
    assert {key.version_template.protection_level.name for key in google.keys.values()} == {"HSM"}


def test_an_algorithm_that_the_ring_lacks_is_refused_before_anything_is_made(google: FakeGcpKms, backend: Any) -> None:
    assert "ES256K" not in backend.algorithms
    failing("backend.unsupported", backend.generate, HANDLE_1, "ES256K")
    failing("backend.unsupported", backend.import_private, HANDLE_1, PrivateJWK.generate("ES256"))
    assert not google.keys


def test_a_key_that_takes_its_time_is_waited_for_but_not_for_ever(google: FakeGcpKms, opened: Any) -> None:
    google.reads_until_generated = 2
    public = opened().generate(HANDLE_1, "ES256")
    assert public.algorithm.name == "ES256"
    google.reads_until_generated = 1000
    error = failing("backend.failed", opened().generate, HANDLE_2, "ES256")
    assert "repeat" in error.message


def test_a_creator_that_died_before_it_was_told_finds_its_key_again(google: FakeGcpKms, opened: Any) -> None:
    google.reads_until_generated = 1000
    failing("backend.failed", opened().generate, HANDLE_1, "ES256")
    google.versions[f"{KEY_1}/cryptoKeyVersions/1"].state = State.ENABLED
    google.keys[KEY_1].labels = {}
    public = opened().generate(HANDLE_1, "ES256")
    assert public == opened().find(HANDLE_1)
    assert list(opened().handles()) == [HANDLE_1]
    assert google.calls["CreateCryptoKey"] == 1


def test_threads_that_make_one_handle_at_once_make_one_key(google: FakeGcpKms, backend: Any) -> None:
    google.latency_s = 0.05
    threads = [threading.Thread(target=lambda: made.append(backend.generate(HANDLE_1, "ES256"))) for _ in range(6)]
    made: list[Any] = []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert len(set(map(repr, made))) == 1
    assert len(google.versions) == 1


@pytest.mark.parametrize("code", [Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE, Code.INTERNAL, Code.DEADLINE_EXCEEDED])
def test_a_call_that_was_throttled_or_interrupted_is_repeated(google: FakeGcpKms, backend: Any, code: Any) -> None:
    public = backend.generate(HANDLE_1, "ES256")
    google.fail("AsymmetricSign", code, times=3)
    assert public.verify(backend.sign(HANDLE_1, b"data").value, b"data")
    assert google.calls["AsymmetricSign"] == 4


@pytest.mark.parametrize(
    ("code", "reason", "calls"),
    [
        (Code.RESOURCE_EXHAUSTED, "backend.throttled", 4),
        (Code.UNAVAILABLE, "backend.failed", 4),
        (Code.PERMISSION_DENIED, "backend.failed", 1),
        (Code.INVALID_ARGUMENT, "backend.failed", 1),
        (Code.NOT_FOUND, "backend.key_missing", 1),
    ],
)
def test_a_call_that_keeps_failing_says_why_and_nothing_of_the_vendors_text(
    google: FakeGcpKms, backend: Any, code: Any, reason: str, calls: int
) -> None:
    backend.generate(HANDLE_1, "ES256")
    google.fail("AsymmetricSign", code, times=100)
    error = failing(reason, backend.sign, HANDLE_1, b"data")
    assert google.calls["AsymmetricSign"] == calls
    assert error.__cause__ is not None
    assert "secret-of-the-vendor" in str(error.__cause__)
    assert "secret-of-the-vendor" not in f"{error} {error.detail} {error!r}"


def test_an_outage_is_a_backend_failure_and_ends_with_it(google: FakeGcpKms, opened: Any) -> None:
    backend = opened()
    public = backend.generate(HANDLE_1, "ES256")
    google.fail("AsymmetricSign", Code.UNAVAILABLE, times=4)
    failing("backend.failed", backend.sign, HANDLE_1, b"data")
    assert public.verify(backend.sign(HANDLE_1, b"data").value, b"data")
    google.close()
    failing("backend.failed", backend.sign, HANDLE_1, b"data")


def test_a_missing_credential_is_a_backend_failure() -> None:
    def connect() -> Any:
        raise DefaultCredentialsError("no file, no metadata server")

    error = failing("backend.failed", GcpKmsBackend(RING, connect=connect).sign, HANDLE_1, b"data")
    assert "credentials" in error.message


@pytest.mark.parametrize("alg", ["ES256", "Ed25519"])
@pytest.mark.parametrize("what", ["signature", "digest", "pem"])
def test_what_was_damaged_on_its_way_is_asked_for_again_and_never_used(
    google: FakeGcpKms, opened: Any, what: str, alg: str
) -> None:
    public = opened().generate(HANDLE_1, alg)
    google.damaged[what] = 1
    backend = opened()
    assert public.verify(backend.sign(HANDLE_1, b"data").value, b"data")
    assert google.damaged[what] == 0
    google.damaged[what] = 100
    error = failing("backend.failed", opened().sign, HANDLE_1, b"data")
    assert "damaged" in error.message


def test_checksums_are_those_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"\0" * 32) == 0x8A9136AA
    assert crc32c(b"") == 0


def test_a_key_that_another_process_switched_off_says_so(opened: Any) -> None:
    here, elsewhere = opened(), opened()
    public = here.generate(HANDLE_1, "ES256")
    elsewhere.disable(HANDLE_1)
    failing("backend.key_disabled", here.sign, HANDLE_1, b"data")
    failing("backend.key_disabled", opened().sign, HANDLE_1, b"data")
    failing("backend.key_disabled", opened().find, HANDLE_1)
    assert here.find(HANDLE_1) == public
    elsewhere.enable(HANDLE_1)
    assert public.verify(here.sign(HANDLE_1, b"data").value, b"data")


def test_a_key_that_another_process_destroyed_is_missing_and_stays_so(google: FakeGcpKms, opened: Any) -> None:
    here, elsewhere = opened(), opened()
    here.generate(HANDLE_1, "ES256")
    elsewhere.destroy(HANDLE_1)
    failing("backend.key_missing", here.sign, HANDLE_1, b"data")
    failing("backend.key_missing", here.generate, HANDLE_1, "ES256")
    here.enable(HANDLE_1)
    assert here.find(HANDLE_1) is None
    assert google.versions[f"{KEY_1}/cryptoKeyVersions/1"].state == State.DESTROY_SCHEDULED


def test_a_destruction_that_was_cut_short_is_finished_by_repeating_it(google: FakeGcpKms, opened: Any) -> None:
    opened().generate(HANDLE_1, "ES256")
    google.fail("UpdateCryptoKey", Code.PERMISSION_DENIED)
    failing("backend.failed", opened().destroy, HANDLE_1)
    assert opened().find(HANDLE_1) is None
    opened().destroy(HANDLE_1)
    opened().destroy(HANDLE_1)
    assert list(opened().handles()) == []
    assert google.keys[KEY_1].labels == {HANDLE: HANDLE_1, DESTROYED: "true"}
    assert (google.calls["DestroyCryptoKeyVersion"], google.calls["UpdateCryptoKey"]) == (1, 2)


def foreign(google: FakeGcpKms, algorithm: str = "EC_SIGN_P256_SHA256") -> str:
    """A key with two versions that somebody else has made; the name of the second."""
    with grpc.insecure_channel(f"127.0.0.1:{google.port}") as channel:
        from google.cloud.kms_v1 import KeyManagementServiceClient
        from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport

        client = KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))
        key = {"purpose": "ASYMMETRIC_SIGN", "version_template": {"algorithm": algorithm}, "labels": {"team": "blue"}}
        made = client.create_crypto_key(parent=RING, crypto_key_id="theirs", crypto_key=key)
        name: str = client.create_crypto_key_version(parent=made.name, crypto_key_version={}).name
        return name


def test_a_key_of_somebody_else_is_adopted_with_the_version_that_was_named(google: FakeGcpKms, opened: Any) -> None:
    reference = foreign(google)
    public = opened().adopt(HANDLE_1, reference, "ES256")
    assert opened().adopt(HANDLE_1, reference, "ES256") == public == opened().generate(HANDLE_1, "ES256")
    assert public.verify(opened().sign(HANDLE_1, b"data").value, b"data")
    assert list(opened().handles()) == [HANDLE_1]
    assert google.keys[f"{RING}/cryptoKeys/theirs"].labels["team"] == "blue"
    opened().destroy(HANDLE_1)
    assert opened().find(HANDLE_1) is None
    assert list(opened().handles()) == []
    assert google.versions[reference].state == State.DESTROY_SCHEDULED
    assert google.versions[reference[:-1] + "1"].state == State.ENABLED


def test_what_does_not_fit_is_not_adopted(google: FakeGcpKms, backend: Any) -> None:
    reference = foreign(google)
    own = backend.generate(HANDLE_2, "ES256")
    failing("backend.unsupported", backend.adopt, HANDLE_1, reference, "ES384")
    failing("backend.unsupported", backend.adopt, HANDLE_1, reference.replace("tests", "others"), "ES256")
    failing("backend.unsupported", backend.adopt, HANDLE_1, reference.rpartition("/cryptoKeyVersions")[0], "ES256")
    failing(
        "backend.unsupported",
        backend.adopt,
        HANDLE_1,
        f"{KEY_1}/cryptoKeyVersions/1".replace("1" * 32, HANDLE_2),
        "ES256",
    )
    failing("backend.key_missing", backend.adopt, HANDLE_1, reference[:-1] + "9", "ES256")
    assert backend.find(HANDLE_1) is None
    assert backend.find(HANDLE_2) == own


def test_keys_beyond_the_first_page_are_listed(google: FakeGcpKms, backend: Any) -> None:
    made = {f"{number:032x}" for number in range(5)}
    for handle in made:
        backend.generate(handle, "ES256")
    assert set(backend.handles()) == made
    assert google.calls["ListCryptoKeys"] > 2


def test_input_beyond_the_limit_of_google_is_refused_before_it_is_sent(google: FakeGcpKms, backend: Any) -> None:
    public = backend.generate(HANDLE_1, "Ed25519")
    assert public.verify(backend.sign(HANDLE_1, b"x" * 65_536).value, b"x" * 65_536)
    with pytest.raises(sw.RejectedError) as caught:
        backend.sign(HANDLE_1, b"x" * 65_537)
    assert caught.value.reason == "backend.input_too_large"
    assert google.calls["AsymmetricSign"] == 1


def test_a_child_process_signs_with_a_backend_that_its_parent_has_used(google: FakeGcpKms) -> None:
    program = f"""
        import os
        from sealwright.wiring.key_backends import open_backend
        backend = open_backend("gcpkms", {google.uri!r})
        public = backend.generate("{HANDLE_1}", "ES256")
        child = os.fork()
        good = public.verify(backend.sign("{HANDLE_1}", b"data").value, b"data")
        if child == 0:
            os._exit(0 if good else 1)
        assert good and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert public.verify(backend.sign("{HANDLE_1}", b"data").value, b"data")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "uri",
    [
        "gcpkms:projects/p/locations/l",
        "gcpkms://host/projects/p/locations/l/keyRings/r",
        f"gcpkms:{RING}?protection=none",
        f"gcpkms:{RING}?rsa-bits=1024",
        f"gcpkms:{RING}?token=x",
        f"gcpkms:{RING}?endpoint=user:word@host",
    ],
)
def test_a_wrong_uri_is_refused_when_it_is_read(uri: str) -> None:
    with pytest.raises(sw.ConfigurationError) as caught:
        open_backend("gcpkms", uri)
    assert caught.value.reason == "settings.backend"


def test_only_loopback_is_spoken_to_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    backend = open_backend("gcpkms", f"gcpkms:{RING}?endpoint=kms.example:443")
    error = failing("backend.failed", backend.find, HANDLE_1)
    assert isinstance(error.__cause__, DefaultCredentialsError)
