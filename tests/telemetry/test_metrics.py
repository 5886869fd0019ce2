"""Metrics: each event moves what it should, and labels stay few."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from sealwright.clock import ManualClock
from sealwright.errors import Reason
from sealwright.events import Event, FleetCounted
from sealwright.telemetry.fan_out import FanOut
from sealwright.telemetry.metrics import Metrics
from sealwright.trust.replay import StoreFigures

SOURCE = "https://id.example/.well-known/jwks.json"
ReadScrape = Callable[[Metrics], Any]


@pytest.mark.parametrize(
    "decision",
    [
        ("accepted", None, "none"),
        ("rejected", Reason.CLAIMS_EXPIRED, "claims.expired"),
        ("undecided", Reason.SOURCE_UNAVAILABLE, "source.unavailable"),
    ],
)
def test_a_decision_is_counted_by_issuer_alg_result_and_reason(
    metrics: Metrics, happened: Any, read_scrape: ReadScrape, decision: tuple[str, Reason | None, str]
) -> None:
    outcome, reason, label = decision
    for _ in range(2):
        metrics.observe(happened.decided(outcome=outcome, reason=reason))
    scrape = read_scrape(metrics)
    labels = {"issuer": "default", "alg": "ES256", "result": outcome, "reason": label}
    assert scrape.value("jws_verify_total", **labels) == 2
    assert sum(value for (name, _), value in scrape.values.items() if name == "jws_verify_total") == 2


def test_the_time_of_a_decision_falls_into_fine_buckets(
    metrics: Metrics, happened: Any, read_scrape: ReadScrape
) -> None:
    for duration_s in (0.000_04, 0.000_4, 0.009):
        metrics.observe(happened.decided(duration_s=duration_s))
    scrape = read_scrape(metrics)

    def below(le: str) -> float | None:
        value: float | None = scrape.value("jws_verify_duration_seconds_bucket", issuer="default", alg="ES256", le=le)
        return value

    steps = ("5e-05", "0.00025", "0.0005", "0.005", "0.01", "60.0", "+Inf")
    assert [below(le) for le in steps] == [1, 1, 2, 2, 3, 3, 3]
    total = scrape.value("jws_verify_duration_seconds_sum", issuer="default", alg="ES256")
    assert total == pytest.approx(0.00944)


def test_a_signature_is_counted_and_timed_by_backend(metrics: Metrics, happened: Any, read_scrape: ReadScrape) -> None:
    metrics.observe(happened.signed())
    metrics.observe(happened.signed(reason=Reason.BACKEND_FAILED, backend="pkcs11", duration_s=0.5))
    scrape = read_scrape(metrics)
    both = {"issuer": "default", "alg": "ES256"}
    assert scrape.value("jws_sign_total", **both, result="released", reason="none") == 1
    assert scrape.value("jws_sign_total", **both, result="failed", reason="backend.failed") == 1
    assert scrape.value("jws_sign_duration_seconds_bucket", **both, backend="local", le="0.02") == 1
    assert scrape.value("jws_sign_duration_seconds_bucket", **both, backend="pkcs11", le="0.25") == 0
    assert scrape.value("jws_sign_duration_seconds_sum", **both, backend="pkcs11") == 0.5


def test_a_refresh_is_counted_timed_and_dated(
    metrics: Metrics, clock: ManualClock, happened: Any, read_scrape: ReadScrape
) -> None:
    metrics.observe(happened.refreshed())
    clock.advance(240)
    metrics.observe(happened.refreshed(outcome="unchanged", cause="ahead", keys=4, unusable=0))
    scrape = read_scrape(metrics)
    assert scrape.value("jwks_fetch_total", issuer=SOURCE, outcome="changed", reason="none") == 1
    assert scrape.value("jwks_fetch_total", issuer=SOURCE, outcome="unchanged", reason="none") == 1
    name = "jwks_fetch_duration_seconds_bucket"
    assert scrape.value(name, issuer=SOURCE, outcome="changed", cause="cold", le="0.2") == 1
    assert scrape.value(name, issuer=SOURCE, outcome="changed", cause="cold", le="0.1") == 0
    assert scrape.value("jwks_last_success_timestamp_seconds", issuer=SOURCE) == clock.now()
    assert scrape.value("jwks_keys", issuer=SOURCE, status="usable") == 4
    assert scrape.value("jwks_keys", issuer=SOURCE, status="unusable") == 0


def test_a_failed_refresh_does_not_move_the_last_success(
    metrics: Metrics, clock: ManualClock, happened: Any, read_scrape: ReadScrape
) -> None:
    failed = happened.refreshed(outcome="failed", reason=Reason.SOURCE_UNAVAILABLE)
    metrics.observe(failed)
    assert read_scrape(metrics).value("jwks_last_success_timestamp_seconds", issuer=SOURCE) == 0
    metrics.observe(happened.refreshed())
    succeeded_at = clock.now()
    clock.advance(600)
    metrics.observe(failed)
    scrape = read_scrape(metrics)
    assert scrape.value("jwks_last_success_timestamp_seconds", issuer=SOURCE) == succeeded_at
    assert scrape.value("jwks_fetch_total", issuer=SOURCE, outcome="failed", reason="source.unavailable") == 2


def test_a_key_move_is_counted_by_its_states(metrics: Metrics, happened: Any, read_scrape: ReadScrape) -> None:
    metrics.observe(happened.moved())
    metrics.observe(happened.moved(before=None, after="pending"))
    scrape = read_scrape(metrics)
    both = {"issuer": "default", "alg": "ES256"}
    assert scrape.value("key_moves_total", **both, before="standby", after="active") == 1
    assert scrape.value("key_moves_total", **both, before="none", after="pending") == 1


def test_a_backend_call_is_timed_by_call_and_reason(metrics: Metrics, happened: Any, read_scrape: ReadScrape) -> None:
    metrics.observe(happened.called())
    metrics.observe(happened.called(call="generate", duration_s=2.0, reason=Reason.BACKEND_FAILED))
    scrape = read_scrape(metrics)
    name = "key_backend_call_duration_seconds"
    assert scrape.value(f"{name}_count", backend="local", call="sign", reason="none") == 1
    assert scrape.value(f"{name}_sum", backend="local", call="generate", reason="backend.failed") == 2


def test_a_batch_counts_each_of_its_signatures_and_its_time_once(
    metrics: Metrics, happened: Any, read_scrape: ReadScrape
) -> None:
    metrics.observe(happened.signed(signatures=500))
    scrape = read_scrape(metrics)
    released = {"issuer": "default", "alg": "ES256", "result": "released", "reason": "none"}
    assert scrape.value("jws_sign_total", **released) == 500
    assert scrape.value("jws_sign_duration_seconds_count", issuer="default", alg="ES256", backend="local") == 1


def test_a_wait_for_a_backend_is_timed_and_who_was_turned_away_is_counted(
    metrics: Metrics, happened: Any, read_scrape: ReadScrape
) -> None:
    metrics.observe(happened.waited(duration_s=0.5))
    metrics.observe(happened.waited(reason=Reason.SIGNING_BUSY))
    scrape = read_scrape(metrics)
    assert scrape.value("signing_queue_wait_seconds_sum", backend="local", reason="none") == 0.5
    assert scrape.value("signing_queue_wait_seconds_count", backend="local", reason="signing.busy") == 1


def test_failures_of_observers_are_read_at_scrape_time(
    metrics: Metrics, happened: Any, read_scrape: ReadScrape
) -> None:
    class Broken:
        def observe(self, event: Event) -> None:
            raise RuntimeError

    fan_out = FanOut(Broken(), metrics)
    metrics.watch(fan_out)
    assert read_scrape(metrics).value("sealwright_observer_failures_total") == 0
    fan_out.observe(happened.signed())
    assert read_scrape(metrics).value("sealwright_observer_failures_total") == 1


def test_the_build_is_described_from_the_start(metrics: Metrics, read_scrape: ReadScrape) -> None:
    built = [labels for name, labels in read_scrape(metrics).values if name == "sealwright_build_info"]
    assert {name for name, _ in built[0]} == {"version", "python"}


def test_an_event_of_another_kind_is_ignored(metrics: Metrics, read_scrape: ReadScrape) -> None:
    @dataclass
    class Unheard:
        issuer: str

    before = read_scrape(metrics).body
    metrics.observe(Unheard("default"))  # type: ignore[arg-type]
    assert read_scrape(metrics).body == before


def test_observing_in_many_threads_loses_nothing(metrics: Metrics, happened: Any, read_scrape: ReadScrape) -> None:
    events = [happened.decided(issuer=name) for name in ("default", "elsewhere")]

    def observe_many() -> None:
        for _ in range(500):
            for event in events:
                metrics.observe(event)

    threads = [threading.Thread(target=observe_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    scrape = read_scrape(metrics)
    for issuer in ("default", "unknown"):
        assert scrape.value("jws_verify_duration_seconds_count", issuer=issuer, alg="ES256") == 2000


def test_a_registry_of_the_caller_is_used_and_two_metrics_do_not_collide(happened: Any) -> None:
    registry = CollectorRegistry()
    mine = Counter("orders", "Orders.", registry=registry)
    mine.inc()
    metrics = Metrics(registry, issuers={"default"})
    Metrics(issuers={"default"}).observe(happened.decided())
    body = metrics.exposition()[0]
    assert b"orders_total 1.0" in body
    assert b"\njws_verify_total{" not in body


def test_the_exposition_names_its_format_and_carries_no_creation_times(everything_exported: Any) -> None:
    assert everything_exported.content_type.startswith("text/plain; version=")
    assert b"_created" not in everything_exported.body
    assert len(everything_exported.families) == 52


def test_a_tick_is_counted_and_dated_by_its_outcome(
    metrics: Metrics, clock: ManualClock, happened: Any, read_scrape: ReadScrape
) -> None:
    name = "key_scheduler_last_tick_timestamp_seconds"
    metrics.observe(happened.ticked(outcome="starting"))
    assert read_scrape(metrics).value(name, outcome="done") == 0
    metrics.observe(happened.ticked())
    done_at = clock.now()
    clock.advance(10)
    metrics.observe(happened.ticked(outcome="failed"))
    scrape = read_scrape(metrics)
    assert (scrape.value(name, outcome="done"), scrape.value(name, outcome="failed")) == (done_at, clock.now())
    assert scrape.value("key_scheduler_ticks_total", outcome="done") == 1


def test_a_failed_step_is_counted_by_what_it_was(metrics: Metrics, happened: Any, read_scrape: ReadScrape) -> None:
    metrics.observe(happened.step_failed())
    metrics.observe(happened.step_failed(step="orphans", issuer="", reason=Reason.CATALOG_UNAVAILABLE))
    scrape, name = read_scrape(metrics), "key_scheduler_failures_total"
    assert scrape.value(name, step="rotate", issuer="default", reason="backend.failed") == 1
    assert scrape.value(name, step="orphans", issuer="unknown", reason="catalog.unavailable") == 1


def test_the_fleet_is_shown_as_it_is_now(metrics: Metrics, read_scrape: ReadScrape) -> None:
    metrics.observe(FleetCounted("default", 12, 2, 1, 38.5, 4.2))
    metrics.observe(FleetCounted("default", 13, 0, 0))
    scrape = read_scrape(metrics)
    shown = {status: scrape.value("fleet_verifiers", issuer="default", status=status) for status in ("live", "behind")}
    assert shown == {"live": 13, "behind": 0}
    assert scrape.value("fleet_verifiers", issuer="default", status="lost") == 0
    assert scrape.value("fleet_rotation_lag_seconds", issuer="default") == 38.5
    assert scrape.value("fleet_revocation_enforcement_seconds", issuer="default") == 4.2


def test_orphans_are_shown_as_they_are_now(metrics: Metrics, happened: Any, read_scrape: ReadScrape) -> None:
    metrics.observe(happened.orphans())
    metrics.observe(happened.orphans(unknown=0))
    scrape = read_scrape(metrics)
    assert scrape.value("key_orphans", backend="local", kind="unknown") == 0
    assert scrape.value("key_orphans", backend="local", kind="missing") == 1


def test_a_feed_shows_what_is_enforced_and_for_how_long_it_was_heard_of(
    metrics: Metrics, happened: Any, read_scrape: ReadScrape
) -> None:
    failed = happened.obeyed(outcome="failed", sequence=None, keys=None, reason=Reason.STATEMENT_ROLLED_BACK)
    metrics.observe(failed)
    assert (
        read_scrape(metrics).value("statement_last_success_timestamp_seconds", kind="revoked-keys", issuer="default")
        == 0
    )
    metrics.observe(happened.obeyed())
    metrics.observe(failed)
    scrape, whose = read_scrape(metrics), {"kind": "revoked-keys", "issuer": "default"}
    assert scrape.value("statement_sequence", **whose) == 41
    assert scrape.value("statement_keys", **whose) == 2
    assert scrape.value("statement_last_success_timestamp_seconds", **whose) > 0
    failures = {**whose, "outcome": "failed", "reason": "statement.rolled_back"}
    assert scrape.value("statement_refresh_total", **failures) == 2


def test_polls_and_events_are_counted_apart_from_those_that_were_refused(
    metrics: Metrics, happened: Any, read_scrape: ReadScrape
) -> None:
    metrics.observe(happened.polled(events=3, refused=1))
    metrics.observe(happened.polled(outcome="failed", events=0, reason=Reason.SERVICE_UNREACHABLE))
    scrape = read_scrape(metrics)
    assert scrape.value("security_events_total", outcome="good") == 3
    assert scrape.value("security_events_total", outcome="refused") == 1
    assert scrape.value("security_event_polls_total", outcome="failed", reason="service.unreachable") == 1
    assert scrape.value("security_event_last_poll_timestamp_seconds", outcome="answered") > 0


def test_claims_are_counted_by_outcome_and_timed(metrics: Metrics, happened: Any, read_scrape: ReadScrape) -> None:
    for _ in range(2):
        metrics.observe(happened.claimed())
    metrics.observe(happened.claimed(outcome="first", reason=None, issuer="a stranger", duration_s=0.002))
    scrape = read_scrape(metrics)
    opened = {"issuer": "default", "outcome": "failed_open", "reason": "replay.unavailable"}
    assert scrape.value("replay_claims_total", **opened) == 2
    assert scrape.value("replay_claims_total", issuer="unknown", outcome="first", reason="none") == 1
    assert scrape.value("replay_claim_duration_seconds_bucket", outcome="first", le="0.0025") == 1


def test_the_figures_of_stores_are_read_at_a_scrape_and_added_up_by_kind(
    metrics: Metrics, read_scrape: ReadScrape
) -> None:
    stores = [StoreFigures("redis", 7, 1, 2), StoreFigures("redis", None, 1, 0), StoreFigures("memory", 5, 0, 0)]
    metrics.watch_replay_stores(lambda: stores)
    scrape = read_scrape(metrics)
    assert scrape.value("replay_store_entries", store="redis") == 7
    assert scrape.value("replay_store_errors_total", store="redis") == 2
    assert scrape.value("replay_store_evicted_unexpired_total", store="redis") == 2
    stores.append(StoreFigures("memory", 4, 0, 0))
    assert read_scrape(metrics).value("replay_store_entries", store="memory") == 9
