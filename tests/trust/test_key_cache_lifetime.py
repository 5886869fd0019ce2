import subprocess
import sys
import textwrap
import threading

import pytest

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import Reason, UnavailableError
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.sources.remote import RemoteJWKSet


def key_threads():
    """Those of this test: what another one left running is none of its business."""
    return [thread for thread in threading.enumerate() if thread.name == "sealwright-jwks" and thread not in OTHERS]


OTHERS = set()


@pytest.fixture(autouse=True)
def _others():
    OTHERS.clear()
    OTHERS.update(key_threads())


def test_the_thread_starts_at_first_use_and_ends_at_close(server, k1):
    server.publish(k1)
    before = len(key_threads())
    source = RemoteJWKSet(server.url)
    assert len(key_threads()) == before
    source.find("k1")
    source.find("k1")
    assert len(key_threads()) == before + 1
    source.close()
    assert len(key_threads()) == before


def test_close_cuts_a_fetch_that_hangs_and_releases_its_waiters(server, in_threads, k1):
    server.hold()
    threads = threading.active_count()
    source = RemoteJWKSet(server.url, timeout_s=30.0)
    crowd = in_threads([lambda: source.find("k1")])
    server.wait_for_fetches(1)
    source.close()
    assert server.in_flight == 1
    assert crowd.join()[0].reason == Reason.SOURCE_UNAVAILABLE
    assert not server.gate.is_set()
    assert not key_threads()
    server.release()
    assert threading.active_count() <= threads + 1  # the server's own


def test_a_closed_source_fetches_no_more(warm, server, clock):
    source = warm()
    source.close()
    source.close()
    with pytest.raises(UnavailableError):
        source.find("unk-0")
    clock.advance(10_000.0)
    with pytest.raises(UnavailableError):
        source.find("k1")
    assert server.fetches == 0


def test_a_source_closed_before_its_first_use_starts_nothing(server):
    source = RemoteJWKSet(server.url)
    source.close()
    with pytest.raises(UnavailableError):
        source.find("k1")
    assert not key_threads()


@pytest.mark.parametrize("mode", ["ok", "error", "garbage", "truncated"])
def test_dropping_the_last_reference_ends_the_thread(server, k1, mode):
    server.publish(k1)
    source = RemoteJWKSet(server.url)
    source.find("k1")
    server.mode = mode
    try:
        source.refresh()
    except UnavailableError as error:
        del error
    (thread,) = key_threads()
    del source
    thread.join(20.0)
    assert not thread.is_alive()


def test_the_thread_keeps_refreshing_a_source_that_nobody_asks(server, k1):
    server.publish(k1)
    settings = CacheSettings(freshness_s=0.1, minimum_freshness_s=0.1)
    with RemoteJWKSet(server.url, clock=SYSTEM_CLOCK, settings=settings) as source:
        source.find("k1")
        server.wait_for_fetches(4)
    assert server.max_in_flight == 1


FORK = """
    import os, sys, threading, time
    from sealwright.errors import SealwrightError
    from sealwright.trust.cache_settings import CacheSettings
    from sealwright.trust.sources.remote import RemoteJWKSet

    source = RemoteJWKSet(sys.argv[1], timeout_s=10.0, settings=CacheSettings(freshness_s=float(sys.argv[2])))
    source.find("k1")
"""


def run_forking(server, body, *arguments):
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORK) + textwrap.dedent(body), server.url, *arguments],
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def test_a_forked_child_has_the_keys_and_fetches_on_its_own(server, k1, k2):
    server.publish(k1, k2)
    run_forking(
        server,
        """
        if os.fork() == 0:
            ok = source.find("k1").key_id == "k1" and source.status().age_s < 100 and source.refresh().keys == 2
            os._exit(0 if ok and threading.active_count() == 2 else 1)
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
        """,
        "300",
    )
    assert server.fetches == 2


def test_a_forked_child_keeps_refreshing_ahead(server, k1):
    server.publish(k1)
    run_forking(
        server,
        """
        if os.fork() == 0:
            source.find("k1")
            first = source.status().age_s
            while source.status().age_s >= first:
                time.sleep(0.001)
            os._exit(0)
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
        """,
        "1",
    )


def test_a_fork_in_the_middle_of_a_flight_strands_nobody(server, k1):
    server.publish(k1)
    script = """
        sys.stdin.readline()
        threading.Thread(target=source.refresh, daemon=True).start()
        sys.stdin.readline()
        if os.fork() == 0:
            assert source.find("k1").key_id == "k1"
            try:
                source.find("unknown")
            except SealwrightError as error:
                os._exit(0 if error.reason == "source.unavailable" else 1)
            os._exit(2)
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
    """
    program = textwrap.dedent(FORK) + textwrap.dedent(script)
    child = subprocess.Popen(
        [sys.executable, "-c", program, server.url, "300"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with child:
        server.wait_for_fetches(1)
        server.hold()
        child.stdin.write("fly\n")
        child.stdin.flush()
        server.wait_for_fetches(2)
        child.stdin.write("fork\n")
        child.stdin.flush()
        assert child.wait(60) == 0


def test_a_spawned_copy_of_a_closed_source_stays_closed(server, k1):
    server.publish(k1)
    run_forking(
        server,
        """
        source.close()
        if os.fork() == 0:
            try:
                source.refresh()
            except SealwrightError:
                os._exit(0)
            os._exit(1)
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
        """,
        "300",
    )
    assert server.fetches == 1


def test_a_bug_in_a_fetcher_is_unavailable_and_does_not_end_the_thread(clock, k1):
    from sealwright.jose.jwk_set import JWKSet
    from sealwright.trust.jwks_cache import JwksCache
    from sealwright.trust.key_snapshot import FetchedKeys

    answers = [ZeroDivisionError("a bug"), FetchedKeys(JWKSet([k1.public]))]

    def fetch(held):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    cache = JwksCache("test", fetch, timeout_s=10.0, clock=clock)
    with pytest.raises(UnavailableError) as caught:
        cache.find("k1")
    assert isinstance(caught.value.__cause__.__cause__, ZeroDivisionError)
    clock.advance(2.0)
    assert cache.find("k1").key_id == "k1"
    cache.close()
