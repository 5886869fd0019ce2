"""The experiments with key caches judge by what they counted, and can be run."""

from __future__ import annotations

from benchmarks.key_cache.bars import BARS, BUDGET, NEW_KEY, better_peers
from benchmarks.key_cache.clients import CONTESTANTS, Client, Commands
from benchmarks.key_cache.experiments import EXPERIMENTS
from benchmarks.key_cache.report import verdicts
from benchmarks.key_cache.rig import running_rig

from sealwright.trust.cache_settings import CacheSettings

FETCHES, SERVED = "A after: fetches for 200 unknown kids", "D: accepted of 50 in an outage after expiry"


def test_few_fetches_are_no_merit_of_a_client_that_does_not_find_new_keys() -> None:
    ours = {FETCHES: 5, NEW_KEY: 0.01}
    assert better_peers(FETCHES, ours, {"blind": {FETCHES: 0, NEW_KEY: None}}) == []
    assert better_peers(FETCHES, ours, {"slow": {FETCHES: 1, NEW_KEY: 1.0}}) == []
    assert better_peers(FETCHES, ours, {"good": {FETCHES: 1, NEW_KEY: 0.02}}) == ["good"]


def test_a_peer_that_serves_more_is_better_and_one_that_cannot_be_measured_is_not() -> None:
    assert better_peers(SERVED, {SERVED: 49}, {"better": {SERVED: 50}, "absent": {}, "never": {SERVED: None}}) == [
        "better"
    ]
    assert better_peers(SERVED, {SERVED: None}, {"some": {SERVED: 1}}) == ["some"]


def test_a_bar_is_met_or_missed() -> None:
    found = {"ours": {FETCHES: BUDGET + 1, SERVED: 50, NEW_KEY: None}, "PyJWT": {SERVED: 0}}
    assert {one.name: one.met for one in verdicts(found)} == {FETCHES: False, SERVED: True, NEW_KEY: None}


def test_the_budget_of_the_bars_is_the_budget_of_the_cache() -> None:
    assert CacheSettings().unknown_kid_burst == BUDGET


def test_quick_experiments_run_with_ours_and_find_what_the_bars_ask_for() -> None:
    with running_rig() as rig:
        for one in CONTESTANTS[:1]:
            found = {}
            with Client(one, Commands(), rig) as client:
                for letter in ("A2", "B", "F", "I", "J", "K"):
                    found |= EXPERIMENTS[letter](rig, client)
            assert {name for name, value in found.items() if not BARS[name].is_met(value)} == set()
