"""docs/metrics.md says what is exported, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
ROW = re.compile(r"^\| `([a-z_]+)` \| (counter|gauge|histogram) \| ([^|]*)\|", re.MULTILINE)
DOCUMENTED = {name: (kind, set(re.findall(r"`([a-z_]+)`", labels))) for name, kind, labels in ROW.findall(PAGE)}


def test_every_metric_is_documented_with_its_type_and_nothing_else(everything_exported: Any) -> None:
    assert {name: kind for name, (kind, _) in DOCUMENTED.items()} == everything_exported.typed_names()


def test_every_metric_is_documented_with_its_labels(everything_exported: Any) -> None:
    exported: dict[str, set[str]] = {}
    for name, labels in everything_exported.values:
        base = name if name in DOCUMENTED else name.rsplit("_", 1)[0]
        exported.setdefault(base, set()).update({label for label, _ in labels} - {"le"})
    assert exported == {name: labels for name, (_, labels) in DOCUMENTED.items()}


def test_every_query_on_the_page_asks_for_series_and_labels_that_exist(everything_exported: Any) -> None:
    series = {name for name, _ in everything_exported.values}
    queries = re.findall(r"```promql\n(.*?)```", PAGE, re.DOTALL)
    assert len(queries) == 14
    for query in queries:
        asked = re.findall(r"\b((?:jws|jwks|key|replay|statement|sealwright)_[a-z_]+)(?:\{([^}]*)\})?", query)
        assert asked, query
        for name, matchers in asked:
            assert name in series, query
            base = name if name in DOCUMENTED else name.rsplit("_", 1)[0]
            assert set(re.findall(r"([a-z_]+)[=!]", matchers)) <= DOCUMENTED[base][1], query


def test_the_page_has_a_query_for_each_target() -> None:
    for target in ("M1", "M2", "M3", "M4", "M5", "M7", "M9"):
        assert re.search(rf"^\*\*{target}, ", PAGE, re.MULTILINE), target
