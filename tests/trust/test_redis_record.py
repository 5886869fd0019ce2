"""The record of a Redis: after which changes its entries still count, and after which none of them do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.trust.stores.redis_record import NEW, RedisFacts, RedisRecord, renewed

FACTS = RedisFacts(run_id="a" * 40, policy="noeviction", evicted=0, primary=True, durable=True, cluster=False)
RECORD = RedisRecord(FACTS.run_id, 0, True, 5_000)
NOW_MS = 9_000
INFO = {
    "run_id": "b" * 40,
    "maxmemory_policy": "noeviction",
    "evicted_keys": "0",
    "role": "master",
    "aof_enabled": "1",
    "connected_slaves": "0",
    "master_replid2": "0" * 40,
    "redis_mode": "standalone",
}
FSYNC = {"appendfsync": "always", "no-appendfsync-on-rewrite": "no"}


def since(found: bytes | None, facts: RedisFacts = FACTS) -> int:
    return renewed(found, facts, NOW_MS).complete_since_ms


def test_the_same_run_goes_on_as_before() -> None:
    assert renewed(RECORD.encode(), FACTS, NOW_MS) == RECORD


def test_a_store_without_a_record_is_complete_from_now_on() -> None:
    assert since(None) == NOW_MS


def test_a_store_that_an_operator_calls_new_is_complete() -> None:
    assert since(NEW) == 0


def test_a_restart_of_a_durable_one_loses_nothing() -> None:
    assert since(RECORD.encode(), FACTS._replace(run_id="b" * 40)) == 5_000


@pytest.mark.parametrize(
    ("record", "facts"),
    [
        (RECORD, FACTS._replace(run_id="b" * 40, durable=False)),
        (RECORD._replace(durable=False), FACTS._replace(run_id="b" * 40)),
        (RECORD, FACTS._replace(run_id="b" * 40, evicted=1)),
        (RECORD, FACTS._replace(evicted=1)),
    ],
)
def test_whatever_may_have_lost_entries_is_complete_from_now_on(record: RedisRecord, facts: RedisFacts) -> None:
    after = renewed(record.encode(), facts, NOW_MS)
    assert after == RedisRecord(facts.run_id, facts.evicted, facts.durable, NOW_MS)


@given(st.binary(max_size=60))
def test_what_nobody_of_us_wrote_proves_nothing(found: bytes) -> None:
    assert since(found) == (0 if found == NEW else NOW_MS)


def test_a_record_is_read_as_it_was_written() -> None:
    assert RedisRecord.parse(RECORD.encode()) == RECORD


@pytest.mark.parametrize(
    ("info", "fsync", "durable"),
    [
        ({}, {}, True),
        ({"aof_enabled": "0"}, {}, False),
        ({"connected_slaves": "1"}, {}, False),
        ({"master_replid2": "c" * 40}, {}, False),
        ({}, {"appendfsync": "everysec"}, False),
        ({}, {"no-appendfsync-on-rewrite": "yes"}, False),
    ],
)
def test_durable_is_only_a_lone_primary_that_answers_after_fsync(
    info: dict[str, str], fsync: dict[str, str], durable: bool
) -> None:
    assert RedisFacts.parse(INFO | info, FSYNC | fsync).durable is durable


def test_a_service_that_hides_its_settings_counts_as_one_that_may_lose_something() -> None:
    assert not RedisFacts.parse(INFO, {}).durable
