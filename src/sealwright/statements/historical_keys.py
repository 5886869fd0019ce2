"""Historical keys: public keys that are no longer published, for signatures that outlive them. Pure.

A signed JWK Set (OpenID Federation 1.0 §8.7: type ``jwk-set+jwt``). Each key has ``nbf`` and ``exp``, between which it
signed, and ``revoked`` where it was. A signature is good if a trusted time of signing, such as that of a log or a
time-stamp and never the signature's own "iat", lies between them and before ``revoked_at``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sealwright.statements.revoked_keys import RevokedKey

TYP = "jwk-set+jwt"


@dataclass(frozen=True, slots=True)
class HistoricalKey:
    """The public members of one key, and between which times it signed, in seconds since the epoch."""

    members: Mapping[str, Any]
    signed_from: float
    signed_until: float
    revoked: RevokedKey | None = None

    def to_dict(self) -> dict[str, Any]:
        shown = {**self.members, "nbf": int(self.signed_from), "exp": int(self.signed_until)}
        if self.revoked is not None:
            shown["revoked"] = {"revoked_at": int(self.revoked.revoked_at), "reason": self.revoked.reason}
        return shown


def archive_claims(issuer: str, keys: Iterable[HistoricalKey], *, sequence: int, now: float) -> dict[str, Any]:
    """The claims of the archive of one issuer, whose "iss" is given."""
    return {"iss": issuer, "sub": issuer, "iat": int(now), "seq": sequence, "keys": [key.to_dict() for key in keys]}
