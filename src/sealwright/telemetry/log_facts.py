"""What a log line says of each event, and which events need no line of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sealwright.events import (
    BackendCalled,
    BackendChecked,
    BreakGlassUsed,
    CertificateLoaded,
    ConfigReloaded,
    Event,
    EventsPolled,
    KeyFileFailed,
    KeyMoved,
    KeySourceRefreshed,
    OrphansCounted,
    ReplayClaimed,
    ScheduledStepFailed,
    SchedulerTicked,
    SigningWaited,
    StatementRefreshed,
    TokenDecided,
    TokenRequested,
    TokenSigned,
    TokenStatusAsked,
    TokenStatusChanged,
    TokenStatusChecked,
    WorkerEnded,
)
from sealwright.telemetry.shown import redacted, shown, shown_source
from sealwright.telemetry.statement_logs import STATEMENT_FACTS, has_news

LONGEST_FAULT = 8192
_LEVELS = {"accepted": "info", "rejected": "warning", "undecided": "error"}


def _decided(event: TokenDecided) -> dict[str, Any]:
    facts = {"level": _LEVELS.get(event.outcome, "error"), "event": "token.decided", "outcome": event.outcome}
    return facts | _key(event) | _result(event)


def _signed(event: TokenSigned) -> dict[str, Any]:
    facts = {"level": _level(event), "event": "token.signed", "backend": shown(event.backend)}
    count = {"signatures": event.signatures} if event.signatures > 1 else {}
    return facts | _key(event) | count | _result(event)


def _waited(event: SigningWaited) -> dict[str, Any]:
    facts = {"level": "warning", "event": "signing.refused", "backend": shown(event.backend)}
    return facts | _result(event)


def _refreshed(event: KeySourceRefreshed) -> dict[str, Any]:
    facts = {
        "level": "error" if event.outcome == "failed" else "info",
        "event": "key_source.refreshed",
        "source": shown_source(event.source),
        "cause": event.cause,
        "outcome": event.outcome,
        "keys": event.keys,
        "unusable": event.unusable,
    }
    mirror = {} if event.url in (None, event.source) else {"url": shown_source(event.url)}
    return facts | mirror | _result(event)


def _claimed(event: ReplayClaimed) -> dict[str, Any]:
    facts = {"level": "error", "event": "replay.claimed", "outcome": event.outcome, "issuer": shown(event.issuer)}
    return facts | _result(event)


def _file_failed(event: KeyFileFailed) -> dict[str, Any]:
    return {
        "level": "warning",
        "event": "key_file.failed",
        "source": shown_source(event.source),
        "use": event.use,
        "reason": event.reason,
    }


def _moved(event: KeyMoved) -> dict[str, Any]:
    moved = {"before": event.before, "after": event.after, "actor": shown(event.actor), "reason": shown(event.reason)}
    return {"level": "info", "event": "key.moved"} | _key(event) | moved


def _status_changed(event: TokenStatusChanged) -> dict[str, Any]:
    return {"level": "info", "event": "token.status_changed", "issuer": shown(event.issuer), "status": event.status}


def _requested(event: TokenRequested) -> dict[str, Any]:
    facts = {"level": "warning", "event": "oauth.token_refused", "issuer": shown(event.issuer)}
    return facts | {"grant": event.grant, "outcome": event.outcome}


def _status_asked(event: TokenStatusAsked) -> dict[str, Any]:
    facts = {"level": "error", "event": "token_status.unavailable", "check": event.check}
    return facts | {"issuer": shown(event.issuer)} | _result(event)


def _status_checked(event: TokenStatusChecked) -> dict[str, Any]:
    facts = {"level": "error", "event": "token_status.let_through", "check": event.check}
    return facts | {"issuer": shown(event.issuer)}


def _broke_glass(event: BreakGlassUsed) -> dict[str, Any]:
    whose = {"issuer": shown(event.issuer), "actor": shown(event.actor), "reason": shown(event.reason)}
    return {"level": "critical", "event": "key.break_glass"} | whose


def _certificate(event: CertificateLoaded) -> dict[str, Any]:
    facts = {"event": "listener.certificate", "sha256": event.fingerprint, "reason": event.reason}
    return {"level": _level(event), **facts}


def _reloaded(event: ConfigReloaded) -> dict[str, Any]:
    is_done = event.outcome == "done"
    level = "error" if not is_done else "warning" if event.needs_restart or event.cannot_decide else "info"
    facts: dict[str, Any] = {"level": level, "event": "config.reloaded", "outcome": event.outcome}
    if event.fault is not None:
        facts["fault"] = redacted(event.fault)[:LONGEST_FAULT]
    if event.needs_restart:
        facts["needs_restart"] = list(event.needs_restart)
    if event.cannot_decide:
        facts["cannot_decide"] = [shown(name) for name in event.cannot_decide]
    return facts | {"duration_ms": round(event.duration_s * 1000, 3)}


def _worker_ended(event: WorkerEnded) -> dict[str, Any]:
    return {"level": "error", "event": "worker.ended", "worker": event.worker, "exit_code": event.exit_code}


def _called(event: BackendCalled) -> dict[str, Any]:
    facts = {"level": _level(event), "event": "backend.called", "backend": shown(event.backend), "call": event.call}
    return facts | _result(event)


def _ticked(event: SchedulerTicked) -> dict[str, Any]:
    level = {"failed": "error", "clock_jumped": "warning"}.get(event.outcome, "info")
    return {"level": level, "event": "scheduler.ticked", "outcome": event.outcome} | _result(event)


def _step_failed(event: ScheduledStepFailed) -> dict[str, Any]:
    key_id = None if event.key_id is None else shown(event.key_id)
    facts = {"level": "error", "event": "scheduler.step_failed", "step": shown(event.step)}
    return facts | {"issuer": shown(event.issuer), "kid": key_id, "reason": event.reason}


def _orphans_counted(event: OrphansCounted) -> dict[str, Any]:
    level = "warning" if event.unknown or event.missing else "info"
    facts = {"level": level, "event": "orphans.counted", "backend": shown(event.backend)}
    return facts | {"unknown": event.unknown, "missing": event.missing}


def _backend_checked(event: BackendChecked) -> dict[str, Any]:
    facts = {"level": "error", "event": "backend.cannot_sign", "backend": shown(event.backend)}
    return facts | {"reason": event.reason}


FACTS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    TokenDecided: _decided,
    TokenSigned: _signed,
    SigningWaited: _waited,
    KeySourceRefreshed: _refreshed,
    **STATEMENT_FACTS,
    ReplayClaimed: _claimed,
    KeyFileFailed: _file_failed,
    KeyMoved: _moved,
    TokenStatusChanged: _status_changed,
    TokenRequested: _requested,
    TokenStatusAsked: _status_asked,
    TokenStatusChecked: _status_checked,
    BreakGlassUsed: _broke_glass,
    CertificateLoaded: _certificate,
    ConfigReloaded: _reloaded,
    WorkerEnded: _worker_ended,
    BackendCalled: _called,
    SchedulerTicked: _ticked,
    ScheduledStepFailed: _step_failed,
    OrphansCounted: _orphans_counted,
    BackendChecked: _backend_checked,
}


def is_said_elsewhere(event: Event) -> bool:
    """A backend call that went well stands behind a signature or a move, which has a line of its own; so do ticks.

    A claim stands behind a decision, which says why it failed; only that a failure was passed over it does not say.
    Feeds and polls come every few seconds and say something when there is something new.
    """
    if isinstance(event, ReplayClaimed):
        return event.outcome != "failed_open"
    if isinstance(event, StatementRefreshed | EventsPolled):
        return not has_news(event)
    if isinstance(event, SchedulerTicked):
        return event.outcome not in ("failed", "clock_jumped")
    if isinstance(event, TokenStatusChecked):
        return event.outcome != "let_through"
    if isinstance(event, TokenRequested):
        return event.outcome == "issued"
    quiet = BackendCalled | BackendChecked | SigningWaited | TokenStatusAsked
    return isinstance(event, quiet) and event.reason is None


def _level(event: TokenSigned | CertificateLoaded | BackendCalled) -> str:
    return "info" if event.reason is None else "error"


def _key(event: TokenDecided | TokenSigned | KeyMoved) -> dict[str, Any]:
    key_id = None if event.key_id is None else shown(event.key_id)
    return {"issuer": shown(event.issuer), "kid": key_id, "alg": shown(event.algorithm)}


def _result(event: Any) -> dict[str, Any]:
    """Of an event that took a while, and may have failed."""
    return {"reason": event.reason, "duration_ms": round(event.duration_s * 1000, 3)}
