"""Several addresses for one issuer: who is asked when, and what a mirror cannot do."""

import threading

import pytest
from hand_made import failure
from jwks_server import JwksServer

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import ConfigurationError, Reason, RejectedError, UnavailableError
from sealwright.jose.jwk import PrivateJWK
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.sources.remote import RemoteJWKSet

STEADY = CacheSettings(unknown_kid_wait_s=10.0, refresh_jitter_ratio=0.0, backoff_jitter_ratio=0.0)


@pytest.fixture
def mirror():
    server = JwksServer()
    yield server
    server.stop()


@pytest.fixture
def mirrored(server, mirror, clock, events, k1):
    """A source with one mirror; both publish k1, and neither has been asked."""
    made = []

    def make(*more, **changes):
        server.publish(k1)
        mirror.publish(k1)
        usual = {"clock": clock, "observer": events, "timeout_s": 10.0, "settings": STEADY}
        made.append(RemoteJWKSet(server.url, mirror.url, *more, **{**usual, **changes}))
        return made[-1]

    yield make
    server.release()
    mirror.release()
    for source in made:
        source.close()


def test_a_mirror_is_not_asked_while_the_first_address_answers(mirrored, server, mirror):
    source = mirrored()
    source.refresh()
    source.refresh()
    assert (server.fetches, mirror.fetches) == (2, 0)
    assert source.status().url == server.url


@pytest.mark.parametrize("mode", ["error", "garbage", "empty", "redirect", "truncated", "compressed", "big"])
def test_a_mirror_answers_in_the_same_flight_when_the_first_address_fails(mirrored, server, mirror, events, mode):
    source = mirrored()
    server.mode = mode
    assert source.find("k1").key_id == "k1"
    assert (server.fetches, mirror.fetches) == (1, 1)
    assert (events.next().outcome, source.status().url) == ("changed", mirror.url)


def test_a_mirror_answers_within_the_deadline_when_the_first_address_hangs(mirrored, server, mirror):
    source = mirrored(timeout_s=1.0)
    server.hold()
    assert source.find("k1").key_id == "k1"
    assert not server.gate.is_set()


def test_one_flight_of_many_callers_asks_each_address_once(mirrored, server, mirror, in_threads):
    source = mirrored()
    server.mode = "error"
    mirror.hold()
    crowd = in_threads([lambda: source.find("k1")] * 50)
    mirror.wait_for_fetches(1)
    mirror.release()
    assert {key.key_id for key in crowd.join()} == {"k1"}
    assert (server.fetches, mirror.fetches) == (1, 1)


def test_a_failed_address_is_left_alone_for_a_time_of_its_own(mirrored, server, mirror, clock):
    source = mirrored()
    server.mode = "error"
    asked = []
    for pause_s in (0.0, 0.5, 0.6, 1.0, 1.1):  # its own pauses are 1 s, then 2 s
        clock.advance(pause_s)
        source.refresh()
        asked.append(server.fetches)
    assert asked == [1, 1, 2, 2, 3]
    assert mirror.fetches == 5


def test_the_first_address_is_used_again_when_it_is_back(mirrored, server, mirror, clock):
    source = mirrored()
    server.mode = "error"
    source.refresh()
    server.mode = "ok"
    clock.advance(1.0)
    source.refresh()
    assert source.status().url == server.url
    assert mirror.fetches == 1


def test_when_all_fail_the_first_failure_is_told_and_the_last_good_set_stays(mirrored, server, mirror, clock):
    source = mirrored()
    source.find("k1")
    server.mode, mirror.mode = "garbage", "error"
    with pytest.raises(UnavailableError) as caught:
        source.refresh()
    assert caught.value.__cause__.reason == Reason.SOURCE_MALFORMED
    assert source.find("k1").key_id == "k1"
    clock.advance(1.0)
    with pytest.raises(UnavailableError):
        source.refresh()
    assert (server.fetches, mirror.fetches) == (3, 2)


def test_each_address_is_asked_with_its_own_etag(mirrored, server, mirror, clock):
    source = mirrored()
    server.etag, mirror.etag = '"first"', '"mirror"'
    source.refresh()
    server.mode = "error"
    source.refresh()
    source.refresh()
    server.mode = "ok"
    clock.advance(4.0)
    assert source.refresh().keys == 1
    assert [asked.get("If-None-Match") for asked in server.requests] == [None, '"first"', '"first"']
    assert [asked.get("If-None-Match") for asked in mirror.requests] == [None, '"mirror"']


def test_a_304_stands_for_what_this_address_gave_and_not_for_what_another_did(mirrored, server, mirror, clock, k1, k2):  # noqa: PLR0917
    source = mirrored()
    server.etag = '"first"'
    source.refresh()
    server.mode = "error"
    mirror.publish(k1, k2)
    assert source.refresh().keys == 2
    server.mode = "ok"
    clock.advance(4.0)
    assert source.refresh().keys == 1
    assert server.requests[-1]["If-None-Match"] == '"first"'


def test_nobody_with_a_usable_key_waits_while_every_address_hangs(mirrored, server, mirror, clock, in_threads):
    source = mirrored()
    source.find("k1")
    server.hold()
    mirror.hold()
    clock.advance(400.0)
    assert {key.key_id for key in in_threads([lambda: source.find("k1")] * 50).join()} == {"k1"}
    server.wait_for_fetches(2)
    assert not server.gate.is_set()


def test_a_mirror_cannot_bring_back_a_key_that_the_first_address_has_dropped(mirrored, server, mirror, clock, k2):
    source = mirrored()
    source.find("k1")
    server.publish(k2)
    source.refresh()
    server.mode = "error"
    for _ in range(3):
        with pytest.raises(UnavailableError):
            source.refresh()
        clock.advance(100.0)
        with pytest.raises((RejectedError, UnavailableError)):
            source.find("k1")
        assert source.find("k2").key_id == "k2"
    assert mirror.fetches >= 3
    assert source.status().url == server.url


def test_only_the_first_address_can_bring_a_dropped_key_back(mirrored, server, mirror, clock, k1, k2):  # noqa: PLR0917
    source = mirrored()
    source.find("k1")
    server.publish(k2)
    source.refresh()
    server.publish(k1, k2)
    source.refresh()
    server.mode = "error"
    mirror.publish(k1, k2)
    assert source.refresh().url == mirror.url
    assert source.find("k1").key_id == "k1"


def test_a_mirror_cannot_say_that_a_kid_is_unknown(mirrored, server, mirror, clock, k1, k2):  # noqa: PLR0917
    source = mirrored()
    source.find("k1")
    server.publish(k1, k2)
    server.mode = "error"
    for key_id in ("k2", *(f"unk-{number}" for number in range(20))):
        with pytest.raises(UnavailableError):
            source.find(key_id)
    assert mirror.fetches == 5
    server.mode = "ok"
    clock.advance(100.0)
    assert source.find("k2").key_id == "k2"
    with pytest.raises(RejectedError):
        source.find("unk-0")


def test_a_set_with_a_smaller_number_than_the_one_held_is_refused_from_a_mirror(mirrored, server, mirror, clock, k1):
    source = mirrored()
    server.sequence, mirror.sequence = 7, 6
    server.publish(k1, PrivateJWK.generate("ES256", key_id="new"))
    assert source.refresh().sequence == 7
    server.mode = "error"
    with pytest.raises(UnavailableError):
        source.refresh()
    assert source.find("new").key_id == "new"
    mirror.sequence = 7
    clock.advance(10.0)
    assert source.refresh().url == mirror.url


def test_a_mirror_that_is_older_is_passed_over_for_the_next_one(mirrored, server, mirror, k1, k2):
    with_k2 = JwksServer()
    with_k2.publish(k2)
    try:
        source = mirrored(with_k2.url)
        source.find("k1")
        server.publish(k2)
        source.refresh()
        server.mode = "error"
        assert source.refresh().url == with_k2.url
        assert mirror.fetches == 1
    finally:
        with_k2.stop()


def test_mirrors_stand_in_for_the_first_address_for_a_bounded_time(mirrored, server, mirror, clock):
    source = mirrored(settings=CacheSettings(mirror_s=1000.0, stale_s=500.0))
    source.find("k1")
    server.mode = "error"
    for _ in range(4):
        clock.advance(249.0)
        source.refresh()
    assert mirror.fetches == 4
    clock.advance(249.0)
    with pytest.raises(UnavailableError):
        source.refresh()
    assert source.find("k1").key_id == "k1"
    clock.advance(300.0 + 500.0)
    with pytest.raises(UnavailableError):
        source.find("k1")
    assert mirror.fetches == 4
    server.mode = "ok"
    clock.advance(61.0 * 1.25)
    assert source.find("k1").key_id == "k1"


def test_close_cuts_a_mirror_that_hangs(mirrored, server, mirror, in_threads):
    before = set(threading.enumerate())
    source = mirrored(clock=SYSTEM_CLOCK, timeout_s=30.0)
    server.mode = "error"
    mirror.hold()
    crowd = in_threads([lambda: source.find("k1")])
    mirror.wait_for_fetches(1)
    source.close()
    assert crowd.join()[0].reason == Reason.SOURCE_UNAVAILABLE
    assert not mirror.gate.is_set()
    assert not [one for one in set(threading.enumerate()) - before if one.name == "sealwright-jwks"]


@pytest.mark.parametrize("second", ["http://id.example/", "https://169.254.169.254/", "https://id.example/jwks.json"])
def test_a_mirror_obeys_the_rules_for_key_urls_and_is_another_one(second):
    with pytest.raises(ConfigurationError):
        RemoteJWKSet("https://id.example/jwks.json", second)


def test_the_failure_of_all_names_no_mirror_that_was_not_asked(mirrored, server, mirror):
    server.mode = mirror.mode = "error"
    assert failure(mirrored()).detail == "HTTP status 500"
