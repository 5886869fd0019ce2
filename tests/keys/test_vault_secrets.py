"""HMAC secrets in the key-value engine of a real OpenBao: races, what the policy allows, what others write there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import openbao
import pytest
from backend_failing import failing
from between import Between
from openbao import OpenBao

import sealwright as sw
from sealwright.keys.backend_uri import BackendUri
from sealwright.keys.backends.vault.key_values import VaultSecrets
from sealwright.keys.retrying import Retrying
from sealwright.wiring.key_backends import open_backend

QUICK = Retrying(attempts=3, first_wait_s=0.01)


@pytest.fixture(scope="module")
def bao() -> OpenBao:
    return openbao.shared()


@pytest.fixture
def token_file(bao: OpenBao, tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(bao.token(openbao.documented_secrets_policy()), "utf-8")
    return file


@pytest.fixture
def backend(bao: OpenBao, token_file: Path) -> Iterator[VaultSecrets]:
    made = opened(openbao.secrets_uri(bao.url, token_file))
    yield made
    made.close()


def opened(uri: str) -> VaultSecrets:
    return VaultSecrets.open(BackendUri.parse(uri), QUICK)


@pytest.mark.parametrize("may_overwrite", [False, True])
def test_processes_that_make_the_same_secret_at_once_agree_on_one(
    bao: OpenBao, token_file: Path, handle: str, may_overwrite: bool
) -> None:
    if may_overwrite:
        token_file.write_text(openbao.ROOT_TOKEN, "utf-8")
    barrier, answers = threading.Barrier(6), []
    backends = [opened(openbao.secrets_uri(bao.url, token_file)) for _ in range(6)]

    def make(one: VaultSecrets) -> None:
        barrier.wait()
        answers.append(one.generate(handle, "HS256"))

    threads = [threading.Thread(target=make, args=(one,)) for one in backends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [backends[0].find(handle)] * 6
    assert bao.ask("GET", f"secret/metadata/sealwright/{handle}")["data"]["current_version"] == 1
    for one in backends:
        one.close()


def test_an_answer_that_was_lost_does_not_cost_the_secret(bao: OpenBao, token_file: Path, handle: str) -> None:
    with Between(bao.url) as between:
        backend = opened(openbao.secrets_uri(between.url, token_file))
        between.lost = {f"POST /v1/secret/data/sealwright/{handle}"}
        made = backend.generate(handle, "HS256")
        assert made == backend.find(handle)
        assert not between.lost
        backend.close()


def test_the_documented_policy_lets_nobody_write_over_a_secret_or_read_another_path(
    bao: OpenBao, token_file: Path, backend: VaultSecrets, handle: str
) -> None:
    backend.generate(handle, "HS256")
    bao.ask("POST", "secret/data/theirs", {"data": {"password": "x"}})
    for method, path, body in (
        ("POST", f"secret/data/sealwright/{handle}", {"data": {"k": "mine"}}),
        ("DELETE", f"secret/data/sealwright/{handle}", None),
        ("GET", "secret/data/theirs", None),
        ("LIST", "secret/metadata", None),
    ):
        with pytest.raises(OSError, match="403"):
            bao.ask(method, path, body, token_file.read_text("utf-8"))


def test_what_somebody_writes_over_a_secret_changes_nothing(bao: OpenBao, backend: VaultSecrets, handle: str) -> None:
    made = backend.generate(handle, "HS256")
    bao.ask("POST", f"secret/data/sealwright/{handle}", {"data": {"kty": "oct", "k": "AAAA", "alg": "HS256"}})
    assert backend.find(handle) == made
    backend.destroy(handle)
    with pytest.raises(OSError, match="404"):
        bao.ask("GET", f"secret/metadata/sealwright/{handle}")


def test_a_secret_that_somebody_deleted_is_missing_and_not_made_again(
    bao: OpenBao, backend: VaultSecrets, handle: str
) -> None:
    made = backend.generate(handle, "HS256")
    bao.ask("DELETE", f"secret/data/sealwright/{handle}")
    failing("backend.key_missing", lambda: backend.sign(handle, b"data"))
    failing("backend.failed", lambda: backend.generate(handle, "HS256"))
    bao.ask("POST", f"secret/undelete/sealwright/{handle}", {"versions": [1]})
    assert backend.generate(handle, "HS256") == made


def test_what_is_no_secret_of_ours_is_not_listed_and_not_used(bao: OpenBao, backend: VaultSecrets, handle: str) -> None:
    bao.ask("POST", f"secret/data/sealwright/{handle}", {"data": {"password": "hush"}})
    bao.ask("POST", "secret/data/sealwright/notes", {"data": {"a": "b"}})
    bao.ask("POST", f"secret/data/sealwright/{handle}/below", {"data": {"a": "b"}})
    assert list(backend.handles()).count(handle) == 1
    assert "notes" not in backend.handles()
    error = failing("backend.failed", lambda: backend.reveal(handle))
    assert "hush" not in repr(error) + str(error.detail)


def test_an_engine_of_version_1_is_refused(bao: OpenBao, token_file: Path, handle: str) -> None:
    bao.ask("POST", f"sys/mounts/old-{handle}", {"type": "kv", "options": {"version": "1"}})
    token_file.write_text(openbao.ROOT_TOKEN, "utf-8")
    backend = opened(openbao.secrets_uri(bao.url, token_file).replace("/secret?", f"/old-{handle}?"))
    assert "version 2" in failing("backend.failed", lambda: backend.generate(handle, "HS256")).message
    backend.close()


def test_the_prefix_is_where_the_secrets_are(bao: OpenBao, token_file: Path, handle: str) -> None:
    policy = openbao.documented_secrets_policy().replace("sealwright", "teams/orders")
    token_file.write_text(bao.token(policy), "utf-8")
    backend = opened(openbao.secrets_uri(bao.url, token_file, prefix="teams/orders"))
    assert list(backend.handles()) == []
    backend.generate(handle, "HS512")
    assert list(backend.handles()) == [handle]
    assert bao.ask("GET", f"secret/data/teams/orders/{handle}")["data"]["data"]["alg"] == "HS512"
    backend.close()


@pytest.mark.parametrize(
    ("more", "named"), [({"prefix": "/a"}, "prefix"), ({"prefix": "a//b"}, "prefix"), ({"x": "1"}, "x")]
)
def test_a_uri_that_is_wrong_is_named(token_file: Path, more: dict[str, str], named: str) -> None:
    with pytest.raises(sw.ConfigurationError, match=named):
        open_backend("bao-secrets", openbao.secrets_uri("http://127.0.0.1:1", token_file, **more))


def test_it_makes_no_keys_of_other_kinds(backend: VaultSecrets, handle: str) -> None:
    failing("backend.unsupported", lambda: backend.generate(handle, "ES256"))
    failing("backend.unsupported", lambda: backend.adopt(handle, "orders", "HS256"))
    failing("backend.unsupported", lambda: backend.import_private(handle, sw.PrivateJWK.generate("ES256")))
    assert backend.find(handle) is None
