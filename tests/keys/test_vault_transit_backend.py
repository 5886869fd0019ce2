"""The transit engine on a real OpenBao: races, tokens, throttling, outage, seals, rotated keys, adoption, TLS."""

from __future__ import annotations

import secrets
import socket
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openbao
import pytest
from backend_failing import failing
from between import Answer, Between
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from openbao import OpenBao
from servers import waiting_connections

import sealwright as sw
from sealwright.keys.backend_uri import BackendUri
from sealwright.keys.backends.vault import transit as module
from sealwright.keys.backends.vault.transit import VaultTransitBackend
from sealwright.keys.retrying import Retrying
from sealwright.wiring.key_backends import open_backend

QUICK = Retrying(attempts=3, first_wait_s=0.01)
TOO_LARGE = b'{"data": {"signature": "vault:v1:AAAA", "keys": []}}' + b" " * 2**22
UNSUPPORTED_PATH = (404, b'{"errors":["1 error occurred:\\n\\t* unsupported path\\n\\n"]}')


@pytest.fixture(scope="module")
def bao() -> OpenBao:
    return openbao.shared()


@pytest.fixture
def between(bao: OpenBao) -> Iterator[Between]:
    with Between(bao.url) as proxy:
        yield proxy


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(openbao.ROOT_TOKEN + "\n", "utf-8")
    return file


def opened(url: str, token_file: Path, retrying: Retrying = QUICK) -> VaultTransitBackend:
    return VaultTransitBackend.open(BackendUri.parse(openbao.backend_uri(url, token_file)), retrying)


@pytest.fixture
def backend(between: Between, token_file: Path) -> Iterator[VaultTransitBackend]:
    made = opened(between.url, token_file)
    yield made
    made.close()


def names(bao: OpenBao, handle: str) -> list[str]:
    return [name for name in bao.ask("LIST", "transit/keys")["data"]["keys"] if handle in name]


def test_processes_that_make_the_same_key_at_once_agree_on_one(bao: OpenBao, token_file: Path, handle: str) -> None:
    barrier, answers = threading.Barrier(6), []

    def work() -> None:
        mine = opened(bao.url, token_file)
        barrier.wait()
        answers.append(mine.generate(handle, "PS256"))
        mine.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert len(set(answers)) == 1
    assert names(bao, handle) == [f"sealwright-{handle}-ps256"]


def test_a_lost_answer_to_making_a_key_leaves_nothing_double(
    backend: VaultTransitBackend, between: Between, bao: OpenBao, handle: str
) -> None:
    between.lost.add(f"POST /v1/transit/keys/sealwright-{handle}-es256")
    public = backend.generate(handle, "ES256")
    assert len(names(bao, handle)) == 1
    assert public.verify(backend.sign(handle, b"data").value, b"data")


def test_an_rsa_key_keeps_its_algorithm_for_other_processes(
    backend: VaultTransitBackend, bao: OpenBao, token_file: Path, handle: str
) -> None:
    other = secrets.token_hex(16)
    made = [backend.generate(handle, "PS384"), backend.generate(other, "RS256")]
    fresh = opened(bao.url, token_file)
    assert [fresh.find(handle), fresh.find(other)] == made
    for public, one in zip(made, (handle, other), strict=True):
        assert public.verify(fresh.sign(one, b"data").value, b"data")
    fresh.close()


def test_a_signature_is_one_request_and_public_keys_are_read_once(
    between: Between, token_file: Path, handle: str
) -> None:
    first = opened(between.url, token_file)
    first.generate(handle, "ES256")
    between.seen.clear()
    second = opened(between.url, token_file)
    for backend in (first, second):
        for _ in range(5):
            backend.sign(handle, b"data")
        backend.close()
    verbs = [request.split("?")[0].removesuffix(f"/sealwright-{handle}-es256") for request in between.seen]
    sign = "POST /v1/transit/sign"
    signed = [verb.split("/sealwright-")[0] for verb in verbs]
    assert signed == [sign] * 5 + ["LIST /v1/transit/keys", "GET /v1/transit/keys"] + [sign] * 5


def test_a_signature_comes_with_the_id_of_its_request(backend: VaultTransitBackend, handle: str) -> None:
    backend.generate(handle, "ES256")
    first, second = (backend.sign(handle, b"data").request_id for _ in range(2))
    assert first
    assert second
    assert first != second


@pytest.mark.parametrize(("alg", "hashed"), [("PS256", hashes.SHA256()), ("PS512", hashes.SHA512())])
def test_the_salt_of_pss_is_as_long_as_its_digest(
    backend: VaultTransitBackend, bao: OpenBao, handle: str, alg: str, hashed: Any
) -> None:
    backend.generate(handle, alg)
    data = bao.ask("GET", f"transit/keys/sealwright-{handle}-{alg.lower()}")["data"]
    public: Any = load_pem_public_key(data["keys"]["1"]["public_key"].encode())
    exact = padding.PSS(padding.MGF1(hashed), hashed.digest_size)
    public.verify(backend.sign(handle, b"data").value, b"data", exact, hashed)


@pytest.mark.parametrize("status", [429, 503, 500, 412])
def test_a_passing_refusal_is_repeated(
    backend: VaultTransitBackend, between: Between, handle: str, status: int
) -> None:
    public = backend.generate(handle, "ES256")
    between.answers = [(status, b'{"errors":[]}'), (status, b"<html>")]
    assert public.verify(backend.sign(handle, b"data").value, b"data")


def test_throttling_that_does_not_end_is_said_so(backend: VaultTransitBackend, between: Between, handle: str) -> None:
    backend.generate(handle, "ES256")
    between.seen.clear()
    between.answers = [(429, b"")] * 9
    failing("backend.throttled", lambda: backend.sign(handle, b"data"))
    assert len(between.seen) == 3


def test_a_sealed_server_is_said_to_be_sealed(token_file: Path, handle: str) -> None:
    server = OpenBao()
    try:
        backend = opened(server.url, token_file)
        backend.generate(handle, "ES256")
        server.ask("POST", "sys/seal", {})
        error = failing("backend.failed", lambda: backend.sign(handle, b"data"))
        assert "sealed" in error.message
        assert error.detail == "HTTP 503"
        backend.close()
    finally:
        server.stop()


def test_an_outage_is_a_backend_error_and_ends_when_the_server_is_back(
    bao: OpenBao, token_file: Path, handle: str
) -> None:
    with Between(bao.url) as proxy:
        backend = opened(proxy.url, token_file)
        public = backend.generate(handle, "ES256")
    for call in (lambda: backend.sign(handle, b"x"), lambda: backend.find(handle), backend.handles):
        error = failing("backend.failed", call)
        assert error.detail == "NewConnectionError"
        assert error.__cause__ is not None
    with Between(bao.url, proxy.port):
        assert public.verify(backend.sign(handle, b"data").value, b"data")
    backend.close()


def test_a_server_that_never_answers_is_given_up(token_file: Path, handle: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        uri = openbao.backend_uri(url, token_file).replace("timeout=5", "timeout=0.2")
        backend = VaultTransitBackend.open(BackendUri.parse(uri), QUICK)
        assert failing("backend.failed", lambda: backend.find(handle)).detail == "ReadTimeoutError"
        assert waiting_connections(silent) == 3
        backend.close()


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"data": {}}', b"{}", TOO_LARGE])
def test_an_answer_that_is_none_is_a_backend_error(
    backend: VaultTransitBackend, between: Between, handle: str, answer: bytes
) -> None:
    backend.generate(handle, "ES256")
    between.answers = [(200, answer)] * 3
    with pytest.raises(sw.BackendError):
        backend.sign(handle, b"data")
    between.answers = [(200, answer)] * 3
    with pytest.raises(sw.BackendError):
        backend.find(handle)


def test_a_redirect_is_not_followed(backend: VaultTransitBackend, between: Between, handle: str) -> None:
    backend.generate(handle, "ES256")
    between.seen.clear()
    between.answers = [(307, b"")]
    assert failing("backend.failed", lambda: backend.sign(handle, b"data")).detail == "HTTP 307"
    assert len(between.seen) == 1


def test_a_wrong_token_is_refused_once_and_seen_nowhere(between: Between, token_file: Path, handle: str) -> None:
    token_file.write_text("hush-hush-token", "utf-8")
    backend = opened(between.url, token_file)
    error = failing("backend.failed", lambda: backend.generate(handle, "ES256"))
    assert len(between.seen) == 1
    assert "token" in error.message
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error.detail)
    shown += repr(backend) + repr(vars(backend)) + repr(vars(backend._vault)["_place"])
    assert "hush" not in shown
    backend.close()


def test_a_token_that_an_agent_has_renewed_is_read_again(
    bao: OpenBao, between: Between, token_file: Path, handle: str
) -> None:
    token_file.write_text(bao.token(openbao.documented_policy()), "utf-8")
    backend = opened(between.url, token_file)
    public = backend.generate(handle, "ES256")
    bao.ask("POST", "auth/token/revoke", {"token": token_file.read_text("utf-8")})
    failing("backend.failed", lambda: backend.sign(handle, b"data"))
    token_file.write_text(bao.token(openbao.documented_policy()), "utf-8")
    between.seen.clear()
    for _ in range(2):
        assert public.verify(backend.sign(handle, b"data").value, b"data")
    assert len(between.seen) == 3
    backend.close()


def test_a_token_file_that_has_gone_is_a_backend_error(
    backend: VaultTransitBackend, between: Between, token_file: Path, handle: str
) -> None:
    token_file.unlink()
    between.answers = [(403, b"")] * 9
    assert "token-source" in failing("backend.failed", lambda: backend.find(handle)).message


def test_the_documented_policy_allows_nothing_with_other_keys(bao: OpenBao, token_file: Path, handle: str) -> None:
    bao.ask("POST", f"transit/keys/theirs-{handle}", {"type": "ecdsa-p256"})
    token_file.write_text(bao.token(openbao.documented_policy()), "utf-8")
    backend = opened(bao.url, token_file)
    error = failing("backend.failed", lambda: backend.adopt(handle, f"theirs-{handle}", "ES256"))
    assert error.detail == "HTTP 403"
    backend.generate(handle, "ES256")
    token = token_file.read_text("utf-8")
    ours = f"sealwright-{handle}-es256"
    for method, path, body in (
        ("POST", f"transit/keys/{ours}/config", {"exportable": True}),
        ("GET", f"transit/export/signing-key/{ours}", None),
        ("POST", f"transit/sign/theirs-{handle}", {"input": ""}),
    ):
        with pytest.raises(OSError, match="403"):
            bao.ask(method, path, body, token)
    backend.close()


def test_the_documented_policy_for_an_adopted_key_is_enough_for_its_whole_life(
    bao: OpenBao, token_file: Path, handle: str
) -> None:
    theirs = f"theirs-{handle}"
    bao.ask("POST", f"transit/keys/{theirs}", {"type": "ecdsa-p384"})
    token_file.write_text(bao.token("".join(openbao.documented_policies()[:2]).replace("orders", theirs)), "utf-8")
    backend = opened(bao.url, token_file)
    public = backend.adopt(handle, theirs, "ES384")
    backend.disable(handle)
    failing("backend.key_disabled", lambda: backend.sign(handle, b"data"))
    backend.enable(handle)
    assert public.verify(backend.sign(handle, b"data").value, b"data")
    backend.destroy(handle)
    assert backend.find(handle) is None
    backend.close()


def test_a_key_that_somebody_has_rotated_signs_with_its_first_version(
    backend: VaultTransitBackend, bao: OpenBao, handle: str
) -> None:
    public = backend.generate(handle, "Ed25519")
    bao.ask("POST", f"transit/keys/sealwright-{handle}-ed25519/rotate", {})
    assert public.verify(backend.sign(handle, b"data").value, b"data")
    assert backend.find(handle) == public
    bao.ask("POST", f"transit/keys/sealwright-{handle}-ed25519/config", {"min_encryption_version": 2})
    failing("backend.failed", lambda: backend.sign(handle, b"data"))


def test_a_signature_of_another_version_is_not_taken(
    backend: VaultTransitBackend, between: Between, handle: str
) -> None:
    backend.generate(handle, "ES256")
    between.edit = lambda _operation, _asked, answer: (answer[0], answer[1].replace(b"vault:v1:", b"vault:v2:"))
    failing("backend.wrong_signature", lambda: backend.sign(handle, b"data"))


def test_a_disabled_key_says_so(backend: VaultTransitBackend, handle: str) -> None:
    public = backend.generate(handle, "ES256")
    backend.disable(handle)
    failing("backend.key_disabled", lambda: backend.sign(handle, b"data"))
    assert backend.find(handle) == public
    backend.destroy(handle)
    assert backend.find(handle) is None


def test_where_there_is_no_switch_the_key_goes_on_signing(
    backend: VaultTransitBackend, between: Between, handle: str
) -> None:
    public = backend.generate(handle, "ES256")

    def without_soft_delete(operation: str, _: bytes, answer: Answer) -> Answer:
        return UNSUPPORTED_PATH if "soft-delete" in operation else answer

    between.edit = without_soft_delete
    between.path = lambda path: path.replace("soft-delete", "unknown")
    backend.disable(handle)
    backend.enable(handle)
    assert public.verify(backend.sign(handle, b"data").value, b"data")


def test_a_key_that_somebody_has_deleted_is_missing(backend: VaultTransitBackend, bao: OpenBao, handle: str) -> None:
    backend.generate(handle, "ES256")
    name = f"transit/keys/sealwright-{handle}-es256"
    bao.ask("POST", f"{name}/config", {"deletion_allowed": True})
    bao.ask("DELETE", name)
    failing("backend.key_missing", lambda: backend.sign(handle, b"data"))
    assert backend.find(handle) is None
    backend.destroy(handle)


def test_an_engine_that_is_not_there_is_no_missing_key(bao: OpenBao, token_file: Path, handle: str) -> None:
    uri = openbao.backend_uri(bao.url, token_file).replace("/transit?", "/nowhere?")
    backend = VaultTransitBackend.open(BackendUri.parse(uri), QUICK)
    assert "path of the engine" in failing("backend.failed", lambda: backend.find(handle)).message
    backend.close()


def test_an_existing_key_is_adopted_by_its_name(
    backend: VaultTransitBackend, bao: OpenBao, token_file: Path, handle: str
) -> None:
    theirs = f"orders.signing_key-{handle[:8]}"
    bao.ask("POST", f"transit/keys/{theirs}", {"type": "rsa-3072"})
    public = backend.adopt(handle, theirs, "PS256")
    fresh = opened(bao.url, token_file)
    assert public == backend.adopt(handle, theirs, "PS256") == fresh.find(handle) == fresh.generate(handle, "PS256")
    assert public.verify(fresh.sign(handle, b"data").value, b"data")
    assert handle in fresh.handles()
    fresh.close()
    backend.destroy(handle)
    assert handle not in backend.handles()
    assert theirs not in bao.ask("LIST", "transit/keys")["data"]["keys"]


def test_a_destroyed_adoption_that_was_killed_half_way_can_be_repeated(
    backend: VaultTransitBackend, bao: OpenBao, handle: str
) -> None:
    theirs = f"theirs-{handle}"
    bao.ask("POST", f"transit/keys/{theirs}", {"type": "ed25519"})
    backend.adopt(handle, theirs, "Ed25519")
    bao.ask("POST", f"transit/keys/{theirs}/config", {"deletion_allowed": True})
    bao.ask("DELETE", f"transit/keys/{theirs}")
    assert backend.find(handle) is None
    backend.destroy(handle)
    assert handle not in backend.handles()


def test_only_a_fitting_key_of_one_version_and_no_other_handle_is_adopted(
    backend: VaultTransitBackend, bao: OpenBao, handle: str
) -> None:
    theirs, rotated, other = (f"{kind}-{handle}" for kind in ("theirs", "rotated", "other"))
    for name in (theirs, rotated, other):
        bao.ask("POST", f"transit/keys/{name}", {"type": "rsa-2048"})
    bao.ask("POST", f"transit/keys/{rotated}/rotate", {})
    failing("backend.unsupported", lambda: backend.adopt(handle, theirs, "ES256"))
    failing("backend.unsupported", lambda: backend.adopt(handle, rotated, "RS256"))
    failing("backend.key_missing", lambda: backend.adopt(handle, "nobody", "RS256"))
    failing("backend.key_missing", lambda: backend.adopt(handle, f"../sys/{theirs}", "RS256"))
    assert handle not in backend.handles()
    backend.adopt(handle, theirs, "RS256")
    failing("backend.unsupported", lambda: backend.adopt(secrets.token_hex(16), theirs, "PS256"))
    failing("backend.failed", lambda: backend.adopt(handle, theirs, "PS256"))
    failing("backend.failed", lambda: backend.adopt(handle, other, "RS256"))


@pytest.mark.parametrize("listing", ["in pages", "all at once"])
def test_listings_of_any_length_are_read(
    backend: VaultTransitBackend, between: Between, bao: OpenBao, monkeypatch: pytest.MonkeyPatch, listing: str
) -> None:
    monkeypatch.setattr(module, "_PAGE_NAMES", 2)
    for name in ("zebra", "sealwright-", "sealwright-x-none"):
        bao.ask("POST", f"transit/keys/{name.rstrip('-')}", {"type": "ecdsa-p256"})
    if listing == "all at once":  # as HashiCorp Vault does
        between.path = lambda path: path.partition("?")[0]
    made = {secrets.token_hex(16) for _ in range(5)}
    for one in made:
        backend.generate(one, "ES256")
    found = set(backend.handles())
    assert made <= found
    assert all(len(one) == 32 for one in found)
    assert all(backend.find(one) is not None for one in made)


def test_a_listing_without_pages_that_is_as_long_as_a_page_is_read_once_more(
    backend: VaultTransitBackend, between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE_NAMES", 1)
    only = b'{"data": {"keys": ["sealwright-%s-es256"]}}' % (b"ab" * 16)
    between.answers = [(200, only)] * 5
    assert backend.handles() == {"ab" * 16}
    assert len(between.seen) == 2


def test_a_certificate_is_checked_against_the_given_authority(tmp_path: Path, token_file: Path, handle: str) -> None:
    server = OpenBao(tmp_path)
    try:
        uri = f"vault://127.0.0.1:{server.port}/transit?token-source=file:{token_file}"
        trusting = VaultTransitBackend.open(BackendUri.parse(f"{uri}&ca={server.ca_file}"), QUICK)
        public = trusting.generate(handle, "ES256")
        assert public.verify(trusting.sign(handle, b"data").value, b"data")
        strict = VaultTransitBackend.open(BackendUri.parse(uri), QUICK)
        assert failing("backend.failed", lambda: strict.find(handle)).detail == "SSLError"
        trusting.close()
        strict.close()
    finally:
        server.stop()


def test_the_namespace_is_sent(between: Between, token_file: Path, bao: OpenBao, handle: str) -> None:
    bao.ask("POST", "sys/namespaces/team", {})
    uri = BackendUri.parse(openbao.backend_uri(between.url, token_file) + "&namespace=team")
    backend = VaultTransitBackend.open(uri, QUICK)
    failing("backend.failed", lambda: backend.generate(handle, "ES256"))  # it has no transit engine
    assert names(bao, handle) == []
    backend.close()


@pytest.mark.parametrize(
    "uri",
    [
        "vault:?token-source=file:TOKEN",
        "vault://vault.example?token-source=file:TOKEN",
        "vault://vault.example/transit",
        "vault://vault.example/transit?token-source=file:/nonexistent",
        "vault://vault.example/transit?token-source=s.hush",
        "vault://vault.example/transit?token-source=file:TOKEN&tls=off",
        "vault://127.0.0.1/transit?token-source=file:TOKEN&tls=maybe",
        "vault://vault.example/transit?token-source=file:TOKEN&ca=/nonexistent",
        "vault://vault.example/transit?token-source=file:TOKEN&token=s.hush",
        "vault://vault.example/a%20b?token-source=file:TOKEN",
    ],
)
def test_a_wrong_uri_is_refused_before_anything_is_asked(uri: str, token_file: Path) -> None:
    with pytest.raises(sw.ConfigurationError) as caught:
        open_backend("prod", uri.replace("TOKEN", str(token_file)))
    assert caught.value.reason == "settings.backend"
    assert "hush" not in str(caught.value)


def test_a_token_that_no_header_can_carry_is_refused(token_file: Path) -> None:
    token_file.write_text("hüsh", "utf-8")
    with pytest.raises(sw.ConfigurationError) as caught:
        open_backend("prod", openbao.backend_uri("http://127.0.0.1:1", token_file))
    assert "sh" not in str(caught.value).replace("which", "")


def test_nothing_is_asked_when_it_is_opened(token_file: Path) -> None:
    backend = open_backend("prod", openbao.backend_uri("http://127.0.0.1:1", token_file))
    assert backend.name == "prod"
    backend.close()
