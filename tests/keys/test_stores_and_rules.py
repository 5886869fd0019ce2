"""The SQL store as a file, the audit chain, states and publication."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect
from world import World

import sealwright as sw
from sealwright.keys.audit import AuditEntry, chained, check_chain
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.catalogs.sql_tables import METADATA
from sealwright.keys.publication import Schedule, max_age_s
from sealwright.keys.states import LEGAL_MOVES, KeyState, check_move
from sealwright.keys.timings import KeyTimings


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'catalog.db'}"


def test_records_and_audit_survive_reopening(tmp_path: Path) -> None:
    catalog = SqlCatalog.open(url(tmp_path))
    world = World(catalog).opened()
    before, trail = catalog.records(), list(catalog.audit())
    catalog.close()
    again = SqlCatalog.open(url(tmp_path))
    assert (again.records(), list(again.audit())) == (before, trail)
    world.stored = again
    world.check()
    again.close()


def test_the_migrations_build_what_the_code_expects(tmp_path: Path) -> None:
    SqlCatalog.open(url(tmp_path)).close()
    expected = create_engine("sqlite://")
    METADATA.create_all(expected)
    migrated = create_engine(url(tmp_path))
    for table in METADATA.tables:
        assert columns(migrated, table) == columns(expected, table)
        assert indexes(migrated, table) == indexes(expected, table)
        assert inspect(migrated).get_unique_constraints(table) == inspect(expected).get_unique_constraints(table)
    expected.dispose()
    migrated.dispose()


def indexes(engine: Any, table: str) -> list[tuple[Any, ...]]:
    found = inspect(engine).get_indexes(table)
    return [(i["name"], i["column_names"], i["unique"], str(i["dialect_options"].get("sqlite_where"))) for i in found]


def columns(engine: Any, table: str) -> list[tuple[str, str, bool]]:
    return [(c["name"], str(c["type"]), c["nullable"]) for c in inspect(engine).get_columns(table)]


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\x00" + b"\x00" * 5000])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(content)
    with pytest.raises(sw.ConfigurationError) as caught:
        SqlCatalog.open(url(tmp_path))
    assert caught.value.reason == "settings.database"
    assert path.read_bytes() == content


@pytest.mark.parametrize("wrong", ["nonsense", "sqlite:////nowhere/at/all/x.db", "mysql://x/y"])
def test_an_address_that_leads_nowhere_is_a_clear_error(wrong: str) -> None:
    with pytest.raises(sw.ConfigurationError):
        SqlCatalog.open(wrong)


def chain(length: int) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    for number in range(1, length + 1):
        entry = AuditEntry(1.5 * number, "a", "token.signed", "default", "kid", "", {"n": number})
        entries.append(chained(entry, "main", number, entries[-1].digest if entries else "0" * 64))
    return entries


@pytest.mark.parametrize(
    ("tamper", "at"),
    [
        (lambda e: [*e[:4], replace(e[4], actor="mallory"), *e[5:]], 5),
        (lambda e: [*e[:4], replace(e[4], facts={"n": 0}), *e[5:]], 5),
        (lambda e: [*e[:4], *e[5:]], 5),
        (lambda e: [*e[:2], e[3], e[2], *e[4:]], 3),
        (lambda e: e[1:], 1),
        (lambda e: [*e, e[-1]], 11),
        (lambda e: [*e[:4], chained(e[4], "main", 5, e[2].digest), *e[5:]], 5),
    ],
)
def test_a_changed_chain_names_its_first_break(tamper: Any, at: int) -> None:
    assert check_chain(chain(10)) == 10
    with pytest.raises(sw.RejectedError) as caught:
        check_chain(tamper(chain(10)))
    assert caught.value.reason == "audit.broken"
    assert f"entry {at}" in caught.value.message


def test_final_states_have_no_way_out_and_every_way_in_is_listed() -> None:
    assert LEGAL_MOVES.keys() == set(KeyState)
    assert not LEGAL_MOVES[KeyState.REVOKED]
    assert not LEGAL_MOVES[KeyState.DESTROYED]
    for before in KeyState:
        for after in KeyState:
            if after in LEGAL_MOVES[before]:
                check_move(before, after)
            else:
                with pytest.raises(sw.RefusedError):
                    check_move(before, after)


def test_the_published_set_has_an_order_and_whole_seconds(world: World) -> None:
    assert [r.state for r in world.stored.records() if r.key_id == world.published_ids()[0]] == [KeyState.ACTIVE]
    assert max_age_s(KeyTimings(jwks_max_age_s=2.9), Schedule(), 0.0) == 2
