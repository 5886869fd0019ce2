"""The traps of PKCS#11, each sprung on SoftHSM: threads, forks, logins, lost tokens, stale handles, slots and PINs."""

from __future__ import annotations

import contextlib
import ctypes
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import softhsm
from backend_failing import failing

import sealwright as sw
from sealwright.wiring.key_backends import open_backend

P11_KIT_PROXIES = ("/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so", "/usr/lib/aarch64-linux-gnu/p11-kit-proxy.so")
THREADS = """
import threading
failures = []
def work(number):
    for step in range(150):
        data = b"%d %d" % (number, step)
        try:
            if not public.verify(backend.sign(handle, data).value, data):
                failures.append((number, step))
        except Exception as error:
            failures.append(repr(error))
threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("failures", failures[:3])
"""
FORK = """
import os, sys
backend.sign(handle, b"before")
child = os.fork()
if child == 0:
    signature = backend.sign(handle, b"in the child").value
    backend.close()
    os._exit(0 if public.verify(signature, b"in the child") else 1)
print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print("parent", public.verify(backend.sign(handle, b"after").value, b"after"))
"""
BUSY_FORK = """
import threading
holds, done = threading.Event(), threading.Event()
def hold():
    with backend._pool().session(), backend._pool()._module.writing:
        holds.set()
        done.wait()
holder = threading.Thread(target=hold)
holder.start()
holds.wait()
child_of_busy_parent = os.fork()
if child_of_busy_parent == 0:
    backend.generate(handle, "ES256")
    backend.sign(handle, b"in the child")
    os._exit(0)
print("child", os.waitstatus_to_exitcode(os.waitpid(child_of_busy_parent, 0)[1]))
done.set()
holder.join()
"""


@pytest.fixture(scope="module")
def token() -> softhsm.Token:
    return softhsm.new_token()


@pytest.fixture
def backend(token: softhsm.Token) -> Iterator[Any]:
    with contextlib.closing(open_backend("hsm", token.uri())) as opened:
        yield opened


def signs(backend: Any, handle: str, public: Any) -> bool:
    return bool(public.verify(backend.sign(handle, b"data").value, b"data"))


def generation(backend: Any) -> int:
    """It grows when the module is opened anew, which every backend on it would feel."""
    return int(backend._pool()._module.generation)


def eventually(call: Any, *arguments: Any) -> Any:
    """A module is opened anew at most once a second, so the first call may still fail."""
    for _ in range(100):
        with contextlib.suppress(sw.BackendError):
            return call(*arguments)
        time.sleep(0.1)
    return call(*arguments)


def elsewhere(token: softhsm.Token, code: str, algorithm: str = "ES256", **options: object) -> str:
    """Runs the code in a process that may crash, with a backend and a key in it; returns what it prints."""
    begin = f"""
import secrets
from sealwright.wiring.key_backends import open_backend
backend = open_backend("hsm", {token.uri(**options)!r})
handle = secrets.token_hex(16)
public = backend.generate(handle, {algorithm!r})
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", begin + code],
        env=token.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return done.stdout


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "Ed25519"])
def test_threads_with_sessions_of_their_own_sign_without_a_crash(token: softhsm.Token, algorithm: str) -> None:
    assert elsewhere(token, THREADS, algorithm, sessions=8) == "failures []\n"


def test_a_proxy_that_keeps_a_state_for_each_caller_is_refused_in_clear_words(token: softhsm.Token) -> None:
    proxy = next((path for path in P11_KIT_PROXIES if Path(path).exists()), None)
    if proxy is None:
        pytest.skip("p11-kit-proxy is not installed: apt-get install libp11-kit0 p11-kit")
    with contextlib.closing(open_backend("hsm", token.uri(module_path=proxy))) as backend:
        assert "the HSM's vendor itself" in failing("backend.unsupported", backend.handles).message


@pytest.mark.parametrize("reset_on_fork", ["true", "false"])
def test_a_backend_that_was_used_before_a_fork_works_in_the_child_and_in_the_parent(reset_on_fork: str) -> None:
    token = softhsm.new_token(softhsm.new_folder(library_reset_on_fork=reset_on_fork))
    assert elsewhere(token, FORK) == "child 0\nparent True\n"


def test_no_lock_that_a_thread_of_the_parent_holds_stops_the_child(token: softhsm.Token) -> None:
    assert elsewhere(token, FORK + BUSY_FORK, sessions=1, wait_s=2).endswith("True\nchild 0\n")


def test_a_module_that_another_library_holds_open_is_not_shared_with_it(token: softhsm.Token) -> None:
    code = f"""
import pkcs11, sealwright
backend.close()
other = pkcs11.lib({softhsm.module()!r})
try:
    backend.sign(handle, b"data")
except sealwright.BackendError as error:
    print(error.message)
"""
    assert elsewhere(token, code).startswith("another library in this process")


def test_closing_one_of_two_backends_on_a_token_does_not_log_out_the_other(
    backend: Any, token: softhsm.Token, handle: str
) -> None:
    public = backend.generate(handle, "ES256")
    second = open_backend("hsm", token.uri())
    assert signs(second, handle, public)
    before = generation(backend)
    second.close()
    assert signs(backend, handle, public)
    assert generation(backend) == before
    assert signs(second, handle, public)
    backend.close()
    assert signs(second, handle, public)
    second.close()


def test_whoever_was_logged_out_by_other_code_logs_in_again(backend: Any, token: softhsm.Token, handle: str) -> None:
    public = backend.generate(handle, "ES256")

    def logged_out() -> Any:
        with softhsm.raw_session(token) as session:
            assert ctypes.CDLL(softhsm.module()).C_Logout(ctypes.c_ulong(session.handle)) == 0
        return backend

    assert signs(backend, handle, public)
    assert signs(logged_out(), handle, public)
    assert logged_out().find(handle) == public
    assert logged_out().generate(handle, "ES256") == public
    assert handle in logged_out().handles()
    logged_out().destroy(handle)
    assert backend.find(handle) is None
    assert handle not in backend.handles()


@pytest.mark.parametrize("lost", ["all tokens", "this token"])
def test_a_lost_token_fails_every_call_and_works_again_once_it_is_back(lost: str, handle: str) -> None:
    beside, token = softhsm.new_token(), softhsm.new_token()
    tokens = token.folder / "tokens"
    backend, other = open_backend("hsm", token.uri()), open_backend("hsm", beside.uri())
    with contextlib.closing(backend), contextlib.closing(other):
        public, others = backend.generate(handle, "ES256"), other.generate(handle, "ES256")
        folder = tokens if lost == "all tokens" else folder_of(token)
        away = folder.rename(token.folder / "away")
        try:
            failing("backend.failed", backend.sign, handle, b"data")
            failing("backend.failed", backend.find, handle)
            failing("backend.failed", backend.handles)
            failing("backend.failed", backend.generate, handle, "ES256")
            failing("backend.failed", backend.destroy, handle)
            if lost == "this token":
                assert signs(other, handle, others)
        finally:
            away.rename(folder)
        assert public.verify(eventually(backend.sign, handle, b"data").value, b"data")
        assert backend.find(handle) == public
        assert signs(other, handle, others)


def test_a_lost_token_is_no_empty_one_even_when_nothing_was_found_on_it_yet(handle: str) -> None:
    token = softhsm.new_token()
    with contextlib.closing(open_backend("hsm", token.uri())) as backend:
        assert backend.find(handle) is None
        folder = folder_of(token)
        away = folder.rename(token.folder / "away")
        try:
            failing("backend.failed", backend.find, handle)
        finally:
            away.rename(folder)
        assert eventually(backend.find, handle) is None


def test_threads_keep_signing_on_one_token_while_another_is_lost_and_found(handle: str) -> None:
    lost, kept = softhsm.new_token(), softhsm.new_token()
    backend, other = open_backend("hsm", lost.uri()), open_backend("hsm", kept.uri())
    with contextlib.closing(backend), contextlib.closing(other):
        backend.generate(handle, "ES256")
        public = other.generate(handle, "ES256")
        failures: list[object] = []
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                try:
                    if not signs(other, handle, public):
                        failures.append("wrong")
                except BaseException as error:  # noqa: BLE001 reported by the assertion below
                    failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            folder = folder_of(lost)
            for _ in range(3):
                away = folder.rename(lost.folder / "away")
                failing("backend.failed", backend.sign, handle, b"data")
                away.rename(folder)
                eventually(backend.sign, handle, b"data")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures


def test_a_key_that_another_process_destroyed_is_missing_though_its_object_was_known(
    backend: Any, token: softhsm.Token, handle: str
) -> None:
    backend.generate(handle, "ES256")
    backend.sign(handle, b"data")
    before = generation(backend)
    elsewhere(token, f"backend.destroy({handle!r})")
    failing("backend.key_missing", backend.sign, handle, b"data")
    assert backend.find(handle) is None
    assert generation(backend) == before


def test_a_key_that_another_process_made_anew_signs_though_another_object_was_known(
    backend: Any, token: softhsm.Token, handle: str
) -> None:
    first = backend.generate(handle, "ES256")
    backend.sign(handle, b"data")
    elsewhere(token, f"backend.destroy({handle!r}); backend.generate({handle!r}, 'ES256')")
    assert backend.find(handle) != first
    assert signs(backend, handle, backend.find(handle))


def test_a_token_that_is_made_after_the_module_was_opened_is_found(
    backend: Any, token: softhsm.Token, handle: str
) -> None:
    assert backend.find(handle) is None
    late = softhsm.new_token()
    with contextlib.closing(open_backend("hsm", late.uri())) as second:
        public = eventually(second.generate, handle, "ES256")
        assert signs(second, handle, public)
    assert backend.find(handle) is None


def test_a_token_is_found_by_its_label_after_its_slot_number_changed(handle: str) -> None:
    token = softhsm.new_token()
    with contextlib.closing(open_backend("hsm", token.uri())) as backend:
        backend.generate(handle, "ES256")
        with softhsm.raw_session(token) as session:
            before = session.token.slot.slot_id
        command = ["softhsm2-util", "--delete-token", "--token", token.label]
        subprocess.run(command, check=True, capture_output=True, env=token.environment, timeout=60)
        softhsm.new_token(label=token.label)
        assert eventually(backend.find, handle) is None
        assert signs(backend, handle, backend.generate(handle, "ES256"))
        with softhsm.raw_session(token) as session:
            assert session.token.slot.slot_id != before


def test_two_tokens_with_one_label_are_refused(handle: str) -> None:
    token = softhsm.new_token()
    softhsm.new_token(label=token.label)
    with contextlib.closing(open_backend("hsm", token.uri())) as backend:
        assert "several tokens" in failing("backend.failed", backend.find, handle).message


def test_a_refused_pin_is_sent_once_and_read_again_from_its_file(handle: str) -> None:
    token = softhsm.new_token()
    token.pin_file.write_text("98765\n")
    with contextlib.closing(open_backend("hsm", token.uri())) as backend:
        failing("backend.failed", backend.generate, handle, "ES256")
        set_pin(token, "98765")
        backend.close()  # the token takes this PIN now: whoever sends it again gets in
        for call, *arguments in ((backend.find, handle), (backend.handles,), (backend.destroy, handle)):
            error = failing("backend.failed", call, *arguments)
            assert "not sent again" in error.message
            assert "98765" not in f"{error} {error.detail}"
        set_pin(token, "4321")
        token.pin_file.write_text("4321\n")
        backend.close()
        assert signs(backend, handle, backend.generate(handle, "ES256"))


def test_a_pin_that_was_corrected_works_without_a_restart(handle: str) -> None:
    token = softhsm.new_token()
    token.pin_file.write_text("98765\n")
    with contextlib.closing(open_backend("hsm", token.uri())) as backend:
        failing("backend.failed", backend.find, handle)
        token.pin_file.write_text(softhsm.PIN)
        assert signs(backend, handle, backend.generate(handle, "ES256"))


def test_a_pin_file_that_is_gone_is_an_error_until_it_is_back(handle: str) -> None:
    token = softhsm.new_token()
    with contextlib.closing(open_backend("hsm", token.uri())) as backend:
        token.pin_file.unlink()
        assert "pin-source" in failing("backend.failed", backend.find, handle).message
        token.pin_file.write_text(softhsm.PIN)
        assert backend.find(handle) is None


def test_a_call_waits_for_a_free_session_only_so_long(token: softhsm.Token, handle: str) -> None:
    with contextlib.closing(open_backend("hsm", token.uri(sessions=2, wait_s=0.1))) as backend:
        public = backend.generate(handle, "ES256")
        pool = backend._pool()  # type: ignore[attr-defined]
        with pool.session(), pool.session():
            failing("backend.throttled", backend.sign, handle, b"data")
        with pool.writing():
            failing("backend.throttled", backend.generate, handle, "ES256")
        assert signs(backend, handle, public)


def folder_of(token: softhsm.Token) -> Path:
    """SoftHSM names a token's folder by its serial number."""
    with softhsm.raw_session(token) as session:
        serial = session.token.serial.decode()
    (folder,) = [one for one in (token.folder / "tokens").iterdir() if one.name.replace("-", "").endswith(serial)]
    return folder


def set_pin(token: softhsm.Token, pin: str) -> None:
    """The security officer sets the user's PIN, in a process of its own."""
    code = """
import sys, pkcs11
path, label, so_pin, pin = sys.argv[1:]
with pkcs11.lib(path).get_token(token_label=label).open(rw=True, so_pin=so_pin) as session:
    session.init_pin(pin)
"""
    command = [sys.executable, "-c", code, softhsm.module(), token.label, softhsm.SO_PIN, pin]
    subprocess.run(command, check=True, env=token.environment, timeout=60)
