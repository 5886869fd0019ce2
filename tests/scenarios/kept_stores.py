"""What the stores of a service hold, read past the service: records, audit entries, and keys at both backends."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

from openbao import ROOT_TOKEN, OpenBao
from sqlalchemy import Engine, create_engine, literal, select
from sqlalchemy.pool import NullPool

from sealwright.keys.audit import AuditEntry, check_chain
from sealwright.keys.catalogs.sql_tables import AUDIT, KEYS, entry_of_row, record_of_row
from sealwright.keys.record import KeyRecord


@dataclass(frozen=True)
class KeptStores:
    """A data folder, a database, and a transit engine of its own."""

    home: Path
    database_url: str
    vault: OpenBao
    mount: str

    def settings(self) -> dict[str, str]:
        """How a service is told of them."""
        token = self.home.with_name(f"{self.home.name}-vault-token")
        token.write_text(ROOT_TOKEN)
        where = f"vault://127.0.0.1:{self.vault.port}/{self.mount}"
        return {
            "SEALWRIGHT_DATABASE_URL": self.database_url,
            "SEALWRIGHT_BACKENDS": f'{{"bao": "{where}?token-source=file:{token}&tls=off&timeout=5"}}',
        }

    def records(self) -> list[KeyRecord]:
        with self._engine().connect() as connection:
            rows = connection.execute(select(KEYS, literal(None).label("last_signed_at")).order_by(KEYS.c.created_at))
            return [record_of_row(row._asdict()) for row in rows]

    def check_audit(self) -> None:
        for _, chain in itertools.groupby(self._entries(), lambda entry: entry.writer):
            assert check_chain(chain) > 0

    def held(self) -> Mapping[str, set[str]]:
        """The handles at each backend."""
        files = (self.home / "keys").glob("*.sealed")
        return {"local": {path.stem for path in files}, "bao": {name.split("-")[1] for name in self._transit_keys()}}

    def part_files(self) -> set[str]:
        """The handles of sealed keys of which a kill left a half-written file behind."""
        return {path.name.split(".")[1] for path in (self.home / "keys").glob(".*.sealed.*")}

    def _entries(self) -> list[AuditEntry]:
        with self._engine().connect() as connection:
            rows = connection.execute(select(AUDIT).order_by(AUDIT.c.writer, AUDIT.c.sequence))
            return [entry_of_row(row._asdict()) for row in rows]

    def _transit_keys(self) -> list[str]:
        try:
            return list(self.vault.ask("LIST", f"{self.mount}/keys")["data"]["keys"])
        except HTTPError as error:
            if error.code != 404:  # an engine without keys
                raise
            return []

    def _engine(self) -> Engine:
        return create_engine(self.database_url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
