"""The tables of the SQL catalog, and how records, documents and audit entries become rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text, text
from sqlalchemy.engine import Row

from sealwright.keys.audit import AuditEntry
from sealwright.keys.catalog import Document
from sealwright.keys.record import KeyRecord
from sealwright.keys.states import KeyState
from sealwright.keys.token_status import TokenStatus

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
    Column("retired_at", Float(53)),
    Column("revoked_at", Float(53)),
    Column("revoked_reason", Text),
    Column("destroyed_at", Float(53)),
    Column("hold", Text),
    Column("parent", String(200)),
    Column("expires_at", Float(53)),
    Column("canary", Text),
)

for _state in ("active", "standby"):
    _only = text(f"state = '{_state}' AND parent IS NULL")
    _lineage = (KEYS.c.issuer, KEYS.c.purpose, KEYS.c.algorithm)
    Index(f"one_{_state}_key", *_lineage, unique=True, sqlite_where=_only, postgresql_where=_only)

# When each writer signed last with each key: a row of its own for each, so that writers do not wait for one another.
SIGNATURES = Table(
    "signatures",
    METADATA,
    Column("handle", String(64), primary_key=True),
    Column("writer", String(100), primary_key=True),
    Column("last_signed_at", Float(53), nullable=False),
)

DOCUMENTS = Table(
    "documents",
    METADATA,
    Column("kind", String(50), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("body", Text, nullable=False),
)

# What is remembered about single tokens until they are forgotten: a place in a status list, or a revocation.
TOKENS = Table(
    "tokens",
    METADATA,
    Column("issuer", String(100), primary_key=True),
    Column("digest", String(30), primary_key=True),
    Column("status", Integer, nullable=False),
    Column("expires_at", Float(53), nullable=False),
    Column("forgotten_at", Float(53), nullable=False, index=True),
    Column("list_id", Integer),
    Column("place", Integer),
    Column("version", BigInteger, nullable=False, index=True),  # of the catalog when the status last changed
)
_marked = text("status <> 0")
Index("marked_tokens", TOKENS.c.issuer, sqlite_where=_marked, postgresql_where=_marked)
Index("one_token_a_place", TOKENS.c.issuer, TOKENS.c.list_id, TOKENS.c.place, unique=True)

AUDIT = Table(
    "audit",
    METADATA,
    Column("writer", String(100), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
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

# One row: ``version`` grows with every commit, ``beats`` is written to see whether one can write.
CATALOG = Table(
    "catalog", METADATA, Column("version", BigInteger, nullable=False), Column("beats", BigInteger, nullable=False)
)

# What each process of a verifier last said. Not part of a backup: after a restore they say it again.
VERIFIERS = Table(
    "verifiers",
    METADATA,
    Column("name", String(500), primary_key=True),
    Column("instance", String(500), primary_key=True),
    Column("last_seen_at", Float(53), nullable=False),
    Column("body", Text, nullable=False),
    Index("verifiers_seen", "last_seen_at"),
)


def row_of_record(record: KeyRecord) -> dict[str, Any]:
    """Without ``last_signed_at``, which has a table of its own."""
    public = None if record.public is None else json.dumps(dict(record.public))
    row = {**asdict(record), "state": str(record.state), "public": public}
    del row["last_signed_at"]
    return row


def record_of_row(row: Mapping[str, Any]) -> KeyRecord:
    values = {field.name: row[field.name] for field in fields(KeyRecord)}
    public = None if values["public"] is None else json.loads(values["public"])
    return KeyRecord(**{**values, "state": KeyState(values["state"]), "public": public})


def row_of_document(document: Document) -> dict[str, Any]:
    return {**asdict(document), "body": json.dumps(dict(document.body))}


def document_of_row(row: Row[Any]) -> Document:
    return Document(row.kind, row.name, json.loads(row.body), row.generation)


def row_of_token(token: TokenStatus) -> dict[str, Any]:
    """With the version 0, which no change has."""
    return {**asdict(token), "forgotten_at": token.forgotten_at, "version": 0}


def token_of_row(row: Row[Any]) -> TokenStatus:
    return TokenStatus(row.issuer, row.digest, row.status, row.expires_at, row.list_id, row.place)


def row_of_entry(entry: AuditEntry) -> dict[str, Any]:
    # Not asdict, which copies every digest of a batch of signatures.
    row = {field.name: getattr(entry, field.name) for field in fields(AuditEntry)}
    return {**row, "facts": json.dumps(dict(entry.facts))}


def entry_of_row(row: Mapping[str, Any]) -> AuditEntry:
    values = {field.name: row[field.name] for field in fields(AuditEntry)}
    return AuditEntry(**{**values, "facts": json.loads(values["facts"])})
