"""What is remembered about single tokens, in SQL: read, reserved for tokens to come, and forgotten."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from sealwright.keys.catalogs.database import conflict
from sealwright.keys.catalogs.sql_tables import TOKENS, row_of_token, token_of_row
from sealwright.keys.token_status import TokenStatus
from sealwright.statements.status_list import INVALID

RESTORED_S = 30 * 86_400.0  # how long a token stays revoked of which only the feed is left


def marked(connection: Connection, after: int | None) -> list[TokenStatus]:
    wanted = TOKENS.c.status != 0 if after is None else TOKENS.c.version > after
    return [token_of_row(row) for row in connection.execute(select(TOKENS).where(wanted))]


def find(connection: Connection, issuer: str, digest: str) -> TokenStatus | None:
    query = select(TOKENS).where(TOKENS.c.issuer == issuer, TOKENS.c.digest == digest)
    row = connection.execute(query).one_or_none()
    return None if row is None else token_of_row(row)


def reserve(connection: Connection, tokens: Sequence[TokenStatus]) -> list[TokenStatus]:
    """Raises RefusedError ``catalog.conflict``, or IntegrityError when another process was faster."""
    issuer, list_id = tokens[0].issuer, tokens[0].list_id
    of_issuer = TOKENS.c.issuer == issuer
    known = select(TOKENS.c.digest).where(of_issuer, TOKENS.c.digest.in_([token.digest for token in tokens]))
    if connection.execute(known.limit(1)).one_or_none() is not None:
        raise conflict()
    places = TOKENS.c.place.in_([token.place for token in tokens])
    taken = set(
        connection.execute(select(TOKENS.c.place).where(of_issuer, TOKENS.c.list_id == list_id, places)).scalars()
    )
    free = [token for token in tokens if token.place not in taken]
    if free:
        connection.execute(insert(TOKENS), [row_of_token(token) for token in free])
    return free


def forget(connection: Connection, now: float) -> int:
    return connection.execute(delete(TOKENS).where(TOKENS.c.forgotten_at <= now)).rowcount


def is_placed(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Whether another token has the place of this one."""
    if row["place"] is None:
        return False
    same = [TOKENS.c[name] == row[name] for name in ("issuer", "list_id", "place")]
    found = connection.execute(select(TOKENS.c.digest).where(*same)).scalar()
    return found not in (None, row["digest"])


def revoke_again(connection: Connection, tokens: Collection[tuple[str, str]], now: float) -> None:
    """Tokens of a feed that is later than what is here."""
    for issuer, digest in tokens:
        of_it = (TOKENS.c.issuer == issuer) & (TOKENS.c.digest == digest)
        if not connection.execute(update(TOKENS).where(of_it).values(status=INVALID)).rowcount:
            token = TokenStatus(issuer, digest, INVALID, now + RESTORED_S)
            connection.execute(insert(TOKENS).values(row_of_token(token)))
