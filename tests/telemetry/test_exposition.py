"""The pages of several workers are one page that adds up, whatever their labels are made of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.parser import text_string_to_metric_families

from sealwright.telemetry.exposition import merged, page

COUNTS = st.dictionaries(st.text(max_size=12), st.integers(0, 10**6), max_size=4)


def registry(counts: dict[str, int], *, times: bool = True) -> CollectorRegistry:
    made = CollectorRegistry()
    counter = Counter("asked", "Help # HELP asked \n# TYPE evil", ["issuer"], registry=made)
    for name, count in counts.items():
        counter.labels(name).inc(count)
    if times:
        Histogram("times_seconds", "Times.", registry=made, buckets=(1, 2)).observe(1.5)
    return made


def samples(body: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = list(text_string_to_metric_families(body.decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    listed = [((one.name, frozenset(one.labels.items())), one.value) for family in families for one in family.samples]
    assert len(listed) == len(dict(listed))
    return dict(listed)


@given(st.lists(COUNTS, min_size=1, max_size=3))
def test_a_merged_page_has_each_series_of_each_worker_once_and_nothing_else(workers: list[dict[str, int]]) -> None:
    pages = [page(registry(counts), {"worker": str(number)}) for number, counts in enumerate(workers)]
    whole = samples(merged(pages))
    assert whole == {name: value for one in pages for name, value in samples(one).items()}
    total = sum(value for (name, _), value in whole.items() if name == "asked_total")
    assert total == sum(sum(counts.values()) for counts in workers)


def test_a_family_that_only_one_worker_has_is_there() -> None:
    pages = [page(registry({"a": 1}, times=False), {}), page(registry({}), {})]
    text = merged(pages).decode()
    assert text.count("# TYPE times_seconds histogram") == text.count("# TYPE asked_total counter") == 1
    assert 'asked_total{issuer="a"} 1.0' in text


def test_a_process_alone_has_no_label_of_a_worker() -> None:
    assert b"worker" not in page(registry({"a": 1}), {})
