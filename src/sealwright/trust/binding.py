"""Binding: a token that is bound to a key ("cnf") counts only from its holder (RFC 7800, RFC 8705, RFC 9449)."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.trust.dpop import DpopProofs, Presented
from sealwright.trust.evidence import Evidence
from sealwright.trust.replay import ReplayStore, claim_key
from sealwright.trust.token_check import Proven

JKT, X5T = "jkt", "x5t#S256"  # RFC 9449 §6.1, RFC 8705 §3.1
_KNOWN = frozenset({JKT, X5T})
_SHA256 = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The TokenCheck for issuers whose tokens may be bound to keys.

    ``jkt`` is proven by a DPoP proof under the rules of ``dpop``, which is claimed once from ``claims``; ``x5t#S256``
    by the certificate of the caller. A token that has both needs both. One that has none of the members in
    ``one_of_required`` is refused; without any it may be a bearer token. Raises ConfigurationError
    ``settings.invalid``.
    """

    dpop: DpopProofs | None = None
    claims: ReplayStore | None = None
    one_of_required: frozenset[str] = frozenset()
    name: str = "binding"

    def __post_init__(self) -> None:
        if (self.dpop is None) != (self.claims is None):
            raise _wrong("DPoP proofs need a store that lets each of them count once")
        if not self.one_of_required <= _KNOWN or (self.dpop is None and self.one_of_required == {JKT}):
            raise _wrong(f"what can be required is {JKT}, with rules for its proofs, and {X5T}")

    @property
    def expects(self) -> str:
        needed = " or ".join(sorted(self.one_of_required))
        return f"a token bound by {needed}, and its proof" if needed else "proof for whatever the token is bound to"

    def check(self, seen: Proven, now: float) -> None:
        proof = self.judge(seen, now)
        if proof is not None and self.claims is not None:
            _once(self.claims.claim(_claim_key(proof), proof.remember_for_s))

    async def acheck(self, seen: Proven, now: float) -> None:
        proof = self.judge(seen, now)
        if proof is not None and self.claims is not None:
            _once(await self.claims.aclaim(_claim_key(proof), proof.remember_for_s))

    def judge(self, seen: Proven, now: float) -> Presented | None:
        """Everything but the claim of the proof, which is left to the caller. Raises RejectedError ``binding.*``."""
        bound = _confirmation(seen.claims)
        if self.one_of_required and self.one_of_required.isdisjoint(bound):
            raise RejectedError(Reason.BINDING_MISSING, "the token is bound to no key, and has to be")
        _check_scheme(seen.evidence, bound)
        if X5T in bound:
            _check_certificate(seen.evidence, bound[X5T])
        if JKT not in bound:
            return None
        if self.dpop is None:
            raise RejectedError(Reason.BINDING_UNSUPPORTED, "DPoP proofs are not taken here")
        return self.dpop.check(seen.evidence, seen.token, bound[JKT], now)


def _confirmation(claims: Mapping[str, Any]) -> Mapping[str, str]:
    """What the token is bound to. A way of binding that is not understood cannot be left out (RFC 7800 §3.1)."""
    if "cnf" not in claims:
        return {}
    bound = claims["cnf"]
    if not isinstance(bound, dict) or not bound or not bound.keys() <= _KNOWN:
        raise RejectedError(Reason.BINDING_UNSUPPORTED, "the token is bound in a way that is not understood here")
    if not all(isinstance(value, str) and _SHA256.fullmatch(value) for value in bound.values()):
        raise RejectedError(Reason.BINDING_UNSUPPORTED, "the token is bound to something that is no thumbprint")
    return bound


def _check_scheme(evidence: Evidence, bound: Mapping[str, str]) -> None:
    if JKT in bound and evidence.scheme == "bearer":  # RFC 9449 §7.2
        raise RejectedError(Reason.BINDING_MISSING, "the token is bound to a key, and came as a bearer token")
    if JKT not in bound and (evidence.scheme == "dpop" or evidence.proofs):  # RFC 9449 §7.1
        raise RejectedError(Reason.BINDING_MISMATCH, "the token is not bound to the key of a DPoP proof")


def _check_certificate(evidence: Evidence, thumbprint: str) -> None:
    shown = evidence.certificate_thumbprint
    if shown is None:
        raise RejectedError(Reason.BINDING_MISSING, "the token is bound to a certificate, and came without one")
    if not hmac.compare_digest(shown.encode(), thumbprint.encode()):
        raise RejectedError(Reason.BINDING_MISMATCH, "the token is bound to another certificate than the caller's")


def _claim_key(proof: Presented) -> bytes:
    """RFC 9449 §11.1: one client's identifier cannot use up another's, nor that of another URL."""
    return claim_key("dpop", proof.url, proof.thumbprint, proof.proof_id)


def _once(claimed: bool) -> None:
    if not claimed:
        raise RejectedError(Reason.REPLAY_SEEN_BEFORE, "the DPoP proof was presented before")


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
