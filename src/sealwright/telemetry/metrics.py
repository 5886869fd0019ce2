"""Metrics: an observer that counts events for Prometheus; docs/metrics.md lists every name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, get_args, get_type_hints

from prometheus_client import CollectorRegistry

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.events import (
    BackendCalled,
    BackendChecked,
    BreakGlassUsed,
    Event,
    EventsPolled,
    FleetCounted,
    KeyMoved,
    KeySourceRefreshed,
    OrphansCounted,
    ReplayClaimed,
    ReplayOutcome,
    ScheduledStepFailed,
    SchedulerTicked,
    SigningWaited,
    StaleFeedIgnored,
    StatementKind,
    StatementRefreshed,
    TokenDecided,
    TokenRequested,
    TokenSigned,
    TokenStatusAsked,
    TokenStatusChanged,
    TokenStatusChecked,
)
from sealwright.telemetry.collectors import (
    IssuerInfo,
    ObserverFailures,
    Queue,
    ReplayFigures,
    ReplayStores,
    SigningQueues,
)
from sealwright.telemetry.decisions import Decisions
from sealwright.telemetry.exposition import MEDIA_TYPE, page
from sealwright.telemetry.fan_out import FanOut
from sealwright.telemetry.instruments import Instruments
from sealwright.telemetry.labels import LabelNames, algorithm_label, choice_label, reason_label
from sealwright.telemetry.shown import shown_source

MAXIMUM_SOURCES = 100
MAXIMUM_BACKENDS = 20
MAXIMUM_STEPS = 20
# keys.states has these too; a verifier loads this module and must never load keys.
KEY_STATES = frozenset({"pending", "standby", "active", "verify_only", "retired", "destroyed", "revoked"})


def _choices(event: type, field: str) -> frozenset[str]:
    return frozenset(get_args(get_type_hints(event)[field]))


_CAUSES = _choices(KeySourceRefreshed, "cause")
_OUTCOMES = _choices(KeySourceRefreshed, "outcome")
_KINDS = frozenset(get_args(StatementKind))
_CALLS = _choices(BackendCalled, "call")
_POLLS = _choices(EventsPolled, "outcome")
_REPLAYS = frozenset(get_args(ReplayOutcome))
_TICKS = _choices(SchedulerTicked, "outcome")
_STATUSES = _choices(TokenStatusChecked, "outcome")
_STATUS_CHECKS = _choices(TokenStatusChecked, "check")


class Metrics:
    """``issuers`` are the names that labels may show, and may be a live set that grows; any other is "unknown".

    No label holds a kid or text of a token. ``registry`` None makes one of its own.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        issuers: Collection[str],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self._instruments = Instruments(self.registry)
        self._clock, self._issuers = clock, LabelNames(issuers)
        self._sources = LabelNames(written=shown_source, limit=MAXIMUM_SOURCES)
        self._backends, self._steps = LabelNames(limit=MAXIMUM_BACKENDS), LabelNames(limit=MAXIMUM_STEPS)
        self.registry.register(decisions := Decisions(self._issuers))
        self.prepared = decisions.prepared
        self._counting: dict[type, Callable[[Any], None]] = {
            TokenDecided: decisions.observe,
            TokenSigned: self._signed,
            SigningWaited: self._waited,
            ReplayClaimed: self._claimed,
            KeySourceRefreshed: self._refreshed,
            StatementRefreshed: self._obeyed,
            StaleFeedIgnored: lambda event: self._instruments.stale_ignored[self._issuers[event.issuer],].inc(),
            EventsPolled: self._polled,
            KeyMoved: self._moved,
            TokenStatusChanged: self._status_changed,
            TokenRequested: self._requested,
            TokenStatusAsked: self._status_asked,
            TokenStatusChecked: self._status_checked,
            BreakGlassUsed: lambda event: self._instruments.broken_glass[self._issuers[event.issuer],].inc(),
            BackendCalled: self._called,
            SchedulerTicked: self._ticked,
            ScheduledStepFailed: self._step_failed,
            OrphansCounted: self._orphans_counted,
            FleetCounted: self._fleet_counted,
            BackendChecked: self._backend_checked,
        }

    def observe(self, event: Event) -> None:
        count = self._counting.get(type(event))
        if count is not None:
            count(event)

    def watch(self, fan_out: FanOut) -> None:
        """Export the failures of this fan-out's observers as well. Once for each registry."""
        self.registry.register(ObserverFailures(fan_out))

    def watch_issuers(self, issuers: Callable[[], Iterable[tuple[str, str, str, str]]]) -> None:
        """Export name, owner, pager and runbook of each issuer, as they are at a scrape. Once for each registry."""
        self.registry.register(IssuerInfo(issuers))

    def watch_queues(self, queues: Iterable[Queue]) -> None:
        """Export the lengths of these queues as well. Once for each registry."""
        self.registry.register(SigningQueues(queues))

    def watch_replay_stores(self, figures: Callable[[], Iterable[ReplayFigures]]) -> None:
        """Export the figures of these stores, as they are at a scrape. Once for each registry."""
        self.registry.register(ReplayStores(figures))

    def exposition(self, **labels: str) -> tuple[bytes, str]:
        """The body and the content type of a scrape, in the Prometheus text format; each series has these labels."""
        return page(self.registry, labels), MEDIA_TYPE

    def _signed(self, event: TokenSigned) -> None:
        issuer, alg = self._issuers[event.issuer], algorithm_label(event.algorithm)
        result = "released" if event.reason is None else "failed"
        self._instruments.signed[issuer, alg, result, reason_label(event.reason)].inc(event.signatures)
        self._instruments.sign_durations[issuer, alg, self._backends[event.backend]].observe(event.duration_s)

    def _waited(self, event: SigningWaited) -> None:
        labels = (self._backends[event.backend], reason_label(event.reason))
        self._instruments.queue_waits[labels].observe(event.duration_s)

    def _claimed(self, event: ReplayClaimed) -> None:
        outcome = choice_label(event.outcome, _REPLAYS)
        self._instruments.replay_claims[self._issuers[event.issuer], outcome, reason_label(event.reason)].inc()
        self._instruments.replay_durations[outcome,].observe(event.duration_s)

    def _refreshed(self, event: KeySourceRefreshed) -> None:
        issuer, outcome = self._sources[event.source], choice_label(event.outcome, _OUTCOMES)
        self._instruments.fetches[issuer, outcome, reason_label(event.reason)].inc()
        cause = choice_label(event.cause, _CAUSES)
        self._instruments.fetch_durations[issuer, outcome, cause].observe(event.duration_s)
        self._instruments.source_keys[issuer, "usable"].set(event.keys)
        self._instruments.source_keys[issuer, "unusable"].set(event.unusable)
        last_success = self._instruments.last_successes[issuer,]  # shows 0 from the first failure on
        if outcome != "failed":
            last_success.set(self._clock.now())
        if event.clock_offset_s is not None:
            self._instruments.clock_offsets[issuer,].set(event.clock_offset_s)

    def _obeyed(self, event: StatementRefreshed) -> None:
        whose = (choice_label(event.kind, _KINDS), self._issuers[event.issuer])
        outcome = choice_label(event.outcome, _OUTCOMES)
        self._instruments.statements[*whose, outcome, reason_label(event.reason)].inc()
        self._instruments.statement_durations[whose].observe(event.duration_s)
        last_success = self._instruments.statement_successes[whose]
        if event.sequence is not None and event.keys is not None:
            last_success.set(self._clock.now())
            self._instruments.statement_sequences[whose].set(event.sequence)
            self._instruments.statement_keys[whose].set(event.keys)

    def _polled(self, event: EventsPolled) -> None:
        outcome = choice_label(event.outcome, _POLLS)
        self._instruments.polls[outcome, reason_label(event.reason)].inc()
        self._instruments.poll_durations[outcome,].observe(event.duration_s)
        self._instruments.security_events["good",].inc(event.events)
        self._instruments.security_events["refused",].inc(event.refused)
        _ = self._instruments.last_polls["answered",]  # shows 0 from the first poll on
        self._instruments.last_polls[outcome,].set(self._clock.now())

    def _moved(self, event: KeyMoved) -> None:
        before = "none" if event.before is None else choice_label(event.before, KEY_STATES)
        after = choice_label(event.after, KEY_STATES)
        labels = (self._issuers[event.issuer], algorithm_label(event.algorithm), before, after)
        self._instruments.moves[labels].inc()

    def _status_changed(self, event: TokenStatusChanged) -> None:
        self._instruments.token_changes[self._issuers[event.issuer], choice_label(event.status, _STATUSES)].inc()

    def _requested(self, event: TokenRequested) -> None:
        self._instruments.token_requests[self._issuers[event.issuer], event.grant, event.outcome].inc()

    def _status_asked(self, event: TokenStatusAsked) -> None:
        labels = (choice_label(event.check, _STATUS_CHECKS), self._issuers[event.issuer], reason_label(event.reason))
        self._instruments.token_asks[labels].observe(event.duration_s)

    def _status_checked(self, event: TokenStatusChecked) -> None:
        check, issuer = choice_label(event.check, _STATUS_CHECKS), self._issuers[event.issuer]
        outcome, cached = choice_label(event.outcome, _STATUSES), "yes" if event.cached else "no"
        self._instruments.token_checks[check, issuer, outcome, cached].inc()
        if event.age_s is not None:
            self._instruments.token_ages[check, issuer].set(event.age_s)

    def _called(self, event: BackendCalled) -> None:
        labels = (self._backends[event.backend], choice_label(event.call, _CALLS), reason_label(event.reason))
        self._instruments.backend_calls[labels].observe(event.duration_s)

    def _ticked(self, event: SchedulerTicked) -> None:
        outcome = choice_label(event.outcome, _TICKS)
        self._instruments.ticks[outcome,].inc()
        _ = self._instruments.last_ticks["done",]  # shows 0 from the first tick on
        self._instruments.last_ticks[outcome,].set(self._clock.now())

    def _step_failed(self, event: ScheduledStepFailed) -> None:
        labels = (self._steps[event.step], self._issuers[event.issuer], reason_label(event.reason))
        self._instruments.step_failures[labels].inc()

    def _orphans_counted(self, event: OrphansCounted) -> None:
        backend = self._backends[event.backend]
        self._instruments.orphans[backend, "unknown"].set(event.unknown)
        self._instruments.orphans[backend, "missing"].set(event.missing)

    def _backend_checked(self, event: BackendChecked) -> None:
        self._instruments.backends_up[self._backends[event.backend],].set(event.reason is None)

    def _fleet_counted(self, event: FleetCounted) -> None:
        issuer = self._issuers[event.issuer]
        for status, count in (("live", event.live), ("behind", event.behind), ("lost", event.lost)):
            self._instruments.verifiers[issuer, status].set(count)
        if event.rotation_lag_s is not None:
            self._instruments.rotation_lags[(issuer,)].set(event.rotation_lag_s)
        if event.enforcement_s is not None:
            self._instruments.enforcements[(issuer,)].set(event.enforcement_s)
