"""RevocationList protocol: is this key, or this token, withdrawn?"""

from __future__ import annotations

from typing import Protocol


class RevocationList(Protocol):
    """What was withdrawn before its time. Reading it does no I/O.

    Raises UnavailableError when what it knows is too old to decide by.
    """

    def key_revoked(self, issuer: str, key_id: str) -> bool: ...

    def token_revoked(self, issuer: str, token_id: str) -> bool:
        """Whether this one token of the issuer was revoked, by its "jti"."""
        ...
