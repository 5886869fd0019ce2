"""The file of the last good keys: what it is good for, and how little it is trusted."""

import json
import os
import stat
import subprocess
import sys
import textwrap
import threading

import pytest
from jwks_server import PATIENCE_S, JwksServer

from sealwright.clock import ManualClock
from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.events import KeyFileFailed, KeySourceRefreshed
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.jwks_cache import JwksCache
from sealwright.trust.key_snapshot import FetchedKeys, KeySnapshot
from sealwright.trust.last_good import MAXIMUM_BYTES, LastGoodKeys
from sealwright.trust.sources.remote import RemoteJWKSet

STEADY = CacheSettings(unknown_kid_wait_s=10.0, refresh_jitter_ratio=0.0, backoff_jitter_ratio=0.0)
DEADLINE_S = 300.0 + 3600.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


@pytest.fixture
def kept(remote, server, path, clock, k1):
    """A process that has fetched k1 and ended; gives sources of the next process, whose server is down."""
    server.publish(k1)
    with remote(last_good=path) as source:
        source.find("k1")
    server.requests.clear()
    server.mode = "error"

    def next_process(**changes):
        later = ManualClock(clock.now())
        later.jump(changes.pop("later_s", 0.0))
        return remote(**{"last_good": path, "clock": later, "settings": STEADY, **changes})

    return next_process


def why_failed(events):
    return [event.reason for event in events.seen if isinstance(event, KeyFileFailed)]


def refused(source, key_id="k1"):
    with pytest.raises((RejectedError, UnavailableError)) as caught:
        source.find(key_id)
    return caught.value.reason


def test_a_process_that_starts_during_an_outage_knows_the_last_good_keys(kept, server, events):
    source = kept(later_s=100.0)
    assert source.find("k1").key_id == "k1"
    status = source.status()
    assert (status.fresh, status.usable, status.age_s, status.file_error) == (False, True, 100.0, None)
    server.wait_for_fetches(1)
    assert why_failed(events) == []


def test_nobody_waits_for_the_network_when_the_file_knows_the_key(kept, server, in_threads):
    server.mode = "ok"
    server.hold()
    source = kept()
    assert {key.key_id for key in in_threads([lambda: source.find("k1")] * 50).join()} == {"k1"}
    assert not server.gate.is_set()
    server.wait_for_fetches(1)
    assert server.fetches == 1


def test_the_network_is_asked_at_once_and_wins(kept, server, events, k2):
    source = kept()
    server.mode = "ok"
    server.publish(k2)
    events.seen.clear()
    source.find("k1")
    server.wait_for_fetches(1)
    while not events.seen:
        events.next()
    assert source.find("k2").key_id == "k2"
    assert refused(source, "k1") == Reason.KEY_NOT_FOUND


def test_a_key_that_the_file_does_not_know_is_fetched_and_never_called_absent_by_it(kept, server, k1, k2):
    source = kept()
    server.mode = "ok"
    server.publish(k1, k2)
    assert source.find("k2").key_id == "k2"


def test_an_unknown_kid_is_undecided_while_only_the_file_is_known(kept):
    assert refused(kept(), "unk-0") == Reason.SOURCE_UNAVAILABLE


@pytest.mark.parametrize("later_s", [DEADLINE_S, DEADLINE_S + 1.0, 10 * DEADLINE_S])
def test_the_file_counts_no_longer_than_the_set_would_have_counted(kept, later_s):
    assert refused(kept(later_s=later_s)) == Reason.SOURCE_UNAVAILABLE


def test_the_deadline_runs_on_in_the_new_process(kept, clock):
    source = kept(later_s=DEADLINE_S - 10.0)
    assert source.find("k1").key_id == "k1"
    source._clock.advance(9.0)
    assert source.find("k1").key_id == "k1"
    source._clock.advance(1.0)
    assert refused(source) == Reason.SOURCE_UNAVAILABLE


def test_a_later_start_cannot_lengthen_it_by_wider_settings_nor_the_file_beyond_narrower_ones(kept):
    wide = CacheSettings(stale_s=100_000.0)
    assert refused(kept(later_s=DEADLINE_S, settings=wide)) == Reason.SOURCE_UNAVAILABLE
    narrow = CacheSettings(stale_s=10.0)
    assert refused(kept(later_s=310.0, settings=narrow)) == Reason.SOURCE_UNAVAILABLE


def test_a_clock_that_went_back_a_little_is_forgiven_and_one_that_went_back_far_is_not(kept, events):
    assert kept(later_s=-100.0).find("k1").key_id == "k1"
    assert refused(kept(later_s=-130.0)) == Reason.SOURCE_UNAVAILABLE
    assert why_failed(events) == [Reason.SOURCE_MALFORMED]


def test_a_refresh_that_is_asked_for_is_a_fetch_and_not_a_look_into_the_file(kept, server):
    source = kept()
    with pytest.raises(UnavailableError):
        source.refresh()
    assert server.fetches == 1
    assert source.status().usable
    assert source.find("k1").key_id == "k1"


def test_a_key_that_was_removed_is_not_in_the_file_after_the_next_refresh(remote, server, path, k1, k2):
    server.publish(k1, k2)
    with remote(last_good=path) as source:
        source.find("k1")
        server.publish(k2)
        source.refresh()
    shown = json.loads(path.read_bytes())
    assert [key["kid"] for key in shown["keys"]] == ["k2"]
    assert shown["dropped"] == [k1.public.thumbprint()]


def test_a_mirror_cannot_bring_a_dropped_key_back_across_a_restart(remote, server, path, clock, k1, k2):  # noqa: PLR0917
    server.publish(k1, k2)
    with remote(last_good=path) as source:
        source.find("k1")
        server.publish(k2)
        source.refresh()
    server.mode, mirror = "error", JwksServer()
    mirror.publish(k1, k2)
    try:
        with RemoteJWKSet(server.url, mirror.url, last_good=path, clock=clock, settings=STEADY) as source:
            assert source.find("k2").key_id == "k2"
            mirror.wait_for_fetches(1)
            assert refused(source, "k1") == Reason.SOURCE_UNAVAILABLE
    finally:
        mirror.stop()


def test_a_restart_gives_mirrors_no_more_time(server, path, clock, k1):
    settings, mirror = CacheSettings(mirror_s=1000.0), JwksServer()
    server.publish(k1)
    mirror.publish(k1)

    def process():
        return RemoteJWKSet(server.url, mirror.url, last_good=path, clock=clock, settings=settings)

    try:
        with process() as source:
            source.find("k1")
            server.mode = "error"
            clock.advance(900.0)
            assert source.refresh().url == mirror.url
        clock.advance(101.0)
        with process() as source:
            with pytest.raises(UnavailableError):
                source.refresh()
            assert source.find("k1").key_id == "k1"
        assert mirror.fetches == 1
    finally:
        mirror.stop()


def test_the_file_is_its_owners_alone_holds_public_keys_only_and_leaves_nothing_beside_it(kept, path, k1):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b'"d"' not in path.read_bytes()
    assert {one.name for one in path.parent.iterdir()} == {"keys.json", "keys.json.lock"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\x00" * 100,
        b'{"keys":[]}',
        b'{"format":"another","source":"x","keys":[]}',
        b" " * (MAXIMUM_BYTES + 1),
        b'{"a":' * 1000,
    ],
)
def test_a_broken_file_is_reported_and_ignored(kept, server, path, events, content):
    path.write_bytes(content)
    server.mode = "ok"
    source = kept()
    assert source.find("k1").key_id == "k1"
    assert why_failed(events) == [Reason.SOURCE_MALFORMED]
    assert server.fetches == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"source": "https://id.example/other.json"},
        {"fetched": "now"},
        {"fetched": True},
        {"until": None},
        {"fetched": 1e300, "until": 1e300},
        {"seq": "x"},
        {"dropped": 7},
        {"keys": None},
        {"keys": [{"kty": "RSA"}] * 101},
    ],
)
def test_a_foreign_or_doctored_file_is_reported_and_ignored(kept, path, events, changed):
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    assert refused(kept()) == Reason.SOURCE_UNAVAILABLE
    assert why_failed(events) == [Reason.SOURCE_MALFORMED]


def test_a_private_key_in_the_file_is_skipped(kept, path):
    leaked = PrivateJWK.generate("ES256", key_id="k1").export_private_dict()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"keys": [leaked]}))
    assert refused(kept()) == Reason.SOURCE_UNAVAILABLE


@pytest.mark.parametrize("mode", [0o622, 0o606 | 0o002, 0o620])
def test_a_file_that_others_could_have_written_is_ignored(kept, path, events, mode):
    path.chmod(mode)
    assert refused(kept()) == Reason.SOURCE_UNAVAILABLE
    assert why_failed(events) == [Reason.SOURCE_MALFORMED]


def test_a_pipe_a_folder_or_a_link_in_its_place_hold_nobody_up(kept, path, tmp_path, events):
    good = tmp_path / "good"
    path.rename(good)
    for make in (lambda: os.mkfifo(path, 0o600), path.mkdir, lambda: path.symlink_to(good)):
        make()
        assert refused(kept()) == Reason.SOURCE_UNAVAILABLE
        path.rmdir() if path.is_dir() else path.unlink()
    assert len(why_failed(events)) == 3


def test_a_folder_that_is_missing_or_full_of_something_else_is_reported_and_stops_nothing(
    remote, server, tmp_path, events, k1
):
    server.publish(k1)
    source = remote(last_good=tmp_path / "missing" / "keys.json")
    assert source.find("k1").key_id == "k1"
    events.next()
    assert events.next() == KeyFileFailed(server.url, "write", Reason.SOURCE_UNAVAILABLE)
    assert source.status().file_error == Reason.SOURCE_UNAVAILABLE


def test_a_first_start_without_a_file_is_nothing_to_report(remote, server, path, events, k1):
    server.publish(k1)
    source = remote(last_good=path)
    source.find("k1")
    assert isinstance(events.next(), KeySourceRefreshed)
    source.close()
    assert why_failed(events) == []


def a_set(clock, *keys, sequence=None):
    now = clock.monotonic()
    fetched = FetchedKeys(JWKSet([key.public for key in keys]), sequence=sequence)
    return KeySnapshot.after(None, fetched, flight=1, began=now, landed=now, settings=STEADY, began_unix_s=clock.now())


def a_file(path, clock):
    return LastGoodKeys(path, "s", settings=STEADY, clock=clock, algorithms=None)


def test_what_was_fetched_earlier_never_replaces_what_was_fetched_later(path, clock, k1, k2):
    earlier = a_set(clock, k1)
    clock.advance(1.0)
    a_file(path, clock).write(a_set(clock, k2))
    a_file(path, clock).write(earlier)
    assert [key.key_id for key in a_file(path, clock).read().keys] == ["k2"]


def test_a_file_from_the_future_does_not_block_the_writers(path, clock, k1, k2):
    ahead = ManualClock(clock.now() + 10_000.0)
    a_file(path, ahead).write(a_set(ahead, k1))
    a_file(path, clock).write(a_set(clock, k2))
    assert [key.key_id for key in a_file(path, clock).read().keys] == ["k2"]


def test_unchanged_keys_are_written_once_a_minute_and_changed_ones_at_once(path, clock, k1, k2):
    file, written = a_file(path, clock), []
    for pause_s, keys in ((0.0, [k1]), (59.0, [k1]), (1.0, [k1]), (1.0, [k1, k2])):
        clock.advance(pause_s)
        file.write(a_set(clock, *keys))
        written.append(json.loads(path.read_bytes())["fetched"] == clock.now())
    assert written == [True, False, True, True]


WORKER = """
    import sys
    from pathlib import Path
    from sealwright.clock import SYSTEM_CLOCK
    from sealwright.jose.jwk_set import JWKSet
    from sealwright.trust.cache_settings import CacheSettings
    from sealwright.trust.key_snapshot import FetchedKeys, KeySnapshot
    from sealwright.trust.last_good import LastGoodKeys

    settings, keys, is_there = CacheSettings(), JWKSet.from_json(sys.argv[2].encode()), False
    for number in range(100):
        file = LastGoodKeys(Path(sys.argv[1]), "s", settings=settings, clock=SYSTEM_CLOCK, algorithms=None)
        now = SYSTEM_CLOCK.monotonic()
        fetched = FetchedKeys(keys, sequence=number)
        file.write(KeySnapshot.after(None, fetched, flight=1, began=now, landed=now, settings=settings,
                                     began_unix_s=SYSTEM_CLOCK.now()))
        found = file.read()
        assert found is not None or not is_there  # another may be writing the first one just now
        is_there = is_there or found is not None
"""


def test_workers_who_share_a_file_never_see_half_of_one(path, k1):
    published = json.dumps({"keys": [k1.public.to_dict()] + [PrivateJWK.generate("RS256").public.to_dict()] * 20})
    workers = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(WORKER), str(path), published], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    assert [(worker.communicate(timeout=60)[1], worker.returncode) for worker in workers] == [(b"", 0)] * 4
    assert {one.name for one in path.parent.iterdir()} == {"keys.json", "keys.json.lock"}


def test_a_writer_does_not_wait_for_another_that_holds_the_lock(path, clock, k1):
    import fcntl

    with path.with_name("keys.json.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        a_file(path, clock).write(a_set(clock, k1))
    assert not path.exists()


FORKING = """
    import os, sys
    from sealwright.trust.sources.remote import RemoteJWKSet

    source = RemoteJWKSet(sys.argv[1], last_good=sys.argv[2])
    source.status()
    if os.fork() == 0:
        ok = source.find("k1").key_id == "k1"
        source.close()
        os._exit(0 if ok else 1)
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.parametrize("mode", ["ok", "error"])
def test_a_forked_child_reads_and_writes_the_same_file(server, path, k1, mode):
    server.publish(k1)
    command = [sys.executable, "-c", textwrap.dedent(FORKING), server.url, str(path)]
    subprocess.run(command, timeout=60, check=True)
    assert path.exists()
    server.mode = mode
    subprocess.run(command, timeout=60, check=True)


def test_the_file_is_bound_to_the_algorithms_of_the_policy(remote, server, path, events):
    server.keys = [{**PrivateJWK.generate("RS256", key_id="k1").public.to_dict()}]
    del server.keys[0]["alg"]
    with remote(last_good=path, algorithms=["RS256"]) as source:
        source.find("k1")
    server.mode = "error"
    assert remote(last_good=path, algorithms=["RS256"]).find("k1").algorithm.name == "RS256"
    assert refused(remote(last_good=path, algorithms=["PS256"])) == Reason.SOURCE_UNAVAILABLE


def test_a_caller_who_looked_before_the_file_was_read_does_not_wait_for_the_fetch_after_it(path, clock, in_threads, k1):
    a_file(path, clock).write(a_set(clock, k1))
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(100):
            answered = threading.Event()

            def fetch(held, answered=answered):
                answered.wait(PATIENCE_S)
                return FetchedKeys(JWKSet([k1.public]))

            cache = JwksCache("s", fetch, timeout_s=10.0, clock=clock, last_good=a_file(path, clock))
            try:
                found = in_threads([lambda cache=cache: cache.find("k1")] * 12).join()
                assert {key.key_id for key in found} == {"k1"}
                assert not answered.is_set()
            finally:
                answered.set()
                cache.close()
    finally:
        sys.setswitchinterval(interval_s)
