"""Verifier: is this token acceptable here, and if not, why? Raising or answering, sync or async."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, Self, Unpack

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import ConfigurationError, Reason, RejectedError, SealwrightError
from sealwright.events import Observer
from sealwright.jose.algorithms import ASYMMETRIC
from sealwright.jose.jwk import PublicJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.jose.secret_jwk import SecretJWK
from sealwright.trust.decision import Decision, Verified
from sealwright.trust.decision_cache import CacheFigures, DecisionCache
from sealwright.trust.evidence import NO_EVIDENCE, Evidence
from sealwright.trust.explain import explained
from sealwright.trust.issuers import Issuers, TrustedIssuer
from sealwright.trust.key_source import KeySource
from sealwright.trust.pipeline import Pipeline, Trail
from sealwright.trust.policy import IGNORE_ISSUER, Ignore, Rules, VerificationPolicy
from sealwright.trust.revocation import RevocationList
from sealwright.trust.shortcut import PromptShortcut, Shortcut
from sealwright.trust.sources.shared_secret import SharedSecret
from sealwright.trust.sources.static import StaticKeys
from sealwright.trust.telling import Telling
from sealwright.trust.token_check import Proven

Keys = KeySource | JWKSet | PublicJWK | SecretJWK


class Verifier:
    """Verifies the tokens of one issuer (``issuer``, ``audience``, ``keys`` and ``rules``) or of several (``issuers``).

    Issuer and audience must be given, or IGNORE_ISSUER and IGNORE_AUDIENCE. ``rules`` are the fields of
    VerificationPolicy: ``profile``, ``algorithms`` (every asymmetric one by default, and for a secret its own),
    ``typ``, ``leeway_s``, ``require_expiry``, ``maximum_age_s``, ``maximum_lifetime_s``, ``required_claims``,
    ``required_scopes``, ``forbidden_claims``, ``claim_values``, ``maximum_token_bytes``. With ``cache_bytes`` a token
    that was accepted is remembered, in that many bytes at most, and its claims are for reading only. Raises
    ConfigurationError ``settings.invalid``.

    >>> from sealwright.jose.jwk import PrivateJWK
    >>> key = PrivateJWK.generate("ES256")
    >>> Verifier(issuer="https://id.example", audience="orders", keys=key.public).decide("a.b.c").reason.value
    'token.encoding'
    """

    def __init__(
        self,
        *,
        issuer: str | Ignore | None = None,
        audience: str | Collection[str] | Ignore | None = None,
        keys: Keys | None = None,
        issuers: Sequence[TrustedIssuer] = (),
        revocation: RevocationList | None = None,
        observer: Observer | None = None,
        clock: Clock = SYSTEM_CLOCK,
        cache_bytes: int = 0,
        **rules: Unpack[Rules],
    ) -> None:
        if issuers and (rules or (issuer, audience, keys) != (None, None, None)):
            raise _wrong("with several issuers, each brings its own policy and keys")
        trusted = issuers or [_only(issuer, audience, keys, rules)]
        if revocation is not None and any(one.policy.issuer is IGNORE_ISSUER for one in trusted):
            raise _wrong("revocations are of named issuers: with IGNORE_ISSUER none of them would be obeyed")
        self._pipeline = Pipeline(Issuers(trusted), revocation, clock)
        self._shortcut, self._prompt = Shortcut(self._pipeline), PromptShortcut(self._pipeline)
        self._cache = DecisionCache(self._pipeline, cache_bytes) if cache_bytes else None
        self._telling, self._monotonic = Telling(observer, clock), clock.monotonic

    def verify(
        self, token: str | bytes, *, scopes: frozenset[str] = frozenset(), evidence: Evidence = NO_EVIDENCE
    ) -> Verified:
        """The claims of an acceptable token. Raises RejectedError, or UnavailableError when it cannot be decided.

        ``evidence`` is what came with the token: one that is bound to a key (``cnf``) is refused without.
        """
        if self._telling.has_observer or self._cache is not None:
            return _opened(self.decide(token, scopes=scopes, evidence=evidence))
        try:  # the same, without building what nobody observes
            return self._shortcut.verify(token, scopes, evidence) or self._pipeline.verify(token, scopes, evidence)
        except RejectedError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the door stays shut
            return _opened(Decision.refused(error))

    async def averify(
        self, token: str | bytes, *, scopes: frozenset[str] = frozenset(), evidence: Evidence = NO_EVIDENCE
    ) -> Verified:
        """``verify`` for an event loop."""
        return _opened(await self.adecide(token, scopes=scopes, evidence=evidence))

    def decide(
        self,
        token: str | bytes,
        *,
        scopes: frozenset[str] = frozenset(),
        evidence: Evidence = NO_EVIDENCE,
        explain: bool = False,
    ) -> Decision:
        """Like ``verify``, and never raises: neither for a bad token nor for keys that cannot be had.

        With ``explain`` the decision has its ``steps``: each check, what it expected and what it found.
        """
        if not explain and (known := self._remembered(token, scopes, evidence)):
            return known
        trail = self._telling.trail()
        if explain:
            decision = explained(self._pipeline, token, scopes, evidence, trail or Trail())
        else:
            decision = self._decided(token, scopes, evidence, trail)
        self._telling.decided(decision, trail)
        return decision

    async def adecide(
        self,
        token: str | bytes,
        *,
        scopes: frozenset[str] = frozenset(),
        evidence: Evidence = NO_EVIDENCE,
        explain: bool = False,
    ) -> Decision:
        """``decide`` for an event loop: known keys are found at once, others are awaited."""
        if explain:
            return await asyncio.to_thread(self.decide, token, scopes=scopes, evidence=evidence, explain=True)
        if known := self._remembered(token, scopes, evidence):
            return known
        trail = self._telling.trail()
        try:
            decision = await self._adecided(token, scopes, evidence, trail)
        except Exception as error:  # noqa: BLE001 - as in decide
            decision = Decision.refused(error)
        self._telling.decided(decision, trail)
        return decision

    @property
    def issuers(self) -> tuple[TrustedIssuer, ...]:
        """Whose tokens are decided over, and by which rules."""
        return tuple(self._pipeline.issuers)

    @property
    def cached(self) -> CacheFigures | None:
        """How the decision cache is doing; None without one."""
        return None if self._cache is None else self._cache.figures()

    def refuse(self, error: SealwrightError) -> Decision:
        """The decision over a request that brought no token to decide over, observed as every other one."""
        decision, trail = Decision.refused(error), self._telling.trail()
        self._telling.decided(decision, trail)
        return decision

    def close(self) -> None:
        """Close the key sources."""
        for issuer in self._pipeline.issuers:
            issuer.source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _remembered(self, token: str | bytes, scopes: frozenset[str], evidence: Evidence) -> Decision | None:
        """What the cache says at once, observed."""
        if self._cache is None:
            return None
        began = self._monotonic()
        entry = self._cache.prompt(token, scopes, evidence)
        if entry is None:
            return None
        self._telling.accepted(entry.tell, began)
        return entry.decision

    def _decided(self, token: str | bytes, scopes: frozenset[str], evidence: Evidence, trail: Trail | None) -> Decision:
        cache = self._cache
        try:
            if cache is None:
                return Decision("accepted", self._walked(token, scopes, evidence, trail))
            if known := cache.recall(token, scopes, evidence, trail):
                return known
            trail = trail or Trail()
            return cache.keep(token, self._walked(token, scopes, evidence, trail), trail, self._telling.again(trail))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the door stays shut
            return Decision.refused(error)

    def _walked(self, token: str | bytes, scopes: frozenset[str], evidence: Evidence, trail: Trail | None) -> Verified:
        seen = self._shortcut.verify(token, scopes, evidence, trail)
        return seen or self._pipeline.verify(token, scopes, evidence, trail)

    async def _adecided(
        self, token: str | bytes, scopes: frozenset[str], evidence: Evidence, trail: Trail | None
    ) -> Decision:
        cache = self._cache
        if cache is None:
            return Decision("accepted", await self._awalked(token, scopes, evidence, trail or Trail()))
        if known := await cache.arecall(token, scopes, evidence, trail):
            return known
        trail = trail or Trail()
        return cache.keep(token, await self._awalked(token, scopes, evidence, trail), trail, self._telling.again(trail))

    async def _awalked(self, token: str | bytes, scopes: frozenset[str], evidence: Evidence, trail: Trail) -> Verified:
        seen = self._prompt.verify(token, scopes, evidence, trail)
        if seen is None or trail.issuer is None:
            return await self._pipeline.averify(token, scopes, evidence, trail)
        return await self._pipeline.afinish(trail.issuer, Proven(trail.issuer.policy, seen, token, evidence))


def _opened(decision: Decision) -> Verified:
    if decision.verified is None:
        assert decision.error is not None
        raise decision.error
    return decision.verified


def _only(
    issuer: str | Ignore | None, audience: str | Collection[str] | Ignore | None, keys: Keys | None, rules: Rules
) -> TrustedIssuer:
    if issuer is None or audience is None or keys is None:
        raise _wrong("give issuer, audience and keys; IGNORE_ISSUER and IGNORE_AUDIENCE skip a check")
    chosen: dict[str, Any] = {**rules}
    if chosen.get("algorithms") is None:
        chosen["algorithms"] = _default_algorithms(keys)
    for name in ("algorithms", "required_claims", "required_scopes", "forbidden_claims"):
        if isinstance(chosen.get(name), str):
            raise _wrong(f"{name} must be a set of names")
        chosen[name] = frozenset(chosen.get(name, ()))
    return TrustedIssuer(VerificationPolicy(issuer=issuer, audience=audience, **chosen), _source(keys))


def _source(keys: Keys) -> KeySource:
    if isinstance(keys, SecretJWK):
        return SharedSecret(keys)
    return StaticKeys(keys) if isinstance(keys, JWKSet | PublicJWK) else keys


def _default_algorithms(keys: Keys) -> frozenset[str]:
    if isinstance(keys, SecretJWK):
        return frozenset({keys.algorithm.name})
    return keys.algorithms if isinstance(keys, SharedSecret) else ASYMMETRIC


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
