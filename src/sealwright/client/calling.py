"""One call of a key service: a path, a body, an answer, and the error that the service meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from sealwright.errors import (
    BackendError,
    Reason,
    RefusedError,
    RejectedError,
    SealwrightError,
    UnavailableError,
)

TIMEOUT_S = 30.0
MAXIMUM_ANSWER_BYTES = 8 * 1024 * 1024
_REASONS = {str(reason): reason for reason in Reason}
Call = Callable[..., dict[str, Any]]


def path(*parts: str) -> str:
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def error_of(status: int, answer: Mapping[str, Any]) -> SealwrightError:
    """The error that the service meant: its class decides what a caller does next."""
    reason = _REASONS.get(str(answer.get("reason")), Reason.REQUEST_MALFORMED)
    message = str(answer.get("detail") or f"the service answered {status}")
    if reason.startswith(("move.", "guard.", "approval.")) or status == 409:
        return RefusedError(reason, message)
    kind = {429: UnavailableError, 502: BackendError, 503: UnavailableError}.get(
        status, UnavailableError if status >= 500 else RejectedError
    )
    return kind(reason, message)
