"""What verifiers report, in SQL: one row for each process of a verifier, beside the catalog and none of its history."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from sealwright.keys.catalogs.sql_tables import VERIFIERS
from sealwright.keys.fleet import Member, Number, member_from, merged
from sealwright.keys.fleet_store import MOST_MEMBERS

AT_ONCE = 200  # rows of one transaction, so that nobody waits long for the database
_KEY = tuple_(VERIFIERS.c.name, VERIFIERS.c.instance)


class SqlFleet:
    """A FleetStore in the database of a SqlCatalog, whose transactions it is given."""

    def __init__(self, transaction: Callable[..., AbstractContextManager[Connection]]) -> None:
        self._transaction = transaction

    def put(self, members: Sequence[Member]) -> None:
        # Two replicas take the rows in one order, so that neither waits for the other for ever.
        ordered = sorted(members, key=lambda one: one.number)
        for start in range(0, len(ordered), AT_ONCE):
            with self._transaction(writes=True) as connection:
                _upsert(connection, ordered[start : start + AT_ONCE])

    def members(self, since: float = 0.0) -> list[Member]:
        newest = select(VERIFIERS).where(VERIFIERS.c.last_seen_at >= since)
        query = newest.order_by(VERIFIERS.c.last_seen_at.desc()).limit(MOST_MEMBERS)
        with self._transaction() as connection:
            found = [member_from(json.loads(row.body)) for row in connection.execute(query)]
        return sorted(found, key=lambda one: one.number)

    def forget(self, before: float) -> int:
        with self._transaction(writes=True) as connection:
            count = connection.execute(select(func.count()).select_from(VERIFIERS)).scalar_one()
            if count > MOST_MEMBERS:
                times = select(VERIFIERS.c.last_seen_at).order_by(VERIFIERS.c.last_seen_at.desc())
                before = max(before, connection.execute(times.offset(MOST_MEMBERS - 1).limit(1)).scalar_one())
            return connection.execute(delete(VERIFIERS).where(VERIFIERS.c.last_seen_at < before)).rowcount


def _upsert(connection: Connection, members: Sequence[Member]) -> None:
    numbers = [one.number for one in members]
    query = (
        select(VERIFIERS.c.body)
        .where(_KEY.in_(numbers))
        .order_by(VERIFIERS.c.name, VERIFIERS.c.instance)
        .with_for_update()
    )
    found = [member_from(json.loads(body)) for body in connection.execute(query).scalars()]
    known: dict[Number, Member] = {one.number: one for one in found}
    rows = {one.number: _row(merged(known.get(one.number), one)) for one in members}
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(VERIFIERS)
    newer = {name: insert.excluded[name] for name in ("last_seen_at", "body")}
    connection.execute(insert.on_conflict_do_update(index_elements=["name", "instance"], set_=newer), [*rows.values()])


def _row(member: Member) -> dict[str, Any]:
    body = json.dumps(member.to_dict())
    return {"name": member.name, "instance": member.instance, "last_seen_at": member.last_seen_at, "body": body}
