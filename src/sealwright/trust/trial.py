"""Trials: would a token of this key be accepted here? Asked of the real rules and keys, for nobody's audience."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sealwright.clock import Clock
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.revocation import RevocationList
from sealwright.trust.token_profiles import TokenProfile
from sealwright.trust.verifier import Verifier


def trial_verifier(
    issuers: Iterable[TrustedIssuer], revocation: RevocationList | None, clock: Clock, audience: str, *, typed: bool
) -> Verifier:
    """The issuers, algorithms, keys and revocations of a verifier, for one audience that no real token has.

    What a trial cannot have is left out: required claims and scopes, ages, bindings, checks that write. ``typed`` False
    leaves out the type as well. Nobody observes it, so that trials are in no metric; it shares its sources, so it is
    never closed.
    """
    return Verifier(issuers=[_for_trials(one, audience, typed) for one in issuers], revocation=revocation, clock=clock)


def _for_trials(issuer: TrustedIssuer, audience: str, typed: bool) -> TrustedIssuer:
    kind = issuer.policy.profile
    policy = replace(
        issuer.policy,
        audience=audience,
        profile=TokenProfile(
            name=kind.name,
            types=kind.types if typed else frozenset(),
            header_members=kind.header_members,
            algorithms=kind.algorithms,
        ),
        claim_values={},
        forbidden_claims=frozenset(),
        typ=issuer.policy.typ if typed else None,
        maximum_age_s=None,
        maximum_lifetime_s=None,
        required_claims=frozenset(),
        required_scopes=frozenset(),
    )
    return TrustedIssuer(policy, issuer.source)
