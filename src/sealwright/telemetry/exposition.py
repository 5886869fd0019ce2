"""The metrics page: of one process, or of several workers as one, with a label for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

MEDIA_TYPE = CONTENT_TYPE_LATEST
_HELP = b"\n# HELP "


class _Labelled(Collector):
    """A registry with these labels on top, and without ``_created``: one for each child, and nobody reads them."""

    def __init__(self, registry: CollectorRegistry, labels: Mapping[str, str]) -> None:
        self._registry, self._labels = registry, labels

    def collect(self) -> Iterable[Metric]:
        for family in self._registry.collect():
            samples = [sample for sample in family.samples if sample.name != f"{family.name}_created"]
            family.samples = [sample._replace(labels={**sample.labels, **self._labels}) for sample in samples]
            yield family


def page(registry: CollectorRegistry, labels: Mapping[str, str]) -> bytes:
    """What a registry has, in the Prometheus text format."""
    return generate_latest(_Labelled(registry, labels))


def merged(pages: Iterable[bytes]) -> bytes:
    """Several pages as one: the samples of a family follow one another, as the format wants it."""
    families: dict[bytes, list[bytes]] = {}
    for one in pages:
        for family in (b"\n" + one).split(_HELP)[1:]:  # no label holds a line break
            told, kind, *samples = family.rstrip(b"\n").split(b"\n")
            families.setdefault(told.partition(b" ")[0], [told, kind]).extend(samples)
    return b"".join(b"# HELP " + b"\n".join(lines) + b"\n" for lines in families.values())


def unanswered(workers: int) -> bytes:
    """What a merged page says of workers whose page is not in it."""
    told = "sealwright_workers_unanswered Workers that did not tell their figures for this page."
    return (
        f"# HELP {told}\n# TYPE sealwright_workers_unanswered gauge\nsealwright_workers_unanswered {workers}\n".encode()
    )
