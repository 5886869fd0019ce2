"""VerificationPolicy: the frozen rules for one configured issuer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, TypedDict

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.jose.algorithms import ALGORITHMS, ASYMMETRIC
from sealwright.jose.claims import MAXIMUM_ACTORS, MAXIMUM_LEEWAY_S, ClaimCheck, ClaimRules
from sealwright.trust.claim_path import ClaimPath
from sealwright.trust.token_profiles import ANY, TokenProfile


class Ignore(Enum):
    """Said instead of a value, by somebody who chose not to check it."""

    ISSUER = "issuer"
    AUDIENCE = "audience"


IGNORE_ISSUER = Ignore.ISSUER
IGNORE_AUDIENCE = Ignore.AUDIENCE


class Rules(TypedDict, total=False):
    """The rules that have defaults, as a ``Verifier`` takes them for its one issuer."""

    profile: TokenProfile
    algorithms: Collection[str] | None
    typ: str | None
    leeway_s: float
    require_expiry: bool
    maximum_age_s: float | None
    maximum_lifetime_s: float | None
    required_claims: Collection[str]
    required_scopes: Collection[str]
    forbidden_claims: Collection[str]
    claim_values: Mapping[str, Collection[str]]
    maximum_actors: int
    maximum_token_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationPolicy:
    """What a token of one issuer must be. Issuer and audience are given, or ignored in so many words.

    ``profile`` is the kind of its tokens; the other rules come on top of it, and take nothing away. ``claim_values``
    are, by the path of a claim, the values of which it must have one. Raises ConfigurationError ``settings.invalid``
    for rules that would accept too much. Times in seconds.
    """

    issuer: str | Ignore
    audience: str | Collection[str] | Ignore
    profile: TokenProfile = ANY
    algorithms: frozenset[str] = ASYMMETRIC
    typ: str | None = None
    leeway_s: float = 60.0
    require_expiry: bool = True
    maximum_age_s: float | None = None
    maximum_lifetime_s: float | None = None
    required_claims: frozenset[str] = frozenset()
    required_scopes: frozenset[str] = frozenset()
    forbidden_claims: frozenset[str] = frozenset()
    claim_values: Mapping[str, Collection[str]] = field(default_factory=dict, hash=False)
    maximum_actors: int = MAXIMUM_ACTORS
    maximum_token_bytes: int = 64 * 1024
    label: str | None = None  # a short name for metrics and logs; the issuer itself when None
    rules: ClaimRules = field(init=False)

    def __post_init__(self) -> None:
        self._check()
        self._check_profile()
        object.__setattr__(self, "algorithms", self.algorithms & self.profile.algorithms)
        object.__setattr__(self, "rules", self._rules())

    @property
    def name(self) -> str:
        """What metrics and logs call this issuer: its configured name, never text of a token."""
        return self.label or (self.issuer if isinstance(self.issuer, str) else "any")

    @property
    def issuer_in_subject(self) -> bool:
        """Whether its tokens need no "iss": the profile proves by "sub" whose they are."""
        prefix = self.profile.subject_prefix
        return prefix is not None and self.issuer == prefix.removesuffix("/")

    def ordinary_types(self) -> frozenset[str | None]:
        """The spellings of "typ" that need no closer look; none where it does not matter."""
        return self.profile.spelled_types() if self.typ is None else frozenset({self.typ})

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

    def _check_profile(self) -> None:
        profile = self.profile
        if not self.algorithms & profile.algorithms:
            raise _wrong(f"{profile.name} tokens are signed with {', '.join(sorted(profile.algorithms))}")
        if self.typ is not None and profile.types and self.typ not in profile.spelled_types():
            raise _wrong(f"{profile.name} tokens have no such typ")
        if profile.pinned and profile.pinned.isdisjoint(self.claim_values):
            named = ", ".join(sorted(profile.pinned))
            raise _wrong(f"anybody can have {profile.name} tokens: claim_values must limit one of {named}")
        if any(isinstance(values, str) or not values for values in self.claim_values.values()):
            raise _wrong("claim_values has a list of values for each claim")

    def _audiences(self) -> frozenset[str]:
        if isinstance(self.audience, Ignore):
            return frozenset()
        return frozenset((self.audience,) if isinstance(self.audience, str) else self.audience)

    def _rules(self) -> ClaimRules:
        profile = self.profile
        lifetimes = [s for s in (self.maximum_lifetime_s, profile.maximum_lifetime_s) if s is not None]
        return ClaimRules(
            issuer=None if isinstance(self.issuer, Ignore) or self.issuer_in_subject else self.issuer,
            audiences=None if isinstance(self.audience, Ignore) else self._audiences(),
            leeway_s=self.leeway_s,
            require_expiry=profile.require_expiry and self.require_expiry,
            maximum_age_s=self.maximum_age_s,
            maximum_lifetime_s=min(lifetimes, default=None),
            required=self.required_claims | profile.required,
            scopes=self.required_scopes,
            maximum_actors=self.maximum_actors,
            forbidden=self.forbidden_claims | profile.forbidden,
            further=(*profile.further, *self._pins()),
        )

    def _pins(self) -> list[ClaimCheck]:
        pins = {path: frozenset(values) for path, values in self.claim_values.items()}
        return [
            ClaimCheck(
                f"value of {path}", " or ".join(sorted(values)), partial(_check_value, ClaimPath.parse(path), values)
            )
            for path, values in pins.items()
        ]


def _check_value(path: ClaimPath, values: frozenset[str], claims: Mapping[str, Any]) -> None:
    if values.isdisjoint(path.texts(claims)):
        raise RejectedError(Reason.CLAIMS_VALUE, f'the claim "{path}" has none of the values that are allowed here')


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
