"""How changes of records and documents become statements, each a compare-and-set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from sealwright.keys.catalog import Change, Insert, Mark, Put, Remove, Replace
from sealwright.keys.catalogs.database import conflict
from sealwright.keys.catalogs.sql_tables import (
    CATALOG,
    DOCUMENTS,
    KEYS,
    TOKENS,
    row_of_document,
    row_of_record,
    row_of_token,
)
from sealwright.keys.states import KeyState


def apply(connection: Connection, changes: Sequence[Change]) -> None:
    """Raises RefusedError ``catalog.conflict``, or IntegrityError when an index is violated."""
    # The indexes hold at every moment, so an active key steps down before the next, and a standby before that.
    for change in sorted(changes, key=_order):
        if isinstance(change, Put | Remove):
            _write(connection, change)
        elif isinstance(change, Mark):
            _mark(connection, change)
        else:
            _apply(connection, change)


def replaced_handles(changes: Sequence[Change]) -> list[str]:
    return [change.record.handle for change in changes if isinstance(change, Replace)]


def _order(change: Change) -> int:
    if not isinstance(change, Insert | Replace):
        return 0
    return {KeyState.STANDBY: 3, KeyState.ACTIVE: 2}.get(change.record.state, 1)


def _apply(connection: Connection, change: Insert | Replace) -> None:
    row = row_of_record(change.record)
    if isinstance(change, Insert):
        connection.execute(insert(KEYS).values(row))
        return
    expected = (KEYS.c.handle == row["handle"]) & (KEYS.c.generation == change.record.generation - 1)
    _check_one(connection.execute(update(KEYS).where(expected).values(row)))


def _write(connection: Connection, change: Put | Remove) -> None:
    row = row_of_document(change.document)
    of_it = (DOCUMENTS.c.kind == row["kind"]) & (DOCUMENTS.c.name == row["name"])
    if isinstance(change, Remove):
        _check_one(connection.execute(delete(DOCUMENTS).where(of_it, DOCUMENTS.c.generation == row["generation"])))
    elif row["generation"] == 1:
        connection.execute(insert(DOCUMENTS).values(row))
    else:
        before = DOCUMENTS.c.generation == row["generation"] - 1
        _check_one(connection.execute(update(DOCUMENTS).where(of_it, before).values(row)))


def _mark(connection: Connection, change: Mark) -> None:
    row = row_of_token(change.token) | {"version": select(CATALOG.c.version).scalar_subquery()}
    if change.before is None:
        connection.execute(insert(TOKENS).values(row))
        return
    of_it = (TOKENS.c.issuer == row["issuer"]) & (TOKENS.c.digest == row["digest"])
    _check_one(connection.execute(update(TOKENS).where(of_it, TOKENS.c.status == change.before).values(row)))


def _check_one(result: Any) -> None:
    if result.rowcount != 1:
        raise conflict()
