"""One token, presented 50 times at once to 4 processes: accepted once. Also when the store is killed in between."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import presenters
import pytest
from postgresql import DURABLE as DURABLE_POSTGRESQL
from postgresql import Cluster, shared_cluster
from presenters import Outcome, token
from redis_server import DURABLE, FORGETFUL, RedisServer, shared

ROUNDS, SOAK_ROUNDS = 50, 1000
SEEN: Outcome = ("rejected", "replay.seen_before")
URLS: dict[str, Callable[[Path], str]] = {
    "redis": lambda _: shared().url,
    "sqlite": lambda folder: f"sqlite:///{folder / 'replay.db'}",
    "postgresql": lambda _: shared_cluster().new_database(),
}


def accepted(outcomes: list[Outcome]) -> int:
    return sum(outcome == "accepted" for outcome, _ in outcomes)


@pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(SOAK_ROUNDS, marks=pytest.mark.soak)])
@pytest.mark.parametrize("store", URLS)
def test_a_token_is_accepted_exactly_once_while_the_store_is_up(store: str, rounds: int, tmp_path: Path) -> None:
    with presenters.presenters(URLS[store](tmp_path)) as present:
        for number in range(rounds):
            outcomes = present.present(token())
            assert len(outcomes) == presenters.PRESENTATIONS
            once, *others = sorted(outcomes)
            assert once == ("accepted", None), (number, outcomes)
            assert others == [SEEN] * (presenters.PRESENTATIONS - 1), (number, outcomes)


@pytest.mark.parametrize("store", URLS)
def test_what_killed_verifiers_accepted_is_refused_by_those_that_follow(store: str, tmp_path: Path) -> None:
    url, earlier = URLS[store](tmp_path), dict[str, int]()
    for _ in range(2):
        with presenters.presenters(url) as present:
            for text in earlier:
                earlier[text] += accepted(present.present(text, 8))
            for text in (token(), token()):
                earlier[text] = accepted(present.present(text))
            present.sent(during := token())
            time.sleep(presenters.AHEAD_S)
            present.kill()
            earlier[during] = 0  # nobody heard of it
    assert set(earlier.values()) <= {0, 1}
    assert sum(earlier.values()) >= 4


@pytest.fixture
def durable_redis() -> Iterator[RedisServer]:
    server = RedisServer(DURABLE)
    server.set_new()
    yield server
    server.close()


@pytest.fixture
def forgetful_redis() -> Iterator[RedisServer]:
    server = RedisServer(FORGETFUL)
    server.set_new()
    yield server
    server.close()


@pytest.fixture
def durable_postgresql() -> Iterator[Cluster]:
    cluster = Cluster(DURABLE_POSTGRESQL)
    yield cluster
    cluster.close()


Crash = Callable[[], None]


def at_most_once_through_crashes(present: presenters.Presenters, crash: Crash, start: Crash, rounds: int) -> None:
    """Each round one token is on its way while the store is killed; then it and all earlier ones come again."""
    earlier: dict[str, int] = {}
    for _ in range(rounds):
        before, during, after = token(), token(), token()
        assert accepted(present.present(before)) == 1
        answers = present.sent(during)
        time.sleep(presenters.AHEAD_S)
        crash()
        earlier |= {before: 1, during: accepted(answers())}
        assert accepted(present.present(after)) == 0  # the store is down
        start()
        eventually_accepted(present)
        for text, count in earlier.items():
            outcomes = present.present(text, 8)
            assert count + accepted(outcomes) <= 1, outcomes
            earlier[text] = count + accepted(outcomes)


def eventually_accepted(present: presenters.Presenters, lifetime_s: float = 600.0) -> None:
    """All four processes have found their way back."""
    deadline = time.monotonic() + 30
    while any(outcome == "undecided" for outcome, _ in present.present(token(lifetime_s), 8)):
        assert time.monotonic() < deadline, "the store is back and claims nothing"
        time.sleep(0.05)


@pytest.mark.parametrize("rounds", [2, pytest.param(40, marks=pytest.mark.soak)])
def test_a_redis_that_answers_after_fsync_forgets_nothing_when_it_is_killed(
    durable_redis: RedisServer, rounds: int
) -> None:
    with presenters.presenters(durable_redis.url, timeout_s=2.0) as present:
        at_most_once_through_crashes(present, durable_redis.stop, durable_redis.start, rounds)


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.soak)])
def test_a_postgresql_that_is_killed_forgets_nothing(durable_postgresql: Cluster, rounds: int) -> None:
    cluster = durable_postgresql
    with presenters.presenters(cluster.new_database(), timeout_s=2.0) as present:
        at_most_once_through_crashes(present, lambda: cluster.stop(signal.SIGQUIT), cluster.start, rounds)


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.soak)])
def test_a_redis_that_forgets_claims_nothing_until_all_that_it_forgot_has_expired(
    forgetful_redis: RedisServer, rounds: int
) -> None:
    window_s, lifetime_s = 4.0, 2.5
    with presenters.presenters(forgetful_redis.url, timeout_s=1.0, margin_s=1.0, window_s=window_s) as present:
        for _ in range(rounds):
            before = token(lifetime_s)
            assert accepted(present.present(before)) == 1
            forgetful_redis.stop()
            forgetful_redis.start()
            restarted_at, outcomes = time.monotonic(), present.present(before)
            while time.monotonic() < restarted_at + window_s - 1.0:
                outcomes += present.present(before) + present.present(token(lifetime_s))
                time.sleep(0.1)
            assert accepted(outcomes) == 0
            assert ("undecided", "replay.unavailable") in outcomes
            eventually_accepted(present, lifetime_s)
            assert accepted(present.present(token(lifetime_s))) == 1
