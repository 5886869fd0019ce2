"""Events of every kind, and readers of what the observers make of them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sealwright.clock import ManualClock
from sealwright.errors import Reason
from sealwright.events import (
    BackendCalled,
    BackendChecked,
    BreakGlassUsed,
    CertificateLoaded,
    ConfigReloaded,
    Event,
    EventsPolled,
    FleetCounted,
    KeyMoved,
    KeySourceRefreshed,
    OrphansCounted,
    ReplayClaimed,
    ScheduledStepFailed,
    SchedulerTicked,
    SigningWaited,
    StaleFeedIgnored,
    StatementRefreshed,
    TokenDecided,
    TokenRequested,
    TokenSigned,
    TokenStatusAsked,
    TokenStatusChanged,
    TokenStatusChecked,
    WorkerEnded,
)
from sealwright.keys.signing_queue import SigningQueue
from sealwright.telemetry.collectors import DecisionCaches
from sealwright.telemetry.exposition import merged, unanswered
from sealwright.telemetry.fan_out import FanOut
from sealwright.telemetry.logs import Logs
from sealwright.telemetry.metrics import Metrics
from sealwright.telemetry.reloads import Reloads
from sealwright.trust.decision_cache import CacheFigures
from sealwright.trust.replay import StoreFigures

SOURCE = "https://id.example/.well-known/jwks.json"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def issuers() -> set[str]:
    return {"default"}


@pytest.fixture
def metrics(clock: ManualClock, issuers: set[str]) -> Metrics:
    return Metrics(issuers=issuers, clock=clock)


class Scrape:
    """One exposition, parsed: ``values[name, frozenset(labels)]``."""

    def __init__(self, metrics: Metrics, *pages: bytes) -> None:
        body, self.content_type = metrics.exposition()
        self.body = merged([body, *pages])
        self.families = list(text_string_to_metric_families(self.body.decode("utf-8")))
        self.values = {(s.name, frozenset(s.labels.items())): s.value for f in self.families for s in f.samples}

    def value(self, name: str, **labels: str) -> float | None:
        return self.values.get((name, frozenset(labels.items())))

    def label_values(self) -> set[str]:
        return {value for _, labels in self.values for _, value in labels}

    def typed_names(self) -> dict[str, str]:
        lines = self.body.decode("utf-8").splitlines()
        return {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE ")}


@pytest.fixture
def read_scrape() -> type[Scrape]:
    return Scrape


class WrittenLogs:
    """Logs to memory, and its lines as objects."""

    def __init__(self, clock: ManualClock) -> None:
        self.stream = io.StringIO()
        self.observer = Logs(self.stream, clock=clock)

    def text(self) -> str:
        return self.stream.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().split("\n")[:-1]]

    def line_of(self, event: Event) -> dict[str, Any]:
        self.observer.observe(event)
        return self.lines()[-1]


@pytest.fixture
def logs(clock: ManualClock) -> WrittenLogs:
    return WrittenLogs(clock)


class Happened:
    """Events with sensible values; a test changes what it is about."""

    @staticmethod
    def decided(**changed: Any) -> TokenDecided:
        usual = {"issuer": "default", "algorithm": "ES256", "key_id": "k1", "outcome": "accepted"}
        return TokenDecided(**(usual | {"reason": None, "duration_s": 0.0004} | changed))

    @staticmethod
    def signed(**changed: Any) -> TokenSigned:
        usual = {"issuer": "default", "algorithm": "ES256", "key_id": "k1", "duration_s": 0.015, "backend": "local"}
        return TokenSigned(**(usual | changed))

    @staticmethod
    def refreshed(**changed: Any) -> KeySourceRefreshed:
        usual = {"source": SOURCE, "cause": "cold", "outcome": "changed", "keys": 3, "unusable": 1}
        return KeySourceRefreshed(**(usual | {"duration_s": 0.15, "clock_offset_s": 2.0} | changed))

    @staticmethod
    def obeyed(**changed: Any) -> StatementRefreshed:
        usual = {"kind": "revoked-keys", "issuer": "default", "outcome": "changed", "sequence": 41, "keys": 2}
        return StatementRefreshed(**(usual | {"duration_s": 0.01} | changed))

    @staticmethod
    def polled(**changed: Any) -> EventsPolled:
        usual = {"outcome": "answered", "events": 1, "refused": 0, "duration_s": 14.0}
        return EventsPolled(**(usual | changed))

    @staticmethod
    def claimed(**changed: Any) -> ReplayClaimed:
        usual = {"issuer": "default", "outcome": "failed_open", "reason": Reason.REPLAY_UNAVAILABLE}
        return ReplayClaimed(**(usual | {"duration_s": 0.25} | changed))

    @staticmethod
    def moved(**changed: Any) -> KeyMoved:
        usual = {"issuer": "default", "algorithm": "ES256", "key_id": "k1", "before": "standby", "after": "active"}
        return KeyMoved(**(usual | {"actor": "operator", "reason": "scheduled"} | changed))

    @staticmethod
    def called(**changed: Any) -> BackendCalled:
        return BackendCalled(**({"backend": "local", "call": "sign", "duration_s": 0.002} | changed))

    @staticmethod
    def waited(**changed: Any) -> SigningWaited:
        return SigningWaited(**({"backend": "local", "duration_s": 0.001} | changed))

    @staticmethod
    def ticked(**changed: Any) -> SchedulerTicked:
        return SchedulerTicked(**({"outcome": "done", "duration_s": 0.002} | changed))

    @staticmethod
    def step_failed(**changed: Any) -> ScheduledStepFailed:
        usual = {"step": "rotate", "issuer": "default", "key_id": "k1", "reason": Reason.BACKEND_FAILED}
        return ScheduledStepFailed(**(usual | changed))

    @staticmethod
    def orphans(**changed: Any) -> OrphansCounted:
        return OrphansCounted(**({"backend": "local", "unknown": 2, "missing": 1} | changed))

    @staticmethod
    def statuses() -> list[Event]:
        return [
            TokenStatusChanged("default", "revoked"),
            TokenRequested("default", "client_credentials", "invalid_client"),
            TokenStatusAsked("status_list", "default", 0.01, Reason.REVOCATION_UNAVAILABLE),
            TokenStatusChecked("introspection", "default", "let_through", cached=False, age_s=0.5),
        ]

    def every_kind(self) -> list[Event]:
        failed = self.refreshed(outcome="failed", reason=Reason.SOURCE_UNAVAILABLE)
        broken = BreakGlassUsed("default", "operator", "key on a public page")
        certificate = CertificateLoaded("00" * 32)
        happened = [self.decided(), self.signed(), self.refreshed(), failed, self.moved(), self.called()]
        scheduler = [self.ticked(), self.step_failed(), self.orphans(), self.waited(), BackendChecked("local", None)]
        feeds = [self.obeyed(), StaleFeedIgnored("default"), self.polled()]
        scheduler.append(FleetCounted("default", 3, 1, 0, 2.5, 4.0))
        process = [ConfigReloaded("refused", 0.1, "line 3: wrong"), WorkerEnded(1, -9)]
        return [*happened, broken, certificate, *process, self.claimed(), *scheduler, *feeds, *self.statuses()]


@pytest.fixture
def happened() -> Happened:
    return Happened()


@pytest.fixture
def everything_exported(metrics: Metrics, happened: Happened, clock: ManualClock) -> Scrape:
    fan_out = FanOut(metrics)
    metrics.watch(fan_out)
    metrics.watch_issuers(lambda: [("default", "Platform", "oncall", "https://wiki.example")])
    metrics.watch_queues([SigningQueue("local", concurrency=1)])
    metrics.watch_replay_stores(lambda: [StoreFigures("redis", 7, 1, 0), StoreFigures("redis", None, 1, 0)])
    metrics.registry.register(DecisionCaches(lambda: CacheFigures(hits=3, misses=2, entries=2, size_bytes=4000)))
    fan_out = FanOut(metrics, Reloads(metrics.registry, clock))
    for event in happened.every_kind():
        fan_out.observe(event)
    return Scrape(metrics, unanswered(1))


HOSTILE = [
    "line\nbreak",
    "carriage\rreturn",
    'quote"} evil_total 1\n# TYPE x counter',
    "back\\slash\\n",
    "\x00\x1b[31m\x85\u2028\u2029",
    "\ud800 lone \udfff",
    "é" * 200,
    "x" * 1_000_000,
    "",
]


@pytest.fixture(params=HOSTILE, ids=range(len(HOSTILE)))
def hostile(request: pytest.FixtureRequest) -> str:
    text: str = request.param
    return text
