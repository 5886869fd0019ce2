"""The shortcut and the explanation against the pipeline, step by step: no token may be decided differently."""

from __future__ import annotations

import itertools
import json
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.errors import Reason, SealwrightError
from sealwright.events import TokenDecided
from sealwright.jose import base64url, strict_json
from sealwright.jose.claims import ClaimRules
from sealwright.trust.decision import Step
from sealwright.trust.token_profiles import AT_JWT, JWT, SECEVENT, spiffe

ISSUER, AUDIENCE = "https://id.example", "orders"
CLOCK = ManualClock()
NOW = int(CLOCK.now())
SECRET = sw.SecretJWK.generate("HS256", key_id="shared")
KEYS = [sw.PrivateJWK.generate(alg, key_id=alg) for alg in ("ES256", "EdDSA")]
EXPIRED = sw.PublicJWK.from_dict({**KEYS[0].public.to_dict(), "kid": "expired", "exp": NOW - 1})
SETS = [sw.JWKSet([*(key.public for key in KEYS), EXPIRED]), SECRET]
SVID = spiffe("example.org")
RULES: list[dict[str, Any]] = [
    {},
    {"typ": "at+jwt"},
    {"require_expiry": False, "leeway_s": 0},
    {"maximum_age_s": 100, "maximum_lifetime_s": 300},
    {"required_claims": {"sub"}, "required_scopes": {"read"}, "maximum_actors": 1},
    {"maximum_token_bytes": 400},
    {"profile": AT_JWT},
    {"profile": AT_JWT, "typ": "application/at+jwt"},
    {"profile": JWT, "forbidden_claims": {"other"}},
    {"profile": SECEVENT},
    {"profile": SVID},
    {"claim_values": {"other": ["read", ISSUER]}},
]
VALUES = [
    None, True, 0, -1, NOW, NOW - 60, NOW + 60, NOW + 61, NOW - 61, NOW + 900, NOW + 0.5, 2**53, 2**53 + 1, -(2**60),
    1e300, "", "read", "read write", ISSUER, AUDIENCE, [AUDIENCE], [AUDIENCE, 5], [], {}, [[AUDIENCE]], str(NOW),
    {"sub": "a"}, {"sub": 1}, {"act": {"act": {"act": {"act": {}}}}}, {"act": {"act": {}}},
]  # fmt: skip
NAMES = ["iss", "aud", "exp", "nbf", "iat", "sub", "jti", "scope", "client_id", "act", "cnf", "other"]
HEADERS = [
    {}, {"typ": "at+jwt"}, {"typ": "AT+JWT"}, {"typ": "application/at+jwt"}, {"typ": "JWT"}, {"typ": "jwt"},
    {"typ": "secevent+jwt"}, {"typ": "JOSE"}, {"typ": "JWT", "cty": "x"}, {"typ": "at+jwt", "jku": "x"},
    {"kid": "expired"}, {"alg": "Ed25519"}, {"kid": "?"}, {"alg": "none"}, {"b64": False, "crit": ["b64"]},
    {"b64": True, "crit": ["b64"]}, {"crit": ["x"]}, {"alg": "RS256"},
]  # fmt: skip
PLAIN = {"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 200, "iat": NOW}
FULL = PLAIN | {"sub": "spiffe://example.org/a", "client_id": "c", "jti": "1"}
EVENT = {"iss": ISSUER, "aud": AUDIENCE, "iat": NOW, "jti": "1", "events": {"urn:x": {}}}


def made(key: Any, header: dict[str, Any], payload: bytes) -> bytes:
    members = {"alg": key.algorithm.name, "kid": key.key_id} | header
    signing_input = b".".join(base64url.encode(part) for part in (strict_json.encode_object(members), payload))
    return signing_input + b"." + base64url.encode(key.sign(signing_input))


@st.composite
def tokens(draw: st.DrawFn) -> str | bytes:
    """Well signed more often than not, so that what comes after the signature is reached."""
    key = draw(st.sampled_from([*KEYS, SECRET]))
    changed = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=3)
    base = draw(st.sampled_from([PLAIN, FULL, FULL, EVENT]))
    payload = json.dumps(base | draw(changed), separators=draw(st.sampled_from([(",", ":"), (", ", ": ")]))).encode()
    payload = draw(st.sampled_from([payload, payload, payload[:-1] + b',"iss":"x"}', payload[:-1], b"[]"]))
    token = made(key, draw(st.sampled_from(HEADERS)), payload)
    token = draw(st.sampled_from([token, token, token[:-4], token + b"=", token + b".", token + b"\xc3\xa9"]))
    return draw(st.sampled_from([token, token.decode()]))


def outcome(call: Any) -> tuple[Any, Any]:
    try:
        return "accepted", call()
    except SealwrightError as error:
        return type(error).__name__, error.reason


def answered(waiting: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that waits for nothing."""
    try:
        waiting.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


class NoShortcut:
    def verify(self, *_: Any) -> None:
        """Leaves every token to the pipeline."""


def check_alike(token: Any, keys: Any, rules: dict[str, Any], scopes: frozenset[str] = frozenset()) -> None:
    if rules.get("profile") == SVID and (keys is SECRET or "algorithms" in rules):
        return  # no such policy
    seen: tuple[list[TokenDecided], list[TokenDecided]] = ([], [])
    quick, by_steps = (
        sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=keys, clock=CLOCK, observer=Seen(events), **rules)
        for events in seen
    )
    by_steps._shortcut = NoShortcut()  # type: ignore[assignment]
    unobserved = sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=keys, clock=CLOCK, **rules)
    expected = outcome(lambda: by_steps.verify(token, scopes=scopes))
    assert outcome(lambda: quick.verify(token, scopes=scopes)) == expected
    assert outcome(lambda: unobserved.verify(token, scopes=scopes)) == expected
    assert answered(quick.adecide(token, scopes=scopes)).to_dict() == by_steps.decide(token, scopes=scopes).to_dict()
    assert seen[0] == seen[1] != []
    check_remembered(token, scopes, keys, rules, seen[1][-1])
    decision, told = quick.decide(token, scopes=scopes), quick.decide(token, scopes=scopes, explain=True)
    assert told.steps is not None
    assert (told.outcome, told.reason, told.verified) == (decision.outcome, decision.reason, decision.verified)
    assert [step.reason for step in told.steps[:-1]] == [None] * (len(told.steps) - 1)
    assert told.steps[-1].reason == decision.reason


def check_remembered(token: Any, scopes: frozenset[str], keys: Any, rules: dict[str, Any], event: TokenDecided) -> None:
    """Seen for the first time, remembered, and asked for with less: decided and observed as if it were new."""
    seen: list[TokenDecided] = []
    cached = sw.Verifier(
        issuer=ISSUER, audience=AUDIENCE, keys=keys, clock=CLOCK, observer=Seen(seen), cache_bytes=2**16, **rules
    )
    plain = sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=keys, clock=CLOCK, **rules)
    for wanted in (scopes, scopes, frozenset[str](), frozenset({"read", "write"}), scopes):
        expected = plain.decide(token, scopes=wanted).to_dict()
        assert cached.decide(token, scopes=wanted).to_dict() == expected
        assert answered(cached.adecide(token, scopes=wanted)).to_dict() == expected
    assert seen[0] == seen[1] == seen[-1] == event
    assert len(seen) == 10


@given(tokens() | st.text(max_size=20) | st.binary(max_size=20), st.sampled_from(SETS), st.sampled_from(RULES))
@example(None, SETS[0], {})
@example(5, SETS[0], {})
def test_the_shortcut_decides_as_the_steps_do(token: Any, keys: Any, rules: dict[str, Any]) -> None:
    check_alike(token, keys, rules)
    check_alike(token, keys, rules, frozenset({"read"}))


@pytest.mark.parametrize("rules", RULES, ids=" ".join)  # a set is written in another order by each process
def test_each_header_is_decided_alike(rules: dict[str, Any]) -> None:
    for header in [*HEADERS, *({"kid": None} for _ in "x")]:
        payload = strict_json.encode_object(FULL | {"other": "x" * 200})
        for key, keys in ((KEYS[0], SETS[0]), (KEYS[1], SETS[0]), (SECRET, SECRET), (SECRET, SETS[0])):
            check_alike(made(key, header, payload).decode(), keys, rules)
            check_alike(made(key, header, payload).decode(), keys, rules | {"algorithms": {"EdDSA", "HS256"}})
            check_alike(made(key, header, payload).decode()[:-8] + "AAAAAAAA", keys, rules)


@pytest.mark.parametrize("name", NAMES)
def test_each_claim_is_decided_alike(name: str) -> None:
    for rules, value in itertools.product(RULES, VALUES):
        check_alike(made(SECRET, {}, strict_json.encode_object(PLAIN | {name: value})).decode(), SECRET, rules)


@pytest.mark.parametrize("name", NAMES)
def test_claim_rules_hold_at_once_or_one_by_one(name: str) -> None:
    for value in VALUES:
        for rules in (
            ClaimRules(issuer=ISSUER, audiences=frozenset({AUDIENCE})),
            ClaimRules(issuer=None, audiences=frozenset({AUDIENCE})),
            ClaimRules(issuer=ISSUER, audiences=None, leeway_s=0),
        ):
            claims = PLAIN | {name: value}
            assert outcome(lambda: rules.check(claims, NOW)) == outcome(lambda: rules._check_each(claims, NOW))  # noqa: B023


class Seen:
    def __init__(self, events: list[Any]) -> None:
        self._events = events

    def observe(self, event: Any) -> None:
        self._events.append(event)


def test_ordinary_tokens_take_the_shortcut(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=SETS[0], clock=CLOCK)
    token = sw.sign(strict_json.encode_object(PLAIN), KEYS[0])
    monkeypatch.setattr(verifier, "_pipeline", None)  # whoever needs it now fails
    assert verifier.verify(token).claims == PLAIN


@given(
    st.recursive(
        st.sampled_from(VALUES), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
    )
)
def test_json_is_written_the_same_with_and_without_the_shortcut(value: Any) -> None:
    assert outcome(lambda: strict_json.encode_object({"a": value})) == outcome(
        lambda: strict_json.encode_thoroughly({"a": value})
    )


JSON_TEXTS = st.recursive(
    st.sampled_from(
        ["1", "-0", "1.0", "1e5", "1E400", "9" * 20, "0.1", "true", "null", '"a"', '"\\u00e9"', '"\\ud800"']
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(st.sampled_from(['"a"', '"b"', '"\\u0061"']), inner), max_size=3).map(
            lambda items: "{" + ",".join(f"{name}:{value}" for name, value in items) + "}"
        )
    ),
    max_leaves=8,
)


@given(JSON_TEXTS | st.text(max_size=20), st.sampled_from(["", " ", "\n", "x", "\ufeff"]))
def test_json_is_read_the_same_with_and_without_the_shortcut(text: str, around: str) -> None:
    data = (around + '{"a":' + text + "}").encode("utf-8", "surrogatepass")
    quick, thorough = (
        outcome(lambda read=read: read(data)) for read in (strict_json.parse_object, strict_json.parse_thoroughly)
    )
    assert repr(quick) == repr(thorough)  # 1 and 1.0 are equal, and not the same


def test_without_the_fast_extra_everything_goes_the_thorough_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "_loads", None)
    assert strict_json.parse_object(strict_json.encode_object({"a": [1, {"b": None}]})) == {"a": [1, {"b": None}]}


def test_an_explanation_names_each_check_and_shows_no_token() -> None:
    verifier = sw.Verifier(issuer=ISSUER, audience="bills", keys=SETS[0], clock=CLOCK)
    token = sw.sign(strict_json.encode_object({**PLAIN, "name": "private"}), KEYS[0])
    steps = verifier.decide(token, explain=True).steps or ()
    assert steps[-1] == Step("audience", "bills", "orders", Reason.CLAIMS_AUDIENCE)
    checks = [step.check for step in steps]
    assert checks[:4] == ["shape", "payload", "known issuer", "issuer's limit"]
    assert checks.index("signature") < checks.index("claim types")
    text = json.dumps([asdict(step) for step in steps])
    assert not [part for part in token.split(".") if part in text]
    assert "private" not in text


def test_an_explanation_tells_how_a_broken_key_source_ended_it() -> None:
    class Broken:
        def find(self, key_id: str | None) -> Any:
            raise OSError("no route")

        afind = find

        def close(self) -> None: ...

    verifier = sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=Broken(), clock=CLOCK)
    token = sw.sign(strict_json.encode_object(PLAIN), KEYS[0])
    last = (verifier.decide(token, explain=True).steps or ())[-1]
    assert (last.check, last.reason) == ("key", Reason.SOURCE_UNAVAILABLE)
