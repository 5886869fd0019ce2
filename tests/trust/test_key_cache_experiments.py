import asyncio
import threading
import time

import pytest

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.trust.cache_settings import CacheSettings

STEADY = CacheSettings(unknown_kid_wait_s=10.0, refresh_jitter_ratio=0.0, backoff_jitter_ratio=0.0)


def refused(source, key_id):
    with pytest.raises((RejectedError, UnavailableError)) as caught:
        source.find(key_id)
    return caught.value.reason


def test_a_200_unknown_kids_cost_no_more_fetches_than_the_burst(warm, server):
    source = warm()
    assert {refused(source, f"unk-{n}") for n in range(200)} == {Reason.KEY_NOT_FOUND}
    assert server.fetches == 5


def test_a_the_budget_refills_by_one_fetch_in_ten_seconds(warm, server, clock):
    source = warm()
    for n in range(20):
        refused(source, f"unk-{n}")
    clock.advance(20.0)
    assert {refused(source, f"later-{n}") for n in range(20)} == {Reason.KEY_NOT_FOUND}
    assert server.fetches == 7


def test_a_prime_one_unknown_kid_a_hundred_times_costs_one_fetch(warm, server):
    source = warm()
    assert {refused(source, "unk-0") for _ in range(100)} == {Reason.KEY_NOT_FOUND}
    assert server.fetches == 1


def test_a_second_unknown_kids_during_an_outage_are_undecided_and_cost_one_fetch_per_backoff(warm, server, clock):
    source = warm(settings=STEADY)
    server.mode = "error"
    assert {refused(source, f"unk-{n}") for n in range(100)} == {Reason.SOURCE_UNAVAILABLE}
    assert server.fetches == 1
    assert source.find("k1").key_id == "k1"
    clock.advance(1.0)
    assert {refused(source, f"unk-{n}") for n in range(100)} == {Reason.SOURCE_UNAVAILABLE}
    clock.advance(1.9)
    refused(source, "unk-0")
    assert server.fetches == 2
    clock.advance(0.2)
    refused(source, "unk-0")
    assert server.fetches == 3


def test_b_50_cold_callers_share_one_fetch(remote, server, in_threads, k1):
    server.publish(k1)
    server.hold()
    source = remote()
    crowd = in_threads([lambda: source.find("k1")] * 50)
    server.wait_for_fetches(1)
    server.release()
    assert {key.key_id for key in crowd.join()} == {"k1"}
    assert (server.fetches, server.max_in_flight) == (1, 1)


def test_c_50_callers_at_expiry_are_served_while_one_fetch_runs(warm, server, clock, in_threads):
    source = warm()
    server.hold()
    clock.advance(400.0)
    crowd = in_threads([lambda: source.find("k1")] * 50)
    assert {key.key_id for key in crowd.join()} == {"k1"}
    assert not server.gate.is_set()
    server.wait_for_fetches(1)
    assert server.fetches == 1


def test_d_an_outage_after_expiry_fails_nobody_and_recovery_is_seen(warm, server, clock, events):
    source = warm(settings=STEADY)
    server.mode = "error"
    clock.advance(400.0)
    assert [source.find("k1").key_id for _ in range(50)] == ["k1"] * 50
    failure = events.next()
    assert (failure.cause, failure.outcome, failure.reason) == ("expired", "failed", Reason.SOURCE_UNAVAILABLE)
    assert [source.find("k1").key_id for _ in range(50)] == ["k1"] * 50
    assert server.fetches == 1
    assert not source.status().fresh
    server.mode = "ok"
    clock.advance(1.0)
    assert source.find("k1").key_id == "k1"
    assert events.next().outcome == "unchanged"
    assert source.status().fresh


def test_d2_a_hanging_endpoint_after_expiry_makes_nobody_wait(warm, server, clock, in_threads):
    source = warm()
    server.hold()
    clock.advance(400.0)
    assert len([key for key in in_threads([lambda: source.find("k1")] * 8).join() if key.key_id == "k1"]) == 8
    assert not server.gate.is_set()


def test_e_a_known_kid_is_found_while_an_unknown_one_waits_for_its_fetch(warm, server, in_threads):
    source = warm()
    server.hold()
    stranger = in_threads([lambda: source.find("unk-0")])
    server.wait_for_fetches(1)
    assert source.find("k1").key_id == "k1"
    assert stranger.results == [None]
    server.release()
    assert stranger.join()[0].reason == Reason.KEY_NOT_FOUND


def test_f_a_key_published_after_the_fetch_is_found_at_its_first_use(warm, server, k1, k2):
    source = warm()
    server.publish(k1, k2)
    assert source.find("k2").key_id == "k2"
    assert server.fetches == 1


def test_f_a_new_key_fails_none_of_the_callers_who_bring_it_at_once(warm, server, in_threads, k1, k2):
    source = warm()
    server.publish(k1, k2)
    assert {key.key_id for key in in_threads([lambda: source.find("k2")] * 50).join()} == {"k2"}
    assert server.fetches == 1


def test_f_a_flight_that_left_before_the_question_does_not_prove_a_kid_absent(warm, server, clock, k1, k2):
    source = warm(settings=STEADY)
    server.hold()
    clock.advance(250.0)
    source.find("k1")
    server.wait_for_fetches(1)

    async def newcomer():
        asking = asyncio.create_task(source.afind("k2"))
        await asyncio.sleep(0)
        server.publish(k1, k2)
        server.release()
        return await asking

    assert asyncio.run(newcomer()).key_id == "k2"
    assert server.fetches == 2


def test_g_a_removed_key_is_refused_once_the_thread_has_refreshed_unasked(warm, server, k2):
    source = warm(clock=SYSTEM_CLOCK, settings=CacheSettings(freshness_s=0.2, minimum_freshness_s=0.1))
    server.publish(k2)
    server.wait_for_fetches(2)
    server.wait_for_fetches(server.fetches + 1)
    assert refused(source, "k1") == Reason.KEY_NOT_FOUND
    assert source.find("k2").key_id == "k2"


def test_g_a_removed_key_is_refused_after_the_next_refresh(warm, server, clock, events, k2):
    source = warm()
    server.publish(k2)
    clock.advance(300.0)
    source.find("k1")
    assert events.next().outcome == "changed"
    assert refused(source, "k1") == Reason.KEY_NOT_FOUND


@pytest.mark.parametrize("expired", [False, True])
def test_x_strangers_at_a_hanging_endpoint_do_not_slow_the_owner_of_a_known_kid(
    warm, server, clock, in_threads, expired
):
    source = warm(timeout_s=0.3, settings=STEADY)
    server.hold()
    if expired:
        clock.advance(400.0)
    stop = threading.Event()

    def attacker(offset):
        outcomes = []
        while not stop.is_set():
            outcomes.append(refused(source, f"unk-{(offset + len(outcomes)) % 400}"))
            time.sleep(0.001)
        return outcomes

    def victim():
        try:
            while not attacked.wait(0.001):
                assert source.find("k1").key_id == "k1"
            return [source.find("k1").key_id for _ in range(600)]
        finally:
            stop.set()

    attacked = threading.Event()
    crowd = in_threads([victim, *(lambda offset=offset: attacker(offset) for offset in (0, 100, 200, 300))])
    server.wait_for_fetches(1)
    attacked.set()
    mine, *theirs = crowd.join()
    assert mine == ["k1"] * 600
    assert not server.gate.is_set()
    assert {reason for outcomes in theirs for reason in outcomes} == {Reason.SOURCE_UNAVAILABLE}
    assert server.fetches == 1


@pytest.mark.parametrize("expired", [False, True])
def test_x_async_strangers_at_a_hanging_endpoint_never_make_the_owner_of_a_known_kid_wait(warm, server, clock, expired):
    source = warm(settings=STEADY)
    server.hold()
    if expired:
        clock.advance(400.0)

    async def crowd():
        strangers = [asyncio.create_task(source.afind(f"unk-{n}")) for n in range(200)]
        while server.fetches == 0:
            await asyncio.sleep(0.001)
        for _ in range(600):
            with pytest.raises(StopIteration) as found:
                source.afind("k1").send(None)
            assert found.value.value.key_id == "k1"
        assert not any(stranger.done() for stranger in strangers)
        for stranger in strangers:
            stranger.cancel()
        await asyncio.gather(*strangers, return_exceptions=True)

    asyncio.run(crowd())
    assert not server.gate.is_set()
    assert server.fetches == 1


def test_a_200_unknown_kids_from_many_callers_at_once_cost_no_more_than_the_burst(warm, server, in_threads):
    source = warm()
    crowd = in_threads([lambda n=n: [refused(source, f"unk-{n}-{m}") for m in range(10)] for n in range(20)])
    assert {reason for reasons in crowd.join() for reason in reasons} == {Reason.KEY_NOT_FOUND}
    assert server.fetches <= 5


def test_b_50_cold_async_callers_share_one_fetch(remote, server, k1):
    server.publish(k1)
    source = remote()

    async def crowd():
        return await asyncio.gather(*(source.afind("k1") for _ in range(50)))

    assert {key.key_id for key in asyncio.run(crowd())} == {"k1"}
    assert server.fetches == 1
