import asyncio

import pytest
from jwks_server import JwksServer

from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.jwks_cache import JwksCache
from sealwright.trust.key_snapshot import FetchedKeys
from sealwright.trust.sources.remote import RemoteJWKSet


def test_sync_and_async_callers_share_one_flight(remote, server, in_threads, k1):
    server.publish(k1)
    server.hold()
    source = remote()

    async def many():
        return await asyncio.gather(*(source.afind("k1") for _ in range(25)))

    crowd = in_threads([lambda: asyncio.run(many()), *([lambda: source.find("k1")] * 25)])
    server.wait_for_fetches(1)
    server.release()
    loops, *threads = crowd.join()
    assert {key.key_id for key in [*loops, *threads]} == {"k1"}
    assert len(loops) == len(threads) == 25
    assert server.fetches == 1


def test_an_async_caller_waits_without_blocking_its_loop(remote, server, k1):
    server.publish(k1)
    server.hold()
    source = remote()

    async def main():
        waiting = asyncio.create_task(source.afind("k1"))
        ticks = 0
        while server.fetches == 0 or ticks < 5:
            await asyncio.sleep(0.001)
            ticks += 1
        assert not waiting.done()
        server.release()
        return await waiting

    assert asyncio.run(main()).key_id == "k1"


def test_an_async_caller_finds_a_known_key_without_yielding_to_the_loop(warm, server):
    source = warm()
    server.hold()
    steps = source.afind("k1")
    with pytest.raises(StopIteration) as finished:
        steps.send(None)
    assert finished.value.value.key_id == "k1"


def test_a_cancelled_caller_does_not_take_the_flight_from_the_others(remote, server, k1):
    server.publish(k1)
    server.hold()
    source = remote()

    async def main():
        impatient, patient = asyncio.create_task(source.afind("k1")), asyncio.create_task(source.afind("k1"))
        while server.fetches == 0:
            await asyncio.sleep(0.001)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        server.release()
        return await patient

    assert asyncio.run(main()).key_id == "k1"
    assert server.fetches == 1


def test_async_callers_are_told_the_same_reasons(warm, server):
    source = warm()

    async def reason(key_id):
        with pytest.raises((RejectedError, UnavailableError)) as caught:
            await source.afind(key_id)
        return caught.value.reason

    assert asyncio.run(reason("unk-0")) == Reason.KEY_NOT_FOUND
    server.mode = "error"
    assert asyncio.run(reason("unk-1")) == Reason.SOURCE_UNAVAILABLE


def test_an_async_caller_waits_no_longer_than_the_timeout(remote, server):
    server.hold()
    source = remote(timeout_s=0.2)

    async def main():
        with pytest.raises(UnavailableError):
            await source.afind("k1")

    asyncio.run(main())
    assert not server.gate.is_set()


def test_a_caller_with_an_unknown_kid_is_not_held_up_for_the_whole_timeout(warm, server, in_threads):
    source = warm(settings=CacheSettings(unknown_kid_wait_s=0.1), timeout_s=60.0)
    server.hold()
    assert in_threads([lambda: source.find("unk-0")]).join()[0].reason == Reason.SOURCE_UNAVAILABLE
    assert not server.gate.is_set()


def test_status_tells_age_freshness_and_the_next_refresh(remote, server, clock, k1):
    server.publish(k1)
    source = remote(settings=CacheSettings(refresh_jitter_ratio=0.0))
    empty = source.status()
    assert (empty.age_s, empty.fresh, empty.usable, empty.keys, empty.next_refresh_s) == (None, False, False, 0, None)
    source.find("k1")
    clock.advance(40.0)
    status = source.status()
    assert (status.age_s, status.fresh, status.usable, status.keys, status.last_error) == (40.0, True, True, 1, None)
    assert status.next_refresh_s == 200.0


def test_status_tells_when_and_from_where_and_as_which_number_the_keys_came(remote, server, clock, k1):
    server.publish(k1)
    server.sequence = 41
    source = remote()
    empty = source.status()
    assert (empty.fetched_unix_s, empty.sequence, empty.url, empty.skipped) == (None, None, None, ())
    source.find("k1")
    fetched = clock.now()
    clock.advance(40.0)
    status = source.status()
    assert (status.fetched_unix_s, status.sequence, status.url) == (fetched, 41, server.url)
    server.mode = "error"
    with pytest.raises(UnavailableError):
        source.refresh()
    assert source.status().fetched_unix_s == fetched


def test_the_time_of_the_fetch_is_its_start_however_long_it_took(clock, k1):
    def fetch(held):
        clock.advance(3.0)
        return FetchedKeys(JWKSet([k1.public]))

    began = clock.now()
    cache = JwksCache("slow", fetch, timeout_s=10.0, clock=clock)
    cache.find("k1")
    assert cache.status().fetched_unix_s == began
    assert cache.status().age_s == 3.0
    cache.close()


@pytest.mark.parametrize("sequence", [True, 1.0, "7", -1, 2**53, None, [1]])
def test_a_number_that_is_no_number_is_none(remote, server, k1, sequence):
    server.publish(k1)
    server.sequence = sequence
    source = remote()
    source.find("k1")
    assert source.status().sequence is None


def test_one_issuer_that_hangs_or_fails_costs_another_nothing(warm, server, clock, in_threads, k2):
    other = JwksServer()
    other.publish(k2)
    source = warm()
    server.hold()
    clock.advance(10_000.0)
    try:
        with RemoteJWKSet(other.url, clock=clock) as neighbour:
            stranded = in_threads([lambda: source.find("k1")])
            server.wait_for_fetches(1)
            assert neighbour.find("k2").key_id == "k2"
            for number in range(20):
                with pytest.raises(RejectedError):
                    neighbour.find(f"unk-{number}")
            assert other.fetches == 1 + 5
            assert stranded.results == [None]
            server.release()
            assert stranded.join()[0].key_id == "k1"
            assert server.fetches == 1
    finally:
        other.stop()
