"""Every metric by name, type and labels; docs/metrics.md explains them, and a test holds the two together."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from sealwright.telemetry.labels import Children

# The steps of Kubernetes, finer ones below 5 ms, and 20 and 200 ms because targets lie there (M7, M3).
BUCKETS_S = (
    *(0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.025, 0.05),
    *(0.1, 0.2, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)


class Instruments:
    """The metrics of one registry, each as the children by label values. Durations in seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.signed = self._counter("jws_sign", "Signatures asked for.", "issuer", "alg", "result", "reason")
        self.sign_durations = self._histogram(
            "jws_sign_duration_seconds", "Time to sign, audit included.", "issuer", "alg", "backend"
        )
        self.queue_waits = self._histogram(
            "signing_queue_wait_seconds", "Time before a request for signatures was taken up.", "backend", "reason"
        )
        self.moves = self._counter("key_moves", "Moves of keys between states.", "issuer", "alg", "before", "after")
        self.broken_glass = self._counter("key_break_glass", "Emergencies that nobody approved.", "issuer")
        self.backend_calls = self._histogram(
            "key_backend_call_duration_seconds", "Time of one backend call.", "backend", "call", "reason"
        )
        self.backends_up = self._gauge("key_backend_up", "Whether the backend signed when it was tried.", "backend")
        self._add_sources()
        self._add_statements()
        self._add_replay()
        self._add_scheduler()
        self._add_fleet()
        self._add_token_statuses()
        build = Info("sealwright_build", "What is running.", registry=registry)
        build.info({"version": _version(), "python": platform.python_version()})

    def _add_sources(self) -> None:
        self.fetches = self._counter("jwks_fetch", "Refreshes of a key source.", "issuer", "outcome", "reason")
        self.fetch_durations = self._histogram(
            "jwks_fetch_duration_seconds", "Time to refresh a key source.", "issuer", "outcome", "cause"
        )
        self.last_successes = self._gauge(
            "jwks_last_success_timestamp_seconds", "When the last refresh succeeded; 0 is never.", "issuer"
        )
        self.clock_offsets = self._gauge(
            "jwks_clock_offset_seconds", "How far the clock of a source is ahead of ours.", "issuer"
        )
        self.source_keys = self._gauge("jwks_keys", "Keys of a source.", "issuer", "status")

    def _add_statements(self) -> None:
        whose = ("kind", "issuer")
        self.statements = self._counter("statement_refresh", "Refreshes of statements.", *whose, "outcome", "reason")
        self.statement_durations = self._histogram("statement_refresh_duration_seconds", "Time of a refresh.", *whose)
        self.statement_sequences = self._gauge("statement_sequence", "The sequence that is obeyed.", *whose)
        self.statement_keys = self._gauge("statement_keys", "Keys that are revoked, or those of the bundle.", *whose)
        self.statement_successes = self._gauge(
            "statement_last_success_timestamp_seconds", "When the last refresh succeeded; 0 is never.", *whose
        )
        self.stale_ignored = self._counter("revocation_stale_ignored", "Times without a current feed.", "issuer")
        self.polls = self._counter("security_event_polls", "Polls for security events.", "outcome", "reason")
        self.poll_durations = self._histogram("security_event_poll_duration_seconds", "Time of a poll.", "outcome")
        self.security_events = self._counter("security_events", "Security events that came.", "outcome")
        self.last_polls = self._gauge(
            "security_event_last_poll_timestamp_seconds", "When the last poll was answered; 0 is never.", "outcome"
        )

    def _add_replay(self) -> None:
        self.replay_claims = self._counter(
            "replay_claims", "Tokens looked up among those presented before.", "issuer", "outcome", "reason"
        )
        self.replay_durations = self._histogram("replay_claim_duration_seconds", "Time of one look-up.", "outcome")

    def _add_scheduler(self) -> None:
        self.ticks = self._counter("key_scheduler_ticks", "Ticks of the key scheduler.", "outcome")
        self.last_ticks = self._gauge(
            "key_scheduler_last_tick_timestamp_seconds", "When the last tick ended in this way; 0 is never.", "outcome"
        )
        self.step_failures = self._counter(
            "key_scheduler_failures", "Moves and chores of the key scheduler that failed.", "step", "issuer", "reason"
        )
        self.orphans = self._gauge(
            "key_orphans", "Keys of a backend without a record, and records without their key.", "backend", "kind"
        )

    def _add_fleet(self) -> None:
        self.verifiers = self._gauge("fleet_verifiers", "Processes of verifiers that report.", "issuer", "status")
        self.rotation_lags = self._gauge(
            "fleet_rotation_lag_seconds", "From the newest key's publication until the last verifier held it.", "issuer"
        )
        self.enforcements = self._gauge(
            "fleet_revocation_enforcement_seconds",
            "From a revocation until the last verifier refused the key.",
            "issuer",
        )

    def _add_token_statuses(self) -> None:
        self.token_changes = self._counter(
            "token_status_changes", "Tokens of ours that were revoked, suspended or restored.", "issuer", "status"
        )
        self.token_requests = self._counter(
            "oauth_token_requests", "Requests of OAuth clients for a token.", "issuer", "grant", "outcome"
        )
        self.token_checks = self._counter(
            "token_status_checks", "Tokens whose status was looked up.", "check", "issuer", "outcome", "cached"
        )
        self.token_ages = self._gauge(
            "token_status_age_seconds", "Age of the answer that decided last.", "check", "issuer"
        )
        self.token_asks = self._histogram(
            "token_status_ask_duration_seconds", "Time to fetch a list, or to introspect.", "check", "issuer", "reason"
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> Children[Counter]:
        return Children(Counter(name, meaning, labels, registry=self._registry))

    def _gauge(self, name: str, meaning: str, *labels: str) -> Children[Gauge]:
        return Children(Gauge(name, meaning, labels, registry=self._registry))

    def _histogram(self, name: str, meaning: str, *labels: str) -> Children[Histogram]:
        return Children(Histogram(name, meaning, labels, registry=self._registry, buckets=BUCKETS_S))


def _version() -> str:
    try:
        return version("sealwright")
    except PackageNotFoundError:
        return "unknown"
