"""TokenCheck protocol: one more rule over a token whose signature and claims hold. It may ask others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from sealwright.errors import Reason, RejectedError
from sealwright.trust.decision import Verified
from sealwright.trust.evidence import Evidence
from sealwright.trust.policy import VerificationPolicy


class Proven(NamedTuple):
    """A token whose signature and claims hold under a policy, and what came with it."""

    policy: VerificationPolicy
    verified: Verified
    token: str | bytes
    evidence: Evidence

    @property
    def claims(self) -> Any:
        return self.verified.claims

    def __repr__(self) -> str:
        return f"Proven({self.verified!r}, <token>)"


class TokenCheck(Protocol):
    """Raises RejectedError, or UnavailableError when it cannot be decided.

    ``name`` and ``expects`` are for explanations. ``acheck`` does the same for an event loop and never blocks it. One
    that has ``reads_only`` True may be asked any number of times about one token: it counts nothing. Tokens of an
    issuer with any other check are never remembered by a decision cache. One that has ``is_prompt`` True waits for
    nothing. One with ``again`` says what is left of it for a token that it let pass; the others are asked as before.
    """

    @property
    def name(self) -> str: ...

    @property
    def expects(self) -> str: ...

    def check(self, seen: Proven, now: float) -> None: ...

    async def acheck(self, seen: Proven, now: float) -> None: ...


def left_of(check: TokenCheck, seen: Proven) -> TokenCheck | None:
    """What has to be asked when the same token comes again; None for nothing."""
    again: Callable[[Proven], TokenCheck | None] | None = getattr(check, "again", None)
    return check if again is None else again(seen)


class Unbound:
    """Tokens that are bound to a key need evidence, and here is nobody who could judge any."""

    name = "binding"
    expects = "a token that is bound to no key"
    reads_only = True

    def check(self, seen: Proven, _: float) -> None:
        if "cnf" in seen.claims:
            raise RejectedError(Reason.BINDING_MISSING, "the token is bound to a key that nobody proved to hold")

    async def acheck(self, seen: Proven, now: float) -> None:
        self.check(seen, now)


class AnyBinding:
    """For whoever is asked about a token that somebody else was shown: that one judges the evidence."""

    name = "binding"
    expects = "nothing: whoever was shown the token judges it"
    reads_only = True

    def check(self, _: Proven, __: float) -> None:
        pass

    async def acheck(self, _: Proven, __: float) -> None:
        pass


UNBOUND = Unbound()
ANY_BINDING = AnyBinding()
