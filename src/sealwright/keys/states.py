"""The states of a key and the legal moves between them. Pure.

pending → standby → active → verify_only → retired → destroyed, and the terminal ``revoked``, which is reachable
from standby, verify_only and retired, and from active only inside an emergency rotation.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from sealwright.errors import Reason, RefusedError


class KeyState(StrEnum):
    PENDING = "pending"  # journaled; the backend may or may not have made it yet
    STANDBY = "standby"  # published, does not sign
    ACTIVE = "active"  # published, signs
    VERIFY_ONLY = "verify_only"  # published, does not sign any more
    RETIRED = "retired"  # not published; can come back to verify_only
    DESTROYED = "destroyed"  # the private half is gone
    REVOKED = "revoked"  # never acceptable again


LEGAL_MOVES: Mapping[KeyState, frozenset[KeyState]] = MappingProxyType(
    {
        KeyState.PENDING: frozenset({KeyState.STANDBY, KeyState.RETIRED}),
        KeyState.STANDBY: frozenset({KeyState.ACTIVE, KeyState.RETIRED, KeyState.REVOKED}),
        KeyState.ACTIVE: frozenset({KeyState.VERIFY_ONLY, KeyState.REVOKED}),
        KeyState.VERIFY_ONLY: frozenset({KeyState.RETIRED, KeyState.REVOKED}),
        KeyState.RETIRED: frozenset({KeyState.VERIFY_ONLY, KeyState.DESTROYED, KeyState.REVOKED}),
        KeyState.DESTROYED: frozenset(),
        KeyState.REVOKED: frozenset(),
    }
)
PUBLISHED = frozenset({KeyState.STANDBY, KeyState.ACTIVE, KeyState.VERIFY_ONLY})


def check_move(before: KeyState, after: KeyState) -> None:
    """Raises RefusedError ``move.illegal``."""
    if after not in LEGAL_MOVES[before]:
        legal = ", ".join(sorted(LEGAL_MOVES[before])) or "none, this state is final"
        raise RefusedError(Reason.MOVE_ILLEGAL, f"a {before} key cannot become {after}; possible: {legal}")
