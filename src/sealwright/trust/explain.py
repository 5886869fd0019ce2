"""explained(): a decision with the checks in their order, each with what was expected and what was found.

Neither the token nor its signature is shown, and of the claims only those that a check reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from sealwright.errors import Reason, SealwrightError
from sealwright.jose.algorithms import ASYMMETRIC
from sealwright.jose.claims import CLAIM_CHECKS, REGISTERED_CLAIMS, ClaimCheck, ClaimRules, actors_of, check_scopes
from sealwright.jose.header import Header
from sealwright.jose.verification import VerificationKey, check_signature
from sealwright.trust.decision import Decision, Step, Verified
from sealwright.trust.evidence import Evidence
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.key_source import ReportingSource
from sealwright.trust.pipeline import Pipeline, Trail
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.revocation import ReportingList
from sealwright.trust.token_check import Proven, TokenCheck

_LONGEST = 120
_JSON_WORDS = {
    str: "text", int: "a number", float: "a number", bool: "true or false",
    list: "a list", dict: "an object", type(None): "null",
}  # fmt: skip
_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class _Trace:
    steps: list[Step] = field(default_factory=list)

    def check(self, name: str, expected: str, found: str | Callable[[], str], run: Callable[[], _Answer]) -> _Answer:
        """``found`` may be told when the check is over: it may have fetched."""
        try:
            answer = run()
        except Exception as error:
            reason = error.reason if isinstance(error, SealwrightError) else Reason.SOURCE_UNAVAILABLE
            self._add(name, expected, found, reason)
            raise
        self._add(name, expected, found)
        return answer

    def _add(self, name: str, expected: str, found: str | Callable[[], str], reason: Reason | None = None) -> None:
        self.steps.append(Step(name, expected, found if isinstance(found, str) else found(), reason))

    def ask(self, one: TokenCheck | ClaimCheck, run: Callable[[], None]) -> None:
        """A check that names itself; what it finds is told by its error."""
        try:
            run()
        except SealwrightError as error:
            self.steps.append(Step(one.name, one.expects, error.message, error.reason))
            raise
        self.steps.append(Step(one.name, one.expects, "as expected"))


def explained(
    pipeline: Pipeline, token: str | bytes, scopes: frozenset[str], evidence: Evidence, trail: Trail
) -> Decision:
    """Decide by the steps of ``pipeline``, one at a time; the one that failed is the last. Never raises."""
    trace = _Trace()
    try:
        issuer, verified = _verify(pipeline, token, scopes, trace, trail)
        token_id, check = _brief(verified.claims.get("jti")), pipeline.check_token_revoked
        trace.check("revoked token", "a jti that is not revoked", token_id, lambda: check(issuer, verified.claims))
        proven = Proven(issuer.policy, verified, token, evidence)
        for one in issuer.checks_for(verified.claims):
            trace.ask(one, partial(one.check, proven, pipeline.clock.now()))
    except Exception as error:  # noqa: BLE001 - as in Verifier.decide
        return Decision.refused(error, tuple(trace.steps))
    return Decision("accepted", verified, steps=tuple(trace.steps))


def _verify(
    pipeline: Pipeline, token: str | bytes, scopes: frozenset[str], trace: _Trace, trail: Trail
) -> tuple[TrustedIssuer, Verified]:
    now = pipeline.clock.now()
    limit = f"three segments, {pipeline.issuers.maximum_token_bytes} bytes at most"
    unverified = trace.check("shape", limit, _shape(token), lambda: pipeline.parse(token))
    size = f"{len(unverified.payload_segment)} characters"
    claims = trace.check("payload", "a JSON object", size, unverified.unverified_claims)
    named = " or ".join(one.policy.name for one in pipeline.issuers)
    issuer = trace.check("known issuer", named, _brief(claims.get("iss")), lambda: pipeline.issuers.match(claims))
    trail.issuer = issuer
    policy, header = issuer.policy, unverified.header
    limit = f"{policy.maximum_token_bytes} bytes at most"
    trace.check("issuer's limit", limit, f"{len(token)} bytes", lambda: issuer.check_size(token))
    trace.check("header", _header_rule(policy), _header(header), lambda: issuer.check_header(header))
    key = trail.key = _key(pipeline, issuer, header.key_id, trace, now)
    made = f"{len(unverified.signature)} bytes by {header.algorithm}"
    trace.check("signature", f"made with the key {_brief(key.key_id)}", made, lambda: check_signature(unverified, key))
    for name, check in CLAIM_CHECKS:
        expected, found = _claim(name, policy.rules, claims, now)
        trace.check(name, expected, found, partial(check, policy.rules, claims, now))
    for one in policy.rules.further:
        trace.ask(one, partial(one.check, claims))
    if scopes:
        needed, given = " ".join(sorted(scopes)), _brief(claims.get("scope"))
        trace.check("scopes of the call", needed, given, lambda: check_scopes(claims, scopes))
    row = key.algorithm
    return issuer, Verified(issuer.name_in(claims), key.key_id, row.name if row else "unknown", claims)


def _key(pipeline: Pipeline, issuer: TrustedIssuer, named: str | None, trace: _Trace, now: float) -> VerificationKey:
    def revocation(key_id: str | None) -> None:
        shown = f"{_brief(key_id)}{_feed(pipeline, issuer)}"
        trace.check("revocation", "a key that is not revoked", shown, lambda: pipeline.check_revoked(issuer, key_id))

    revocation(named)
    expected = "a known kid" if named is not None else "a kid, or a single key"
    found = trace.check(
        "key", expected, lambda: f"{_brief(named)}{_key_set(issuer)}", lambda: issuer.source.find(named)
    )
    name = found.algorithm.name if found.algorithm is not None else "none of its own"
    key = trace.check("key's algorithm", _allowed(issuer.policy), name, lambda: issuer.bind(found))
    if named is None:
        revocation(key.key_id)
    limits = "has limits of its own" if key.has_limits else "has no limits"
    trace.check("key's limits", f"usable at {_when(now)}", limits, lambda: key.check_usable(now))
    return key


def _key_set(issuer: TrustedIssuer) -> str:
    """Which set the key was looked for in, where the source can tell."""
    if not isinstance(issuer.source, ReportingSource):
        return ""
    held = issuer.source.status()
    if held.age_s is None:
        return ", of no key set: it was never fetched"
    numbered = "" if held.sequence is None else f" number {held.sequence}"
    at = "" if held.fetched_unix_s is None else f" at {_when(held.fetched_unix_s)},"
    return f", of key set{numbered} with {held.keys} keys, fetched{at} {held.age_s:.1f} s ago"


def _feed(pipeline: Pipeline, issuer: TrustedIssuer) -> str:
    """Which feed of revocations counts, where one is obeyed."""
    if not isinstance(pipeline.revocation, ReportingList):
        return ""
    held = pipeline.revocation.status().get(str(issuer.policy.issuer))
    if held is None:
        return ""
    age = "never fetched" if held.age_s is None else f"fetched {held.age_s:.1f} s ago"
    return f", by feed number {held.sequence}, {age}"


def _claim(name: str, rules: ClaimRules, claims: Mapping[str, Any], now: float) -> tuple[str, str]:
    """What a check of CLAIM_CHECKS expects, and what it finds."""
    leeway = f"{rules.leeway_s:g} s of leeway"
    ages = {"at most old": rules.maximum_age_s, "at most alive": rules.maximum_lifetime_s}
    limits = "".join(f", {limit:g} s {text}" for text, limit in ages.items() if limit is not None)
    required, scopes = " ".join(sorted(rules.required)), " ".join(sorted(rules.scopes))
    texts = {
        "claim types": ("times are numbers, names are text", _types(claims)),
        "issuer": (rules.issuer or "any", _brief(claims.get("iss"))),
        "audience": (" or ".join(sorted(rules.audiences)) if rules.audiences else "any", _brief(claims.get("aud"))),
        "expiry": (f"exp after {_when(now)}, {leeway}", _time(claims.get("exp"))),
        "start": (f"nbf not after {_when(now)}, {leeway}", _time(claims.get("nbf"))),
        "age": (f"iat not after {_when(now)}, {leeway}{limits}", _time(claims.get("iat"))),
        "required claims": (required or "none", " ".join(sorted(rules.required & claims.keys())) or "nothing"),
        "forbidden claims": (
            "without " + " ".join(sorted(rules.forbidden)) if rules.forbidden else "any",
            " ".join(sorted(rules.forbidden & claims.keys())) or "nothing",
        ),
        "actors": (f"{rules.maximum_actors} at most", _actors(claims)),
        "scopes": (scopes or "none", _brief(claims.get("scope"))),
    }
    return texts[name]


def _actors(claims: Mapping[str, Any]) -> str:
    """What "act" holds; it may be anything."""
    try:
        return " for ".join(_brief(actor.get("sub")) for actor in actors_of(claims)) or "none"
    except SealwrightError as error:
        return error.message


def _types(claims: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} is {_JSON_WORDS[type(claims[name])]}" for name in REGISTERED_CLAIMS if name in claims)


def _shape(token: object) -> str:
    if not isinstance(token, str | bytes):
        return "no text"
    dots = token.count(".") if isinstance(token, str) else token.count(b".")
    return f"{dots + 1} segments, {len(token)} bytes"


def _header_rule(policy: VerificationPolicy) -> str:
    types = sorted(map(str, [policy.typ] if policy.typ else policy.profile.types))
    typ = f", typ {' or '.join(types)}" if types else ""
    return f"alg {_allowed(policy)}{typ.replace('None', 'absent')}"


def _allowed(policy: VerificationPolicy) -> str:
    return "any asymmetric one" if policy.algorithms == ASYMMETRIC else " or ".join(sorted(policy.algorithms))


def _header(header: Header) -> str:
    return f"alg {_brief(header.algorithm)}, typ {_brief(header.type)}"


def _brief(value: object) -> str:
    """A value of the token, bounded."""
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST and text.isprintable() else f"{text[:_LONGEST]!a}…"


def _time(value: object) -> str:
    return _when(value) if isinstance(value, int | float) and not isinstance(value, bool) else _brief(value)


def _when(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:g}"
