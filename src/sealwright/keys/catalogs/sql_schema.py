"""Brings a database to the current schema with Alembic; the steps are in migrations/versions."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

SCRIPTS = "sealwright.keys.catalogs:migrations"


def migrate(connection: Connection) -> None:
    """Forward only, in the transaction of the caller.

    A schema that is current is left alone, and so is a newer one: releases only add to it, so that this one goes on
    working beside its successor.
    """
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    config.attributes["connection"] = connection
    ours = ScriptDirectory.from_config(config).get_current_head()
    theirs = MigrationContext.configure(connection).get_current_revision()
    if theirs is None or (theirs != ours and not _newer(theirs, str(ours))):
        command.upgrade(config, "head")


def _newer(theirs: str, ours: str) -> bool:
    """Our revisions are four digits that count up."""
    return len(theirs) == len(ours) and theirs.isdecimal() and theirs > ours
