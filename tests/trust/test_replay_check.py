"""ReplayCheck: what makes a token the same, how long it is remembered, and what happens without its store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.errors import ConfigurationError, Reason, RejectedError, UnavailableError
from sealwright.events import Event, ReplayClaimed
from sealwright.jose import strict_json
from sealwright.trust import replay_check
from sealwright.trust.decision import Decision
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.replay import StoreFigures, claim_key
from sealwright.trust.replay_check import ReplayCheck
from sealwright.trust.sources.static import StaticKeys
from sealwright.trust.stores.memory import MemoryReplayStore

ISSUER = "https://id.example"
KEY = sw.PrivateJWK.generate("EdDSA", key_id="k")


class Unplugged:
    """A store that can be taken away. Remembers what it was asked."""

    def __init__(self, clock: ManualClock) -> None:
        self.inner = MemoryReplayStore(clock=clock)
        self.reason: Reason | None = None
        self.asked: list[float] = []

    def claim(self, key: bytes, ttl_s: float) -> bool:
        self.asked.append(ttl_s)
        if self.reason is not None:
            raise UnavailableError(self.reason, "gone")
        return self.inner.claim(key, ttl_s)

    async def aclaim(self, key: bytes, ttl_s: float) -> bool:
        return self.claim(key, ttl_s)

    def check(self) -> None: ...

    def figures(self) -> StoreFigures:
        return self.inner.figures()

    def close(self) -> None: ...


class Place:
    """A verifier, its clock, its store and what was observed."""

    def __init__(self, policy: dict[str, Any] | None = None, **chosen: Any) -> None:
        self.clock, self.events = ManualClock(), list[Event]()
        self.store = Unplugged(self.clock)
        self.check = ReplayCheck(self.store, clock=self.clock, observer=self, **chosen)
        rules = VerificationPolicy(**{"issuer": ISSUER, "audience": "orders", "leeway_s": 5.0} | (policy or {}))
        trusted = TrustedIssuer(rules, StaticKeys(KEY.public), checks=(self.check,))
        self.verifier = sw.Verifier(issuers=[trusted], clock=self.clock)
        self._ways = 0

    def observe(self, event: Event) -> None:
        self.events.append(event)

    def token(self, lifetime_s: float = 300.0, **claims: Any) -> str:
        usual = {"iss": ISSUER, "aud": "orders", "exp": self.clock.now() + lifetime_s, "jti": "one", "sub": "alice"}
        kept = {name: value for name, value in (usual | claims).items() if value is not None}
        return sw.sign(strict_json.encode_object(kept), KEY)

    def decide(self, token: str) -> Decision:
        """By turns in each way that there is."""
        self._ways += 1
        if self._ways % 3 == 0:
            return asyncio.run(self.verifier.adecide(token))
        return self.verifier.decide(token, explain=self._ways % 3 == 1)

    def outcomes(self) -> list[tuple[str, Reason | None]]:
        return [(event.outcome, event.reason) for event in self.events if isinstance(event, ReplayClaimed)]


def test_a_token_is_accepted_once_and_refused_from_then_on() -> None:
    place = Place()
    token = place.token()
    assert place.decide(token).accepted
    for _ in range(3):
        decision = place.decide(token)
        assert (decision.outcome, decision.reason) == ("rejected", Reason.REPLAY_SEEN_BEFORE)
    assert place.outcomes() == [("first", None), *[("seen", None)] * 3]


@pytest.mark.parametrize(
    "other",
    [
        {"jti": "two"},
        {"aud": ["orders", "bills"]},
        {"sub": "bob"},
        {"sub": None},
    ],
)
def test_a_token_with_another_jti_audience_or_owner_is_another(other: dict[str, Any]) -> None:
    place = Place()
    assert place.decide(place.token()).accepted
    assert place.decide(place.token(**other)).accepted


def test_two_signatures_of_the_same_claims_are_one_token() -> None:
    place = Place()
    assert place.decide(place.token()).accepted
    assert place.decide(place.token(lifetime_s=299, scope="more")).reason == Reason.REPLAY_SEEN_BEFORE


@pytest.mark.parametrize("missing", [{"jti": None}, {"jti": ""}])
def test_a_token_without_a_jti_cannot_be_told_from_others(missing: dict[str, Any]) -> None:
    place = Place()
    assert place.decide(place.token(**missing)).reason == Reason.CLAIMS_MISSING
    assert not place.store.asked


def test_a_token_that_never_ends_cannot_be_remembered() -> None:
    place = Place({"require_expiry": False})
    assert place.decide(place.token(exp=None)).reason == Reason.CLAIMS_MISSING
    aged = Place({"require_expiry": False, "maximum_age_s": 100.0}, clock_margin_s=0)
    assert aged.decide(aged.token(exp=None, iat=aged.clock.now())).accepted
    assert aged.store.asked == [pytest.approx(105, abs=0.01)]


@pytest.mark.parametrize(
    ("claims", "policy", "usable_s"),
    [
        ({}, {}, 305),
        ({}, {"leeway_s": 60.0}, 360),
        ({"iat": 0}, {"maximum_age_s": 100.0}, 105),
        ({"iat": 0}, {"maximum_age_s": 1000.0}, 305),
        ({"iat": 4}, {"maximum_age_s": 100.0}, 109),  # from a clock ahead of ours
    ],
)
def test_it_is_remembered_until_it_can_no_longer_be_accepted(
    claims: dict[str, Any], policy: dict[str, Any], usable_s: float
) -> None:
    place = Place(policy, clock_margin_s=30.0)
    issued = {name: place.clock.now() + value for name, value in claims.items()}
    assert place.decide(place.token(**issued)).accepted
    assert place.store.asked == [pytest.approx(usable_s + 30, abs=0.01)]


def test_a_bad_token_never_reaches_the_store() -> None:
    place = Place()
    good = place.token()
    for bad in (
        good[:-8] + "AAAAAAAA",
        place.token(exp=5),
        place.token(aud="bills"),
        place.token(iss="https://x.example"),
    ):
        assert place.decide(bad).outcome == "rejected"
    assert not place.store.asked


class Ahead:
    """A clock that lies ahead of another, or behind it."""

    def __init__(self, clock: ManualClock, ahead_s: float) -> None:
        self._clock, self._ahead_s = clock, ahead_s

    def now(self) -> float:
        return self._clock.now() + self._ahead_s

    def monotonic(self) -> float:
        return self._clock.monotonic()


def verifier_with(place: Place, clock: Ahead) -> sw.Verifier:
    """The same rules and store, by another clock."""
    check = ReplayCheck(place.store, clock=clock)
    trusted = [TrustedIssuer(one.policy, one.source, checks=(check,)) for one in place.verifier._pipeline.issuers]
    return sw.Verifier(issuers=trusted, clock=clock)


def test_the_slowest_clock_refuses_what_the_fastest_one_accepted_to_the_last_moment() -> None:
    place = Place()
    fast, slow = (verifier_with(place, Ahead(place.clock, ahead_s)) for ahead_s in (120, -120))
    token = place.token(lifetime_s=300)
    assert fast.decide(token).accepted
    place.clock.advance(300 + 5 + 120 - 0.5)
    assert slow.decide(token).reason == Reason.REPLAY_SEEN_BEFORE
    place.clock.advance(1)
    assert slow.decide(token).reason == Reason.CLAIMS_EXPIRED


@given(
    ahead_s=st.floats(-120, 120),
    rules=st.fixed_dictionaries({"leeway_s": st.floats(0, 120), "maximum_age_s": st.none() | st.floats(1, 900)}),
    lifetime_s=st.floats(1, 900),
    steps=st.lists(st.tuples(st.floats(0, 400), st.booleans()), max_size=12),
)
def test_two_verifiers_whose_clocks_differ_never_accept_a_token_twice(
    ahead_s: float, rules: dict[str, Any], lifetime_s: float, steps: list[tuple[float, bool]]
) -> None:
    place = Place(rules)
    both = place.verifier, verifier_with(place, Ahead(place.clock, ahead_s))
    token, accepted = place.token(lifetime_s, iat=place.clock.now()), 0
    for wait_s, number in steps:
        place.clock.advance(wait_s)
        accepted += both[number].decide(token).accepted
    assert accepted <= 1


@pytest.mark.parametrize("reason", [Reason.REPLAY_UNAVAILABLE, Reason.REPLAY_FULL])
def test_without_its_store_nothing_is_decided(reason: Reason) -> None:
    place = Place()
    place.store.reason = reason
    decision = place.decide(place.token())
    assert (decision.outcome, decision.reason) == ("undecided", reason)
    assert place.outcomes() == [("failed_closed", reason)]


def test_failing_open_accepts_once_says_so_and_remembers_it_after_the_outage() -> None:
    place = Place(on_failure="open")
    place.store.reason = Reason.REPLAY_UNAVAILABLE
    token = place.token(lifetime_s=50)
    assert place.decide(token).accepted
    assert place.decide(token).reason == Reason.REPLAY_SEEN_BEFORE
    place.store.reason = None
    assert place.decide(token).reason == Reason.REPLAY_SEEN_BEFORE
    opened = ("failed_open", Reason.REPLAY_UNAVAILABLE)
    assert place.outcomes() == [opened, ("seen", None), ("seen", None)]


def test_failing_open_does_not_accept_what_this_process_accepted_before_the_outage() -> None:
    place = Place(on_failure="open")
    token = place.token(lifetime_s=50)
    assert place.decide(token).accepted
    place.store.reason = Reason.REPLAY_UNAVAILABLE
    assert place.decide(token).reason == Reason.REPLAY_SEEN_BEFORE


@pytest.mark.parametrize(("lifetime_s", "opens"), [(54.9, True), (55.1, False), (300, False)])
def test_failing_open_is_for_tokens_that_end_within_a_minute(lifetime_s: float, opens: bool) -> None:
    place = Place(on_failure="open")
    place.store.reason = Reason.REPLAY_UNAVAILABLE
    assert place.decide(place.token(lifetime_s)).accepted is opens


def test_a_full_store_never_opens() -> None:
    place = Place(on_failure="open")
    place.store.reason = Reason.REPLAY_FULL
    assert place.decide(place.token(lifetime_s=50)).reason == Reason.REPLAY_FULL


def test_an_issuer_uses_no_more_of_a_store_than_its_share_and_gets_it_back() -> None:
    place = Place(maximum_entries=3, clock_margin_s=0)
    for number in range(3):
        assert place.decide(place.token(jti=f"t{number}")).accepted
    assert place.decide(place.token(jti="t0")).outcome != "accepted"
    decision = place.decide(place.token(jti="t3"))
    assert (decision.outcome, decision.reason) == ("undecided", Reason.REPLAY_FULL)
    place.clock.advance(306)
    assert place.decide(place.token(jti="t3")).accepted


@pytest.mark.parametrize(
    "wrong", [{"on_failure": "sometimes"}, {"clock_margin_s": -1.0}, {"clock_margin_s": float("nan")}]
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ReplayCheck(MemoryReplayStore(), **wrong)


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_different_parts_give_different_keys(one: list[str], other: list[str]) -> None:
    assert (claim_key(*one) == claim_key(*other)) == (one == other)
    assert len(claim_key(*one)) == 16


def test_a_zero_byte_in_a_jti_moves_nothing_between_parts() -> None:
    assert len({claim_key("a", "b\0c"), claim_key("a\0b", "c"), claim_key("a", "b", "c")}) == 3


def test_text_that_is_no_text_has_a_key() -> None:
    assert claim_key("\ud800") != claim_key("?")


def test_the_error_of_a_replay_shows_no_token() -> None:
    place = Place()
    token = place.token(jti="secret-id")
    place.decide(token)
    error = place.decide(token).error
    assert isinstance(error, RejectedError)
    assert "secret-id" not in f"{error!r}{error}{error.detail}"


def test_failing_open_does_not_accept_what_was_accepted_long_before_the_end_of_its_life() -> None:
    place = Place(on_failure="open")
    token = place.token(lifetime_s=300)
    assert place.decide(token).accepted
    place.clock.advance(280)
    place.store.reason = Reason.REPLAY_UNAVAILABLE
    assert place.decide(token).reason == Reason.REPLAY_SEEN_BEFORE
    assert place.decide(place.token(lifetime_s=20, jti="two")).accepted


def test_a_process_that_could_not_remember_a_token_lets_nothing_in_unasked_while_it_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay_check, "REMEMBERED_HERE", 1)
    place = Place(on_failure="open")
    tokens = [place.token(lifetime_s=life_s, jti=str(life_s)) for life_s in (50, 300)]
    assert all(place.decide(token).accepted for token in tokens)
    place.clock.advance(280)  # the first has ended, so there is room again
    place.store.reason = Reason.REPLAY_UNAVAILABLE
    assert place.decide(tokens[1]).reason == Reason.REPLAY_UNAVAILABLE
    place.clock.advance(30)
    assert place.decide(place.token(lifetime_s=20, jti="two")).accepted
