"""Databases of earlier releases keep what they hold, and those of later ones keep working."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from postgresql import shared_cluster
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

import sealwright as sw
from sealwright.keys.audit import GENESIS, AuditEntry, chained, check_chain
from sealwright.keys.catalog import Document, Put, Replace
from sealwright.keys.catalogs import sql_dump
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.catalogs.sql_schema import SCRIPTS
from sealwright.keys.fleet import Member
from sealwright.keys.states import KeyState

NOW = 1_700_000_000.25


class Stored:
    """A database of one kind, seen from outside of the catalog."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine: Engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)

    def execute(self, *statements: str, **values: Any) -> Any:
        with self.engine.begin() as connection:
            for statement in statements:
                result = connection.execute(text(statement), values)
            return result.scalar() if result.returns_rows else None

    def migrate_to(self, revision: str) -> None:
        config = Config()
        config.set_main_option("script_location", SCRIPTS)
        with self.engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)

    @property
    def revision(self) -> str:
        return str(self.execute("SELECT version_num FROM alembic_version"))


@pytest.fixture(params=["sqlite", "postgresql"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stored]:
    sqlite = f"sqlite:///{tmp_path / 'catalog.db'}"
    made = Stored(sqlite if request.param == "sqlite" else shared_cluster().new_database())
    yield made
    made.engine.dispose()


def entries(count: int) -> list[AuditEntry]:
    made: list[AuditEntry] = []
    for number in range(1, count + 1):
        entry = AuditEntry(NOW + number, "a", "token.signed", "default", "kid-1", "", {"n": number, "s": "ü"})
        made.append(chained(entry, "main", number, made[-1].digest if made else GENESIS))
    return made


def fill_the_first_schema(stored: Stored) -> list[AuditEntry]:
    stored.migrate_to("0001")
    stored.execute(
        "INSERT INTO keys (handle, issuer, purpose, algorithm, backend, state, created_at, generation, key_id, public, "
        "published_at, activated_at, last_signed_at) VALUES ('h1', 'default', 'token', 'ES256', 'local', 'active', "
        ":now, 3, 'kid-1', '{\"kty\": \"EC\"}', :now, :now, :signed)",
        now=NOW,
        signed=NOW + 5,
    )
    stored.execute("INSERT INTO heartbeat VALUES (7)")
    trail = entries(5)
    for entry in trail:
        stored.execute(
            "INSERT INTO audit VALUES (:sequence, :at, :actor, :action, :issuer, :key_id, :reason, :facts, "
            ":previous, :digest)",
            **{
                **{name: getattr(entry, name) for name in AuditEntry.__slots__ if name != "writer"},
                "facts": json.dumps(dict(entry.facts)),
            },
        )
    return trail


def test_the_first_schema_becomes_the_current_one_with_all_that_it_held(stored: Stored) -> None:
    trail = fill_the_first_schema(stored)
    with contextlib.closing(SqlCatalog.open(stored.url, writer="main")) as catalog:
        (record,) = catalog.records()
        assert (record.key_id, record.generation, record.last_signed_at) == ("kid-1", 3, NOW + 5)
        assert list(catalog.audit()) == trail
        catalog.record_signatures(record, replace(trail[0], at=NOW + 9))
        assert check_chain(catalog.audit()) == 6
        assert catalog.records()[0].last_signed_at == NOW + 9


def test_the_second_schema_gets_room_for_what_verifiers_report(stored: Stored) -> None:
    stored.migrate_to("0002")
    stored.execute("UPDATE catalog SET version = 41")
    with contextlib.closing(SqlCatalog.open(stored.url, writer="main")) as catalog:
        assert catalog.version() == 41
        assert catalog.fleet.members() == []
        catalog.fleet.put([Member("orders", "one", NOW, NOW)])
        assert [one.instance for one in catalog.fleet.members()] == ["one"]
        assert (catalog.version(), list(catalog.audit())) == (41, [])  # neither a change of keys nor of the trail
    assert stored.revision == "0004"


def test_what_verifiers_report_is_in_no_backup(stored: Stored) -> None:
    """After a restore they say it again: what an old report says must hold nothing up, and let nothing pass."""
    with contextlib.closing(SqlCatalog.open(stored.url, writer="main")) as catalog:
        catalog.fleet.put([Member("orders", "one", NOW, NOW)])
        with sql_dump.reading(str(stored.engine.url.render_as_string(hide_password=False))) as connection:
            assert "verifiers" not in {line["table"] for line in sql_dump.dump(connection)}


def test_a_migration_that_fails_leaves_the_database_as_it_was(stored: Stored) -> None:
    fill_the_first_schema(stored)
    stored.execute("CREATE TABLE documents (in_the_way INTEGER)")  # the second revision makes one of this name
    with pytest.raises(sw.ConfigurationError):
        SqlCatalog.open(stored.url)
    assert stored.revision == "0001"
    assert stored.execute("SELECT count(*) FROM audit") == 5
    assert stored.execute("SELECT last_signed_at FROM keys") == NOW + 5


def test_an_older_process_goes_on_and_starts_again_on_a_schema_that_was_added_to(stored: Stored) -> None:
    with contextlib.closing(SqlCatalog.open(stored.url, writer="old")) as running:
        check_works(running, 1)
        stored.execute(
            "ALTER TABLE keys ADD COLUMN made_up TEXT",
            "ALTER TABLE audit ADD COLUMN made_up INTEGER DEFAULT 7 NOT NULL",
            "CREATE TABLE made_up (id INTEGER PRIMARY KEY)",
            "UPDATE alembic_version SET version_num = '9000'",
        )
        check_works(running, 2)
    with contextlib.closing(SqlCatalog.open(stored.url, writer="old")) as again:
        check_works(again, 3)
        assert check_chain(again.audit()) == 11
    assert stored.revision == "9000"


def check_works(catalog: SqlCatalog, number: int) -> None:
    entry = AuditEntry(NOW, "a", "test", "default", None, "", {})
    if not catalog.records():
        from world import World

        World(catalog).opened()
    (active,) = [record for record in catalog.records() if record.state is KeyState.ACTIVE]
    catalog.record_signatures(active, entry)
    catalog.commit([Replace(active.changed()), Put(Document("policy", "one", {}, number))], entry)
    catalog.record_signatures(active.changed(), entry)
    assert [r.generation for r in catalog.records() if r.handle == active.handle] == [active.generation + 1]


def test_a_revision_that_is_no_number_of_ours_is_refused(stored: Stored) -> None:
    SqlCatalog.open(stored.url).close()
    stored.execute("UPDATE alembic_version SET version_num = 'c0ffee'")
    with pytest.raises(sw.ConfigurationError) as caught:
        SqlCatalog.open(stored.url)
    assert caught.value.reason == "settings.database"
    assert stored.revision == "c0ffee"


def test_a_second_process_on_one_sqlite_file_is_refused_by_whatever_name_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    (tmp_path / "link.db").symlink_to(path)
    with contextlib.closing(SqlCatalog.open(f"sqlite:///{path}")):
        for name in (path, tmp_path / "link.db", tmp_path / "x" / ".." / "catalog.db"):
            with pytest.raises(sw.ConfigurationError, match="another sealwright process") as caught:
                SqlCatalog.open(f"sqlite:///{name}")
            assert caught.value.reason == "settings.database_in_use"
    SqlCatalog.open(f"sqlite:///{path}").close()
