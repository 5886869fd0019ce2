"""VerificationPolicy: the frozen rules for one configured issuer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum
from typing import TypedDict

from sealwright.errors import ConfigurationError, Reason
from sealwright.jose.algorithms import ALGORITHMS, ASYMMETRIC
from sealwright.jose.claims import MAXIMUM_ACTORS, MAXIMUM_LEEWAY_S, ClaimRules


class Ignore(Enum):
    """Said instead of a value, by somebody who chose not to check it."""

    ISSUER = "issuer"
    AUDIENCE = "audience"


IGNORE_ISSUER = Ignore.ISSUER
IGNORE_AUDIENCE = Ignore.AUDIENCE


class Rules(TypedDict, total=False):
    """The rules that have defaults, as a ``Verifier`` takes them for its one issuer."""

    algorithms: Collection[str] | None
    typ: str | None
    leeway_s: float
    require_expiry: bool
    maximum_age_s: float | None
    maximum_lifetime_s: float | None
    required_claims: Collection[str]
    required_scopes: Collection[str]
    maximum_actors: int
    maximum_token_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationPolicy:
    """What a token of one issuer must be. Issuer and audience are given, or ignored in so many words.

    Raises ConfigurationError ``settings.invalid`` for rules that would accept too much. Times in seconds.
    """

    issuer: str | Ignore
    audience: str | Collection[str] | Ignore
    algorithms: frozenset[str] = ASYMMETRIC
    typ: str | None = None
    leeway_s: float = 60.0
    require_expiry: bool = True
    maximum_age_s: float | None = None
    maximum_lifetime_s: float | None = None
    required_claims: frozenset[str] = frozenset()
    required_scopes: frozenset[str] = frozenset()
    maximum_actors: int = MAXIMUM_ACTORS
    maximum_token_bytes: int = 64 * 1024
    label: str | None = None  # a short name for metrics and logs; the issuer itself when None
    rules: ClaimRules = field(init=False)

    def __post_init__(self) -> None:
        self._check()
        object.__setattr__(self, "rules", self._rules())

    @property
    def name(self) -> str:
        """What metrics and logs call this issuer: its configured name, never text of a token."""
        return self.label or (self.issuer if isinstance(self.issuer, str) else "any")

    def _check(self) -> None:
        if isinstance(self.algorithms, str) or not self.algorithms or not self.algorithms <= ALGORITHMS.keys():
            raise _wrong("algorithms must be a non-empty set of known algorithm names")
        if not 0 <= self.leeway_s <= MAXIMUM_LEEWAY_S:
            raise _wrong(f"leeway must lie between 0 and {MAXIMUM_LEEWAY_S:.0f} s")
        if self.issuer == "" or self.issuer is IGNORE_AUDIENCE:
            raise _wrong("an issuer must be given, or IGNORE_ISSUER")
        if isinstance(self.audience, Ignore):
            if self.audience is not IGNORE_AUDIENCE:
                raise _wrong("an audience must be given, or IGNORE_AUDIENCE")
        elif not self._audiences() or any(not name or "*" in name for name in self._audiences()):
            raise _wrong("audiences must be given in full, without wildcards")

    def _audiences(self) -> frozenset[str]:
        if isinstance(self.audience, Ignore):
            return frozenset()
        return frozenset((self.audience,) if isinstance(self.audience, str) else self.audience)

    def _rules(self) -> ClaimRules:
        return ClaimRules(
            issuer=self.issuer if isinstance(self.issuer, str) else None,
            audiences=None if isinstance(self.audience, Ignore) else self._audiences(),
            leeway_s=self.leeway_s,
            require_expiry=self.require_expiry,
            maximum_age_s=self.maximum_age_s,
            maximum_lifetime_s=self.maximum_lifetime_s,
            required=self.required_claims,
            scopes=self.required_scopes,
            maximum_actors=self.maximum_actors,
        )


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
