"""RevocationList protocol: is this key withdrawn?"""

from __future__ import annotations

from typing import Protocol


class RevocationList(Protocol):
    """What was withdrawn before its time. Reading it does no I/O.

    Raises UnavailableError when what it knows is too old to decide by.
    """

    def key_revoked(self, issuer: str, key_id: str) -> bool: ...
