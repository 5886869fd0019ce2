import sys
import threading

import pytest

from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.jwks_cache import JwksCache
from sealwright.trust.key_snapshot import FetchedKeys
from sealwright.trust.verifier import Verifier

STEADY = CacheSettings(unknown_kid_wait_s=10.0, refresh_jitter_ratio=0.0, backoff_jitter_ratio=0.0)


def refused(source, key_id):
    with pytest.raises((RejectedError, UnavailableError)) as caught:
        source.find(key_id)
    return caught.value.reason


def test_nothing_is_served_after_the_hard_deadline(warm, server, clock, events):
    source = warm()
    server.mode = "error"
    clock.advance(300.0 + 3600.0 - 0.5)
    assert source.find("k1").key_id == "k1"
    events.next()
    clock.advance(0.5)
    assert refused(source, "k1") == Reason.SOURCE_UNAVAILABLE
    assert not source.status().usable


def test_a_source_that_comes_back_after_the_hard_deadline_is_used_again(warm, server, clock):
    source = warm()
    clock.advance(10_000.0)
    assert source.find("k1").key_id == "k1"
    assert server.fetches == 1


def test_the_refresh_is_due_at_80_percent_give_or_take_10(remote, server, clock, events, k1):
    server.publish(k1)
    seen = set()
    for _ in range(20):
        source = remote()
        source.find("k1")
        seen.add(source.status().next_refresh_s)
    assert all(300 * 0.7 <= due_s <= 300 * 0.9 for due_s in seen)
    assert len(seen) > 10


def test_the_refresh_ahead_makes_no_caller_wait(warm, server, clock, events):
    source = warm(settings=STEADY)
    clock.advance(239.0)
    source.find("k1")
    clock.advance(2.0)
    server.hold()
    assert source.find("k1").key_id == "k1"
    server.release()
    assert events.next().cause == "ahead"
    assert server.fetches == 1
    assert source.status().age_s == 0.0


def test_a_cold_source_that_fails_is_left_alone_and_every_caller_is_told_at_once(remote, server, events):
    server.mode = "error"
    source = remote()
    assert {refused(source, "k1") for _ in range(20)} == {Reason.SOURCE_UNAVAILABLE}
    assert server.fetches == 1
    assert source.status().last_error == Reason.SOURCE_UNAVAILABLE
    assert events.next().cause == "cold"


def test_a_cold_caller_waits_no_longer_than_the_timeout(remote, server):
    server.hold()
    source = remote(timeout_s=0.2)
    assert refused(source, "k1") == Reason.SOURCE_UNAVAILABLE
    assert not server.gate.is_set()


def test_unknown_kids_are_forgotten_when_the_set_changes(warm, server, k1, k2):
    source = warm()
    assert refused(source, "k2") == Reason.KEY_NOT_FOUND
    server.publish(k1, PrivateJWK.generate("ES256", key_id="k3"))
    assert source.find("k3").key_id == "k3"
    server.publish(k1, k2)
    assert source.find("k2").key_id == "k2"


def test_unknown_kids_are_remembered_while_the_set_stays_the_same(warm, server, k1, k2):
    source = warm()
    assert refused(source, "k2") == Reason.KEY_NOT_FOUND
    assert refused(source, "other") == Reason.KEY_NOT_FOUND
    server.publish(k1, k2)
    assert refused(source, "k2") == Reason.KEY_NOT_FOUND
    assert server.fetches == 2


def test_backoff_starts_over_after_a_success(warm, server, clock):
    source = warm(settings=STEADY)
    for _ in range(3):
        server.mode = "error"
        refused(source, "unk-0")
        server.mode = "ok"
        clock.advance(1.01)
        source.refresh()
    assert server.fetches == 6


def test_no_caller_starts_a_second_cold_flight_when_the_first_lands_under_its_feet(clock, in_threads, k1):
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(30):
            fetches = []

            def fetch(held, fetches=fetches):
                fetches.append(held)
                return FetchedKeys(JWKSet([k1.public]))

            cache = JwksCache("memory", fetch, timeout_s=10.0, clock=clock)
            in_threads([lambda cache=cache: cache.find("k1")] * 12).join()
            cache.close()
            assert len(fetches) == 1
    finally:
        sys.setswitchinterval(interval_s)


def test_an_unknown_kid_at_an_exhausted_budget_is_rejected_but_not_remembered(warm, server, clock, k1, k2):
    source = warm()
    for n in range(5):
        refused(source, f"unk-{n}")
    server.publish(k1, k2)
    assert refused(source, "k2") == Reason.KEY_NOT_FOUND
    clock.advance(10.0)
    assert source.find("k2").key_id == "k2"


def test_an_unknown_kid_is_undecided_while_only_a_stale_set_is_held(warm, server, clock, events):
    source = warm(settings=CacheSettings(freshness_s=60.0, unknown_kid_wait_s=10.0))
    assert refused(source, "unk-0") == Reason.KEY_NOT_FOUND
    server.mode = "error"
    clock.advance(61.0)
    assert refused(source, "unk-0") == Reason.SOURCE_UNAVAILABLE
    assert refused(source, "unk-1") == Reason.SOURCE_UNAVAILABLE


def test_the_first_failure_is_the_cause_of_what_every_waiting_caller_is_told(remote, server, in_threads):
    server.mode = "garbage"
    server.hold()
    source = remote()
    crowd = in_threads([lambda: source.find("k1")] * 5)
    server.wait_for_fetches(1)
    server.release()
    errors = crowd.join()
    assert {error.reason for error in errors} == {Reason.SOURCE_UNAVAILABLE}
    assert len({id(error) for error in errors}) == 5


def test_a_rotation_fails_no_caller(warm, server, clock, token_of, in_threads, k1, k2):  # noqa: PLR0917
    source = warm()
    verifier = Verifier(issuer="https://id.example", audience="orders", keys=source, clock=clock)
    old, new = token_of(k1), token_of(k2)
    rotated, done = threading.Event(), threading.Event()

    def caller():
        accepted = 0
        while not done.is_set() or accepted < 20:
            verifier.verify(new if rotated.is_set() else old)
            verifier.verify(old)
            accepted += 1
        return accepted

    crowd = in_threads([caller] * 8)
    server.publish(k1, k2)
    rotated.set()
    for _ in range(3):
        clock.advance(10.0)
        verifier.verify(new)
    done.set()
    assert all(isinstance(result, int) and result >= 20 for result in crowd.join())


def test_the_event_of_a_fetch_names_the_source_its_cause_and_what_changed(warm, server, events, k1, k2):
    source = warm()
    server.publish(k1, k2)
    source.find("k2")
    event = events.next()
    assert (event.source, event.cause, event.outcome) == (server.url, "unknown_kid", "changed")
    assert (event.keys, event.unusable, event.reason) == (2, 0, None)
    assert events.seen[0].cause == "cold"
    assert len(events.seen) == 2


def test_a_broken_observer_changes_nothing(remote, server, k1):
    class Broken:
        def observe(self, event):
            raise RuntimeError("boom")

    server.publish(k1)
    source = remote(observer=Broken())
    assert source.find("k1").key_id == "k1"
    assert source.refresh().keys == 1


def test_a_refresh_asked_for_fetches_now(warm, server, events, k1, k2):
    source = warm()
    server.publish(k1, k2)
    assert source.refresh().keys == 2
    assert events.next().cause == "asked"
    assert server.fetches == 1


def test_a_token_without_kid_costs_no_fetch(warm, server, k1, k2):
    source = warm()
    assert source.find(None).key_id == "k1"
    server.publish(k1, k2)
    source.find("k2")
    assert refused(source, None) == Reason.KEY_ID_MISSING
    assert server.fetches == 1
