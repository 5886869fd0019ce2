import asyncio

import pytest

from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.trust.cache_settings import CacheSettings


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
