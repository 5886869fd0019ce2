"""The tables about managed signing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.table import Table

from benchmarks.backends import Managed
from benchmarks.endpoint import Endpoint
from benchmarks.modes import Mode
from benchmarks.tables import new_table


def tables(backends: Iterable[Managed], modes: Iterable[Mode], endpoint: Iterable[Endpoint]) -> Iterator[Table]:
    yield _backends(backends)
    yield _modes(modes)
    yield _endpoint(endpoint)


def _backends(found: Iterable[Managed]) -> Table:
    title = "Managed signing over each key backend: verified, audited on disk, released"
    columns = ("key", "backend alone µs", "one µs", "of a batch µs", "over alone", "8 callers: 1/s", "p95 ms")
    table = new_table(title, *columns)
    for one in found:
        numbers = (f"{one.raw * 1e6:.0f}", f"{one.one * 1e6:.0f}", f"{one.batched * 1e6:.0f}")
        load = (f"{one.per_second:,.0f}", f"{one.p95_s * 1e3:.1f}")
        table.add_row(f"{one.backend} {one.alg}", *numbers, f"{one.batched_over_raw:.2f}", *load)
    return table


def _modes(found: Iterable[Mode]) -> Table:
    title = "Behind an emulated HSM of 100 signatures a second, 10 ms each"
    columns = ("mode", "tokens/s", "p95 ms", "processor µs", "HSM calls for a million", "dollars for a million")
    table = new_table(title, *columns)
    for one in found:
        numbers = (
            f"{one.per_second:,.0f}",
            f"{one.p95_s * 1e3:.2f}",
            f"{one.cpu_s * 1e6:.0f}",
            f"{one.calls_per_million:,.0f}",
        )
        table.add_row(f"{one.alg} {one.name}", *numbers, f"{one.dollars_per_million:.2f}")
    return table


def _endpoint(found: Iterable[Endpoint]) -> Table:
    table = new_table("POST /v1/issuers/default/tokens/batch, 500 tokens a call, service and callers on this machine")
    for name in ("key", "callers", "tokens/s", "p95 ms of a call"):
        table.add_column(name, justify="right")
    for one in found:
        table.add_row(f"local {one.alg}", str(one.callers), f"{one.per_second:,.0f}", f"{one.p95_s * 1e3:.0f}")
    return table
