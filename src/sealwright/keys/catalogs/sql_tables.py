"""The tables of the SQL catalog, and how a record and an audit entry become rows."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Column, Float, Index, Integer, MetaData, String, Table, Text, text
from sqlalchemy.engine import Row

from sealwright.keys.audit import AuditEntry
from sealwright.keys.record import KeyRecord
from sealwright.keys.states import KeyState

METADATA = MetaData()

KEYS = Table(
    "keys",
    METADATA,
    Column("handle", String(64), primary_key=True),
    Column("issuer", String(100), nullable=False),
    Column("purpose", String(20), nullable=False),
    Column("algorithm", String(20), nullable=False),
    Column("backend", String(100), nullable=False),
    Column("state", String(20), nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("key_id", String(200), unique=True),  # for ever: a kid is never reused
    Column("public", Text),
    Column("published_at", Float(53)),
    Column("activated_at", Float(53)),
    Column("verify_only_at", Float(53)),
    Column("last_signed_at", Float(53)),
    Column("retired_at", Float(53)),
    Column("revoked_at", Float(53)),
    Column("revoked_reason", Text),
    Column("destroyed_at", Float(53)),
)

Index(
    "one_active_key",
    KEYS.c.issuer,
    KEYS.c.purpose,
    KEYS.c.algorithm,
    unique=True,
    sqlite_where=text("state = 'active'"),
    postgresql_where=text("state = 'active'"),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("at", Float(53), nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(50), nullable=False),
    Column("issuer", String(100), nullable=False),
    Column("key_id", String(200)),
    Column("reason", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
)

HEARTBEAT = Table("heartbeat", METADATA, Column("beats", Integer, nullable=False))  # one row: written to see if one can


def row_of_record(record: KeyRecord) -> dict[str, Any]:
    public = None if record.public is None else json.dumps(dict(record.public))
    return {**asdict(record), "state": str(record.state), "public": public}


def record_of_row(row: Row[Any]) -> KeyRecord:
    values = {field.name: row._mapping[field.name] for field in fields(KeyRecord)}
    public = None if values["public"] is None else json.loads(values["public"])
    return KeyRecord(**{**values, "state": KeyState(values["state"]), "public": public})


def row_of_entry(entry: AuditEntry) -> dict[str, Any]:
    return {**asdict(entry), "facts": json.dumps(dict(entry.facts))}


def entry_of_row(row: Row[Any]) -> AuditEntry:
    values = {field.name: row._mapping[field.name] for field in fields(AuditEntry)}
    return AuditEntry(**{**values, "facts": json.loads(values["facts"])})
