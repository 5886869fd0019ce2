"""Azure Key Vault through its own SDK, against a server of the same protocol that can fail on demand."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from backend_failing import failing
from fake_azure_key_vault import FakeAzureKeyVault

import sealwright as sw
from sealwright.jose.jwk import PrivateJWK
from sealwright.keys.backend_uri import BackendUri
from sealwright.keys.backends.azure_key_vault.backend import AzureKeyVaultBackend
from sealwright.keys.backends.azure_key_vault.calls import FixedToken, Vault
from sealwright.keys.backends.azure_key_vault.vault_keys import ALGORITHM, HANDLE
from sealwright.keys.retrying import Retrying
from sealwright.wiring.key_backends import open_backend

HANDLE_1, HANDLE_2 = "1" * 32, "2" * 32
KEY_1 = f"sealwright-{HANDLE_1}"
QUICK = Retrying(first_wait_s=0.002)


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[FakeAzureKeyVault]:
    with contextlib.closing(FakeAzureKeyVault(tmp_path)) as fake:
        yield fake


@pytest.fixture
def opened(azure: FakeAzureKeyVault, tmp_path: Path) -> Iterator[Callable[..., AzureKeyVaultBackend]]:
    with contextlib.ExitStack() as stack:

        def open_one(**named: Any) -> AzureKeyVaultBackend:
            vault = Vault(azure.url, str(tmp_path / "ca.pem"), FixedToken(azure.token))
            made = AzureKeyVaultBackend(vault, **{"retrying": QUICK, "settle_s": 0.0, **named})
            return stack.enter_context(contextlib.closing(made))

        yield open_one


@pytest.fixture
def backend(opened: Callable[..., AzureKeyVaultBackend]) -> AzureKeyVaultBackend:
    return opened()


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Each call in a thread of its own; their answers."""
    with futures.ThreadPoolExecutor(len(calls)) as pool:
        return [one.result() for one in [pool.submit(call) for call in calls]]


def test_a_signature_is_one_call_once_the_key_is_known(azure: FakeAzureKeyVault, opened: Any) -> None:
    opened().generate(HANDLE_1, "ES256")
    backend = opened()
    azure.calls.clear()
    for _ in range(10):
        backend.sign(HANDLE_1, b"data")
    assert azure.calls == {"versions": 1, "get": 1, "sign": 10}


def test_a_signature_tells_what_azure_calls_the_request(backend: Any) -> None:
    backend.generate(HANDLE_1, "ES256")
    ids = {backend.sign(HANDLE_1, b"data").request_id for _ in range(3)}
    assert None not in ids
    assert len(ids) == 3


@pytest.mark.parametrize("alg", ["RS384", "RS512", "PS384", "PS512", "ES512", "ES256K"])
def test_every_algorithm_signs_in_a_vault_and_in_an_hsm(azure: FakeAzureKeyVault, opened: Any, alg: str) -> None:
    for handle, hsm in ((HANDLE_1, False), (HANDLE_2, True)):
        backend = opened(hsm=hsm, rsa_bits="3072")
        public = backend.generate(handle, alg)
        assert public.verify(backend.sign(handle, b"data").value, b"data")
    kind = {"E": "EC"}.get(alg[0], "RSA")
    assert [versions[0]["kty"] for versions in azure.keys.values()] == [kind, f"{kind}-HSM"]
    sizes = {versions[0]["private"].key_size for versions in azure.keys.values()}
    assert kind == "EC" or sizes == {3072}


def test_an_rsa_key_keeps_the_algorithm_it_was_made_for(opened: Any) -> None:
    opened().generate(HANDLE_1, "PS256")
    assert opened().find(HANDLE_1).algorithm.name == "PS256"
    assert opened().generate(HANDLE_1, "RS256").algorithm.name == "PS256"


def test_what_a_vault_lacks_is_refused_before_anything_is_made(azure: FakeAzureKeyVault, backend: Any) -> None:
    assert "Ed25519" not in backend.algorithms
    failing("backend.unsupported", backend.generate, HANDLE_1, "Ed25519")
    failing("backend.unsupported", backend.import_private, HANDLE_1, PrivateJWK.generate("ES256"))
    assert not azure.keys


def test_two_creators_that_know_nothing_of_each_other_agree_on_one_key(azure: FakeAzureKeyVault, opened: Any) -> None:
    azure.created_ago_s = 0
    azure.hold(2)
    one, two = opened(settle_s=1.1), opened(settle_s=1.1)
    first, second = at_once(lambda: one.generate(HANDLE_1, "ES256"), lambda: two.generate(HANDLE_1, "ES256"))
    assert len(azure.keys[KEY_1]) == 2
    assert first == second == opened().find(HANDLE_1)
    for backend in (one, two, opened()):
        assert first.verify(backend.sign(HANDLE_1, b"data").value, b"data")


def test_who_comes_while_two_are_creating_waits_for_the_same_answer(azure: FakeAzureKeyVault, opened: Any) -> None:
    azure.created_ago_s = 0
    opened().generate(HANDLE_1, "ES256")
    reader = opened(settle_s=0.5)
    early = azure.keys[KEY_1][0]
    early["version"] = "f" * 32

    def second_creator() -> None:
        for _ in range(2000):
            if azure.calls["versions"] == 3:  # two by the first creator, then the reader's
                break
            time.sleep(0.001)
        azure._create(KEY_1, {"kty": "EC", "crv": "P-256"}, "")
        azure.keys[KEY_1][1] |= {"version": "0" * 32, "created": early["created"]}

    found, _ = at_once(lambda: reader.find(HANDLE_1), second_creator)
    assert found == opened().find(HANDLE_1)
    assert found.verify(reader.sign(HANDLE_1, b"data").value, b"data")


def test_a_later_version_changes_nothing_for_anybody(azure: FakeAzureKeyVault, opened: Any) -> None:
    here = opened()
    public = here.generate(HANDLE_1, "ES256")
    for _ in range(4):  # somebody's rotation policy; more than one page
        azure.created_ago_s -= 60
        azure._create(KEY_1, {"kty": "EC", "crv": "P-256"}, "")
    assert opened().find(HANDLE_1) == here.find(HANDLE_1) == public == opened().generate(HANDLE_1, "ES256")
    assert public.verify(opened().sign(HANDLE_1, b"data").value, b"data")
    opened().disable(HANDLE_1)
    assert [version["enabled"] for version in azure.keys[KEY_1]] == [False, True, True, True, True]
    failing("backend.key_disabled", here.sign, HANDLE_1, b"data")


@pytest.mark.parametrize("alg", ["ES256", "PS256"])
def test_a_key_that_never_got_its_tags_gets_them_when_it_is_made_again(
    azure: FakeAzureKeyVault, opened: Any, alg: str
) -> None:
    public = opened().generate(HANDLE_1, alg)
    azure.keys[KEY_1][0]["tags"] = {}
    if alg == "PS256":
        failing("backend.failed", opened().find, HANDLE_1)
        assert opened().generate(HANDLE_1, alg) == public
        assert azure.keys[KEY_1][0]["tags"] == {HANDLE: HANDLE_1, ALGORITHM: "PS256"}
    assert opened().find(HANDLE_1) == public
    assert list(opened().handles()) == [HANDLE_1]
    assert azure.calls["create"] == 1


def test_a_creator_whose_answer_was_lost_finds_its_key_again(azure: FakeAzureKeyVault, opened: Any) -> None:
    azure.fail("get", 403, "Forbidden")  # made, and then nothing more is answered
    failing("backend.failed", opened().generate, HANDLE_1, "ES256")
    assert opened().generate(HANDLE_1, "ES256") == opened().find(HANDLE_1)
    assert azure.calls["create"] == 1


@pytest.mark.parametrize("status", [429, 408, 500, 503])
def test_a_call_that_was_throttled_or_interrupted_is_repeated(
    azure: FakeAzureKeyVault, backend: Any, status: int
) -> None:
    public = backend.generate(HANDLE_1, "ES256")
    azure.fail("sign", status, "Throttled", times=3)
    assert public.verify(backend.sign(HANDLE_1, b"data").value, b"data")
    assert azure.calls["sign"] == 4


@pytest.mark.parametrize(
    ("status", "code", "reason", "calls"),
    [
        (429, "Throttled", "backend.throttled", 4),
        (503, "Unavailable", "backend.failed", 4),
        (403, "ForbiddenByRbac", "backend.failed", 1),
        (403, "KeyDisabled", "backend.key_disabled", 1),
        (400, "BadParameter", "backend.failed", 1),
        (404, "KeyNotFound", "backend.key_missing", 1),
        (307, "Moved", "backend.failed", 1),
    ],
)
def test_a_call_that_keeps_failing_says_why_and_nothing_of_the_vendors_text(  # noqa: PLR0917
    azure: FakeAzureKeyVault, backend: Any, status: int, code: str, reason: str, calls: int
) -> None:
    backend.generate(HANDLE_1, "ES256")
    azure.fail("sign", status, code, times=100)
    error = failing(reason, backend.sign, HANDLE_1, b"data")
    assert azure.calls["sign"] == calls
    assert code in error.detail
    assert "secret-of-the-vendor" in str(error.__cause__)
    for hidden in ("secret-of-the-vendor", azure.token):
        assert hidden not in f"{error} {error.detail} {error!r} {vars(backend)!r}"


def test_an_outage_is_a_backend_failure(azure: FakeAzureKeyVault, opened: Any) -> None:
    backend = opened()
    backend.generate(HANDLE_1, "ES256")
    azure.close()
    backend.close()
    failing("backend.failed", backend.sign, HANDLE_1, b"data")


def test_a_server_of_another_authority_is_not_spoken_to(azure: FakeAzureKeyVault) -> None:
    backend = AzureKeyVaultBackend(Vault(azure.url, None, FixedToken(azure.token)), retrying=QUICK)
    failing("backend.failed", backend.find, HANDLE_1)
    assert not azure.calls
    assert not azure.challenges
    backend.close()


def test_a_credential_that_is_refused_is_a_backend_failure(azure: FakeAzureKeyVault, tmp_path: Path) -> None:
    vault = Vault(azure.url, str(tmp_path / "ca.pem"), FixedToken("expired"))
    with contextlib.closing(AzureKeyVaultBackend(vault, retrying=QUICK)) as backend:
        error = failing("backend.failed", backend.find, HANDLE_1)
    assert isinstance(error.__cause__, ClientAuthenticationError)
    assert "credential" in error.message
    assert "expired" not in repr(vault)


def test_a_vault_that_asks_for_a_token_of_others_gets_none(azure: FakeAzureKeyVault, tmp_path: Path) -> None:
    with contextlib.closing(
        AzureKeyVaultBackend(Vault(azure.url, str(tmp_path / "ca.pem")), retrying=QUICK)
    ) as backend:
        error = failing("backend.failed", backend.find, HANDLE_1)
    assert "challenge resource" in str(error.__cause__)
    assert (azure.challenges, sum(azure.calls.values())) == (1, 0)


@pytest.mark.parametrize("refused", [False, True])
def test_a_key_that_another_process_switched_off_says_so(azure: FakeAzureKeyVault, opened: Any, refused: bool) -> None:
    azure.refuse_disabled_reads = refused  # whether Azure shows the public half of a disabled key
    here, elsewhere = opened(), opened()
    public = here.generate(HANDLE_1, "ES256")
    elsewhere.disable(HANDLE_1)
    elsewhere.disable(HANDLE_1)
    failing("backend.key_disabled", here.sign, HANDLE_1, b"data")
    failing("backend.key_disabled", opened().sign, HANDLE_1, b"data")
    opened().enable(HANDLE_1)
    assert opened().find(HANDLE_1) == public
    assert public.verify(here.sign(HANDLE_1, b"data").value, b"data")


def test_a_key_that_another_process_destroyed_is_missing_and_stays_so(azure: FakeAzureKeyVault, opened: Any) -> None:
    here, elsewhere = opened(), opened()
    here.generate(HANDLE_1, "ES256")
    elsewhere.destroy(HANDLE_1)
    failing("backend.key_missing", here.sign, HANDLE_1, b"data")
    failing("backend.key_missing", here.generate, HANDLE_1, "ES256")
    here.enable(HANDLE_1)
    here.destroy(HANDLE_1)
    assert here.find(HANDLE_1) is None
    assert azure.deleted == {KEY_1}


def test_a_key_of_somebody_else_is_adopted_and_stays_with_the_version_it_had(
    azure: FakeAzureKeyVault, opened: Any
) -> None:
    azure._create("theirs", {"kty": "RSA", "key_size": 2048}, "")
    azure._create("theirs", {"kty": "RSA", "key_size": 2048, "tags": {"team": "blue"}}, "")
    current = azure.keys["theirs"][1]
    public = opened().adopt(HANDLE_1, "theirs", "PS256")
    assert opened().find(HANDLE_1) == public
    assert opened().adopt(HANDLE_1, f"{azure.url}/keys/theirs/{current['version']}", "PS256") == public
    assert opened().find(HANDLE_1) == public == opened().generate(HANDLE_1, "PS256")
    assert current["tags"]["team"] == "blue"
    azure._create("theirs", {"kty": "RSA", "key_size": 2048, "tags": current["tags"]}, "")
    assert public.verify(opened().sign(HANDLE_1, b"data").value, b"data")
    assert list(opened().handles()) == [HANDLE_1]
    opened().destroy(HANDLE_1)
    assert opened().find(HANDLE_1) is None


def test_what_does_not_fit_is_not_adopted(azure: FakeAzureKeyVault, backend: Any) -> None:
    azure._create("theirs", {"kty": "EC", "crv": "P-256"}, "")
    azure._create("theirs", {"kty": "EC", "crv": "P-256"}, "")
    backend.generate(HANDLE_2, "ES256")
    old = f"{azure.url}/keys/theirs/{azure.keys['theirs'][0]['version']}"
    for reference in (old, f"sealwright-{HANDLE_2}", "https://other.vault.azure.net/keys/theirs", "no/key"):
        failing("backend.unsupported", backend.adopt, HANDLE_1, reference, "ES256")
    failing("backend.unsupported", backend.adopt, HANDLE_1, "theirs", "ES384")
    failing("backend.key_missing", backend.adopt, HANDLE_1, "nobodys", "ES256")
    assert backend.find(HANDLE_1) is None


def test_keys_beyond_the_first_page_are_listed(backend: Any) -> None:
    made = {f"{number:032x}" for number in range(5)}
    for handle in made:
        backend.generate(handle, "ES256")
    assert set(backend.handles()) == made


def test_a_child_process_signs_with_a_backend_that_its_parent_has_used(azure: FakeAzureKeyVault) -> None:
    program = f"""
        import os
        from sealwright.wiring.key_backends import open_backend
        backend = open_backend("azurekv", {azure.uri!r})
        public = backend.generate("{HANDLE_1}", "ES256")
        child = os.fork()
        good = all(public.verify(backend.sign("{HANDLE_1}", b"data").value, b"data") for _ in range(20))
        if child == 0:
            os._exit(0 if good else 1)
        assert good and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "uri",
    [
        "azurekv:",
        "azurekv://name.vault.azure.net/keys",
        "azurekv://name.vault.azure.net?hsm=yes",
        "azurekv://name.vault.azure.net?rsa-bits=1024",
        "azurekv://name.vault.azure.net?ca-file=ca.pem",
        "azurekv://name.vault.azure.net?token=file:token",
        "azurekv://127.0.0.1:1?token=word",
    ],
)
def test_a_wrong_uri_is_refused_when_it_is_read(uri: str) -> None:
    with pytest.raises(sw.ConfigurationError) as caught:
        open_backend("azurekv", uri)
    assert caught.value.reason == "settings.backend"


def test_no_option_of_a_uri_weakens_what_is_checked_of_a_real_vault() -> None:
    backend = AzureKeyVaultBackend.open(BackendUri.parse("azurekv://name.vault.azure.net?hsm=on"))
    options = backend._calls._driver.get()._options
    assert options["verify_challenge_resource"] is True
    assert options["transport"].connection_config.verify is True
    backend.close()
