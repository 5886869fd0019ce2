"""Redis as a store: what is refused, what a hung, full, emptied or restarted one costs, and that nothing is let in."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import presenters
import pytest
from presenters import token
from redis_server import DURABLE, RedisServer
from servers import free_port, waiting_connections

from sealwright.errors import ConfigurationError, Reason, UnavailableError
from sealwright.events import Event, ReplayClaimed
from sealwright.trust.replay import ReplayStore
from sealwright.trust.replay_check import ReplayCheck
from sealwright.trust.stores.redis import RedisReplayStore
from sealwright.wiring.replay_stores import ReplayStoreOptions, open_replay_store

TIMEOUT_S = 0.25
SLOWNESS_S = 0.5  # of the machine


@pytest.fixture
def server() -> Iterator[RedisServer]:
    made = RedisServer()
    made.set_new()
    yield made
    made.close()


@pytest.fixture
def store(server: RedisServer) -> Iterator[ReplayStore]:
    with closing(RedisReplayStore(server.url, timeout_s=TIMEOUT_S)) as opened:
        opened.check()
        yield opened


def new_key() -> bytes:
    return secrets.token_bytes(16)


def failing(claim: Any) -> UnavailableError:
    began = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        claim()
    assert time.monotonic() - began < TIMEOUT_S + SLOWNESS_S
    return caught.value


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl"])
def test_a_redis_that_may_forget_an_entry_before_its_end_is_refused_at_the_start(
    server: RedisServer, policy: str
) -> None:
    server.command("CONFIG", "SET", "maxmemory-policy", policy)
    with pytest.raises(ConfigurationError, match=f"maxmemory-policy {policy}.*noeviction"):
        open_replay_store(server.url)


def test_a_policy_that_changes_later_is_noticed_with_the_next_connection(
    server: RedisServer, store: ReplayStore
) -> None:
    assert store.claim(new_key(), 60)
    server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    server.command("CLIENT", "KILL", "TYPE", "normal")
    for _ in range(3):
        assert failing(lambda: store.claim(new_key(), 60)).reason == Reason.REPLAY_UNAVAILABLE
    server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert store.claim(new_key(), 60)


def test_a_connection_is_proven_anew_every_few_seconds(
    server: RedisServer, store: ReplayStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealwright.trust.stores.redis.PROVEN_ANEW_S", 0.05)
    server.command("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    time.sleep(0.1)
    assert failing(lambda: store.claim(new_key(), 60)).reason == Reason.REPLAY_UNAVAILABLE


def test_what_was_evicted_meanwhile_closes_the_store_and_is_counted(server: RedisServer, store: ReplayStore) -> None:
    assert all(store.claim(new_key(), 60) for _ in range(500))
    server.command("CONFIG", "SET", "maxmemory-policy", "volatile-random")  # the record has no end, and stays
    used = int(server.command("INFO", "memory")["used_memory"])  # type: ignore[index]
    server.command("CONFIG", "SET", "maxmemory", str(used - 20_000))
    server.command("SET", "one", "more")
    server.command("CONFIG", "SET", "maxmemory", "64mb")
    server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.command("CLIENT", "KILL", "TYPE", "normal")
    assert failing(lambda: store.claim(new_key(), 60)).reason == Reason.REPLAY_UNAVAILABLE
    assert store.figures().evicted_unexpired > 0


@pytest.mark.parametrize("loss", [("FLUSHALL",), ("DEL", "sealwright:replay"), ("SET", "sealwright:replay", "x")])
def test_an_emptied_redis_claims_nothing_for_a_window(
    server: RedisServer, store: ReplayStore, loss: tuple[str, ...]
) -> None:
    key = new_key()
    assert store.claim(key, 60)
    server.command(*loss)
    for _ in range(3):
        failing(lambda: store.claim(key, 60))
    assert "may have lost entries" in failing(lambda: store.claim(key, 60)).message


def test_a_redis_that_nobody_called_new_claims_nothing_for_a_window() -> None:
    with closing(RedisServer()) as server, closing(RedisReplayStore(server.url, window_s=1.0)) as store:
        assert failing(store.check).reason == Reason.REPLAY_UNAVAILABLE, "so a sidecar is not ready"
        assert "may have lost entries" in failing(lambda: store.claim(new_key(), 0.5)).message
        time.sleep(1.05)
        assert store.claim(new_key(), 0.5)


@pytest.mark.parametrize(("settings", "kept"), [(DURABLE, True), ({"appendonly": "yes"}, False), ({}, False)])
def test_a_restart_keeps_the_store_open_only_where_nothing_was_lost(settings: dict[str, str], kept: bool) -> None:
    with closing(RedisServer(settings)) as server, closing(RedisReplayStore(server.url)) as store:
        server.set_new()
        key = new_key()
        assert store.claim(key, 60)
        for _ in range(2):
            server.stop()
            server.start()
            try:
                assert not store.claim(key, 60)  # the first one may still meet the connection that broke
                opened = True
            except UnavailableError:
                opened = _opens(store)
            assert opened is kept
            if kept:
                assert not store.claim(key, 60)


def _opens(store: ReplayStore) -> bool:
    try:
        return store.claim(new_key(), 60)
    except UnavailableError:
        return False


def test_a_promoted_replica_claims_nothing_for_a_window() -> None:
    """It may have missed the last entries of its primary, whatever it does with fsync."""
    with closing(RedisServer(DURABLE | {"repl-diskless-sync-delay": "0"})) as primary:
        primary.set_new()
        with closing(RedisReplayStore(primary.url)) as store:
            assert store.claim(new_key(), 60)
        with closing(RedisServer(DURABLE | {"replicaof": f"127.0.0.1 {primary.port}"})) as replica:
            deadline = time.monotonic() + 20
            while replica.command("GET", "sealwright:replay") is None:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            with closing(RedisReplayStore(replica.url)) as store:
                assert "replica" in failing(lambda: store.claim(new_key(), 60)).message
                primary.stop()
                replica.command("REPLICAOF", "NO", "ONE")
                assert not _opens(store)
                assert "may have lost entries" in failing(lambda: store.claim(new_key(), 60)).message


def test_a_hung_redis_costs_its_timeout_and_no_more(server: RedisServer, store: ReplayStore) -> None:
    assert store.claim(new_key(), 60)
    with server.frozen():
        for _ in range(3):
            assert failing(lambda: store.claim(new_key(), 60)).reason == Reason.REPLAY_UNAVAILABLE
        failing(lambda: asyncio.run(_many(store)))
    time.sleep(TIMEOUT_S)
    assert store.claim(new_key(), 60)


async def _many(store: ReplayStore) -> None:
    """All of them wait at the same time."""
    answers = await asyncio.gather(*(store.aclaim(new_key(), 60) for _ in range(50)), return_exceptions=True)
    assert all(isinstance(answer, UnavailableError) for answer in answers)
    raise answers[0]  # type: ignore[misc]


def test_a_claim_without_an_answer_is_not_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with closing(RedisReplayStore(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout_s=0.1)) as store:
            failing(lambda: store.claim(new_key(), 60))
            time.sleep(0.5)
        assert waiting_connections(silent) == 1


def test_an_event_loop_goes_on_while_redis_hangs(server: RedisServer, store: ReplayStore) -> None:
    async def beats_while_waiting() -> int:
        waiting, beats = asyncio.ensure_future(store.aclaim(new_key(), 60)), 0
        while not waiting.done():
            await asyncio.sleep(0.01)
            beats += 1
        assert isinstance(waiting.exception(), UnavailableError)
        return beats

    assert store.claim(new_key(), 60)
    with server.frozen():
        assert asyncio.run(beats_while_waiting()) > 5


def test_a_closed_port_costs_nothing() -> None:
    with closing(RedisReplayStore(f"redis://127.0.0.1:{free_port()}/0", timeout_s=5.0)) as store:
        began = time.monotonic()
        for _ in range(10):
            with pytest.raises(UnavailableError):
                store.claim(new_key(), 60)
        assert time.monotonic() - began < SLOWNESS_S


def test_a_redis_that_is_not_there_yet_does_not_stop_the_start(server: RedisServer) -> None:
    server.stop()
    with closing(open_replay_store(server.url)) as store:
        failing(lambda: store.claim(new_key(), 60))
        server.start()
        server.set_new()
        assert store.claim(new_key(), 60)


@pytest.mark.parametrize(
    ("on_failure", "lifetime_s", "outcome", "observed"),
    [
        ("closed", 50, "undecided", "failed_closed"),
        ("open", 50, "accepted", "failed_open"),
        ("open", 500, "undecided", "failed_closed"),
    ],
)
def test_a_verifier_over_a_hung_redis(
    server: RedisServer, store: ReplayStore, *, on_failure: Any, lifetime_s: float, outcome: str, observed: str
) -> None:
    class Observed:
        events: list[Event] = []

        def observe(self, event: Event) -> None:
            self.events.append(event)

    seen = Observed()
    seen.events.clear()
    check = ReplayCheck(store, on_failure=on_failure, observer=seen)
    one, text = presenters.verifier(presenters.KEY.public, check), token(lifetime_s)
    with server.frozen():
        assert one.decide(text).outcome == outcome
        again = one.decide(text)
    assert (again.outcome, again.reason) == (
        ("rejected", Reason.REPLAY_SEEN_BEFORE) if outcome == "accepted" else ("undecided", Reason.REPLAY_UNAVAILABLE)
    )
    claims = [event for event in seen.events if isinstance(event, ReplayClaimed)]
    assert (claims[0].outcome, claims[0].reason) == (observed, Reason.REPLAY_UNAVAILABLE)


def test_a_full_redis_takes_nothing_and_forgets_nothing(server: RedisServer, store: ReplayStore) -> None:
    kept = [new_key() for _ in range(50)]
    assert all(store.claim(key, 60) for key in kept)
    server.command("CONFIG", "SET", "maxmemory", "1mb")
    for _ in range(20):
        assert failing(lambda: store.claim(new_key(), 60)).reason == Reason.REPLAY_FULL
    server.command("CONFIG", "SET", "maxmemory", "64mb")
    assert not any(store.claim(key, 60) for key in kept)
    assert store.claim(new_key(), 60)
    assert store.figures().errors == 20


def test_an_entry_that_would_outlive_the_window_is_not_promised(store: ReplayStore) -> None:
    assert store.claim(new_key(), 1200)
    assert "outlive the store's window" in failing(lambda: store.claim(new_key(), 1200.1)).message


def test_many_callers_cost_few_round_trips(server: RedisServer, store: ReplayStore) -> None:
    async def claim_many() -> list[bool]:
        return await asyncio.gather(*(store.aclaim(new_key(), 60) for _ in range(2000)))

    def reads() -> int:
        return int(server.command("INFO", "stats")["total_reads_processed"])  # type: ignore[index]

    before = reads()
    with closing(RedisReplayStore(server.url, timeout_s=10)) as patient:
        store = patient
        assert all(asyncio.run(claim_many()))
    assert reads() - before < 100


def test_a_user_with_few_rights_is_enough(server: RedisServer) -> None:
    rights = "+set +get +info +time +dbsize +ping +watch +unwatch +multi +exec +select"
    server.command("ACL", "SETUSER", "verifier", "on", ">s3cret", "~rp:*", "~sealwright:replay", *rights.split())
    with closing(open_replay_store(f"redis://verifier:s3cret@127.0.0.1:{server.port}/0")) as store:
        assert store.claim(new_key(), 60)


@pytest.mark.parametrize(
    "address",
    [
        "redis://verifier:s3cret@127.0.0.1:{port}/0",  # a user that is not there
        "redis://verifier:s3cret@localhost:{port}/0?socket_timeout=99",
        "rediss://:s3cret@127.0.0.1:{port}/0",
        "redis://:s3cret@127.0.0.1:notaport/0",
        "unix://",
        "unix://:s3cret@",
        "redis://:s3cret@[::1/0",
    ],
)
def test_no_error_shows_the_secret_of_a_url(server: RedisServer, address: str) -> None:
    url = address.format(port=server.port)
    try:
        with closing(open_replay_store(url, ReplayStoreOptions(timeout_s=TIMEOUT_S))) as store:
            error: Exception = failing(lambda: store.claim(new_key(), 60))
            assert "s3cret" not in repr(store)
    except ConfigurationError as refused:
        error = refused
    shown = "".join(f"{one!r}{one}{getattr(one, 'detail', '')}" for one in (error, error.__cause__, error.__context__))
    assert "s3cret" not in shown
