"""Brings a database to the current schema with Alembic; the steps are in migrations/versions."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

SCRIPTS = "sealwright.keys.catalogs:migrations"


def migrate(connection: Connection) -> None:
    """Forward only, in one transaction; a schema that is current is left alone."""
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
