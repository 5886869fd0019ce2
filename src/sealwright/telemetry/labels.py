"""Label values that stay few whatever arrives, and label children resolved once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Generic, TypeVar

from prometheus_client.metrics import MetricWrapperBase

from sealwright.errors import Reason
from sealwright.jose.algorithms import ALGORITHMS
from sealwright.telemetry.shown import shown

UNKNOWN = "unknown"
NO_REASON = "none"
MAXIMUM_NAMES = 1000

_REASONS = frozenset(str(reason) for reason in Reason)

M = TypeVar("M", bound=MetricWrapperBase)


class LabelNames(dict[str, str]):
    """Names as label values, ``unknown`` for any other than the configured and for more than ``limit`` of them.

    ``configured`` may be a live collection that grows; None admits the first ``limit`` names that come.
    """

    def __init__(
        self,
        configured: Collection[str] | None = None,
        *,
        written: Callable[[str], str] = shown,
        limit: int = MAXIMUM_NAMES,
    ) -> None:
        super().__init__()
        self._configured = configured
        self._written = written
        self._limit = limit

    def __missing__(self, name: str) -> str:
        if len(self) >= self._limit or (self._configured is not None and name not in self._configured):
            return UNKNOWN
        label = self[name] = self._written(name)
        return label


class Children(dict[tuple[str, ...], M], Generic[M]):
    """The children of one metric by label values: ``labels()`` costs several times an increment."""

    def __init__(self, metric: M) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, values: tuple[str, ...]) -> M:
        child = self[values] = self._metric.labels(*values)
        return child


def algorithm_label(name: str) -> str:
    return name if name in ALGORITHMS else UNKNOWN


def reason_label(reason: Any) -> str:
    if reason is None:
        return NO_REASON
    return str(reason) if reason in _REASONS else UNKNOWN


def choice_label(value: str | None, choices: Collection[str]) -> str:
    return value if value is not None and value in choices else UNKNOWN
