"""The decision cache: the same decision as without it, always; a lookup; bounded; and claims that nobody can change."""

from __future__ import annotations

import asyncio
import copy
import json
import multiprocessing
import pickle
import threading
import tracemalloc
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.errors import Reason
from sealwright.jose import base64url, header, strict_json
from sealwright.trust.admission import Admission
from sealwright.trust.binding import Binding
from sealwright.trust.decision_cache import DecisionCache
from sealwright.trust.evidence import Evidence
from sealwright.trust.identity import IdentityMap
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.pipeline import Pipeline
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.replay_check import ReplayCheck
from sealwright.trust.routes import RouteRule, Routes
from sealwright.trust.stores.memory import MemoryReplayStore
from sealwright.trust.token_check import ANY_BINDING, Proven

ISSUERS = ("plain", "aged", "routed", "counted", "bound", "asked")
KINDS = ("ES256", "Ed25519")
SIGNING = {name: [sw.PrivateJWK.generate(kind, key_id=f"{name}-{kind}") for kind in KINDS] for name in ISSUERS}
IMPOSTORS = {
    key.key_id: sw.PrivateJWK.generate("ES256", key_id=key.key_id) for keys in SIGNING.values() for key in keys
}
NONE = frozenset[str]()
MEBIBYTE = 1 << 20


class Shelf:
    """A key source that the test fills and empties."""

    def __init__(self, keys: list[sw.PublicJWK]) -> None:
        self.keys: sw.JWKSet | None = sw.JWKSet(keys)

    def find(self, key_id: str | None) -> Any:
        if self.keys is None:
            raise sw.UnavailableError(Reason.SOURCE_UNAVAILABLE, "no keys")
        return self.keys.find(key_id)

    async def afind(self, key_id: str | None) -> Any:
        return self.find(key_id)

    def close(self) -> None:
        pass


class Prompt(Shelf):
    """One that says at once what it knows."""

    def known(self, key_id: str | None) -> Any:
        return None if self.keys is None else self.keys.find(key_id)


class Slow(Shelf):
    """One that always has to be waited for."""

    def known(self, _: str | None) -> Any:
        return None


class Withdrawn:
    """What is revoked, or too old to tell."""

    def __init__(self) -> None:
        self.keys: set[tuple[str, str]] = set()
        self.tokens: set[tuple[str, str]] = set()
        self.stale: set[str] = set()

    def key_revoked(self, issuer: str, key_id: str) -> bool:
        return (issuer, key_id) in self.keys or self._current(issuer)

    def token_revoked(self, issuer: str, token_id: str) -> bool:
        return (issuer, token_id) in self.tokens or self._current(issuer)

    def _current(self, issuer: str) -> bool:
        if issuer in self.stale:
            raise sw.UnavailableError(Reason.REVOCATION_STALE, "too old")
        return False


class Status:
    """A check that asks about the subject, and counts nothing."""

    name, expects, reads_only = "status", "nobody who is suspended", True

    def __init__(self) -> None:
        self.suspended: set[str] = set()

    def check(self, seen: Proven, _: float) -> None:
        if seen.claims.get("sub") in self.suspended:
            raise sw.RejectedError(Reason.TOKEN_INACTIVE, "suspended")

    async def acheck(self, seen: Proven, now: float) -> None:
        self.check(seen, now)


class World:
    """One verifier with a cache and one without, over the same keys, revocations and clock."""

    def __init__(self, cache_bytes: int = MEBIBYTE, shelf: type[Shelf] = Prompt) -> None:
        self.clock, self.withdrawn, self.status = ManualClock(), Withdrawn(), Status()
        self.shelves = {name: shelf([key.public for key in keys]) for name, keys in SIGNING.items()}
        self.plain, self.cached = self._verifier(0), self._verifier(cache_bytes)

    def _verifier(self, cache_bytes: int) -> sw.Verifier:
        store = MemoryReplayStore(clock=self.clock)
        opened = Routes([RouteRule.parse("/open/**"), RouteRule.parse("/closed/**", scopes=["write"])])
        checks: dict[str, Any] = {
            "routed": (Admission(IdentityMap(), opened),),
            "counted": (ReplayCheck(store, clock=self.clock),),
            "asked": (self.status,),
        }
        rules: dict[str, Any] = {"aged": {"maximum_age_s": 100.0, "maximum_lifetime_s": 5000.0}}
        issuers = [
            TrustedIssuer(
                VerificationPolicy(issuer=name, audience="orders", leeway_s=30.0, **rules.get(name, {})),
                self.shelves[name],
                *((Binding(one_of_required=NONE),) if name == "bound" else ()),
                checks=checks.get(name, ()),
            )
            for name in ISSUERS
        ]
        return sw.Verifier(issuers=issuers, revocation=self.withdrawn, clock=self.clock, cache_bytes=cache_bytes)

    def token(self, issuer: str, key: sw.PrivateJWK, **more: Any) -> str:
        now = int(self.clock.now())
        claims = {"iss": issuer, "aud": "orders", "iat": now, "exp": now + 200, "sub": "alice", "scope": "read", **more}
        return sw.sign(strict_json.encode_object(claims), key)


def told(decision: Any) -> tuple[Any, ...]:
    seen = decision.verified
    return decision.outcome, decision.reason, seen and (*seen[:3], json.dumps(seen.claims, sort_keys=True))


MORE = st.fixed_dictionaries(
    {},
    optional={
        "exp": st.integers(1, 400),
        "nbf": st.integers(-100, 60),
        "iat": st.integers(-120, 30),
        "sub": st.sampled_from(["alice", "bob"]),
        "scope": st.sampled_from(["read", "read write", ""]),
        "cnf": st.just({"jkt": "x" * 43}),
        "aud": st.sampled_from(["orders", "others", ["others", "orders"]]),
        "deep": st.just({"a": [1, {"b": "c"}]}),
    },
)
CHANGES = st.sampled_from(["gone", "back", "other", "new", "lost"])
WAYS = st.sampled_from(["decide", "adecide", "verify", "bytes", "explain"])
PATHS = st.sampled_from([None, "/open/1", "/closed/1", "/elsewhere", "/open/../closed"])


class Cached(RuleBasedStateMachine):
    """Whatever happens to keys, revocations, clocks and tokens: both verifiers say the same of every presentation."""

    @initialize(
        issuer=st.sampled_from(ISSUERS),
        cache_bytes=st.sampled_from([MEBIBYTE, 64 * 1024]),
        shelf=st.sampled_from([Shelf, Prompt, Prompt, Slow]),
    )
    def begin(self, issuer: str, cache_bytes: int, shelf: type[Shelf]) -> None:
        self.world, self.issuer, self.tokens = World(cache_bytes, shelf), issuer, list[str]()
        self.way, self.asked = "decide", dict[str, Any]()

    @rule(which=st.integers(0, 1), forged=st.integers(0, 4), more=st.just({}) | MORE)
    def issue(self, which: int, forged: int, more: dict[str, Any]) -> None:
        key, now = SIGNING[self.issuer][which], int(self.world.clock.now())
        times = {name: now + more[name] for name in ("exp", "nbf", "iat") if name in more}
        signer = IMPOSTORS[key.key_id] if forged == 4 else key
        token = self.world.token(self.issuer, signer, jti=f"t{len(self.tokens) % 4}", **{**more, **times})
        self.tokens.append(token)

    @rule(way=WAYS, scopes=st.sampled_from([NONE, NONE, frozenset({"read"}), frozenset({"write"})]), path=PATHS)
    def present_otherwise(self, way: str, scopes: frozenset[str], path: str | None) -> None:
        evidence = Evidence(method=None if path is None else "GET", path=path)
        self.way, self.asked = way, {"scopes": scopes, "evidence": evidence}

    @invariant()
    def both_say_the_same(self) -> None:
        for token in self.tokens[-6:]:
            assert self._said(self.world.cached, token) == self._said(self.world.plain, token)

    def _said(self, verifier: sw.Verifier, token: str) -> Any:
        if self.way == "adecide":
            return told(asyncio.run(verifier.adecide(token, **self.asked)))
        if self.way == "verify":
            try:
                return dict(verifier.verify(token, **self.asked).claims)
            except sw.SealwrightError as error:
                return type(error), error.reason
        given = token.encode() if self.way == "bytes" else token
        return told(verifier.decide(given, explain=self.way == "explain", **self.asked))

    @rule(which=st.integers(0, 1), what=CHANGES)
    def change_keys(self, which: int, what: str) -> None:
        keys = [key.public for key in SIGNING[self.issuer]]
        if what == "gone":
            del keys[which]
        elif what == "other":
            keys[which] = IMPOSTORS[SIGNING[self.issuer][which].key_id].public
        elif what == "new":  # fetched again: equal keys, other objects
            keys = [sw.PublicJWK.from_dict(key.to_dict()) for key in keys]
        self.world.shelves[self.issuer].keys = None if what == "lost" else sw.JWKSet(keys)

    @rule(which=st.integers(0, 1))
    def revoke_key(self, which: int) -> None:
        self.world.withdrawn.keys.add((self.issuer, SIGNING[self.issuer][which].key_id))

    @rule(number=st.integers(0, 3))
    def revoke_token(self, number: int) -> None:
        self.world.withdrawn.tokens.add((self.issuer, f"t{number}"))

    @rule(stale=st.booleans())
    def feed(self, stale: bool) -> None:
        (self.world.withdrawn.stale.add if stale else self.world.withdrawn.stale.discard)(self.issuer)

    @rule(name=st.sampled_from(["alice", "bob"]), suspended=st.booleans())
    def suspend(self, name: str, suspended: bool) -> None:
        (self.world.status.suspended.add if suspended else self.world.status.suspended.discard)(name)

    @rule(seconds=st.floats(0, 120))
    def wait(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule(seconds=st.integers(-120, 120))
    def set_the_clock(self, seconds: int) -> None:
        self.world.clock.jump(seconds)


Cached.TestCase.settings = settings(max_examples=settings().max_examples, stateful_step_count=25, deadline=None)
TestCached = Cached.TestCase


@pytest.fixture
def world() -> World:
    return World()


def ordinary(world: World, issuer: str = "plain", **more: Any) -> str:
    return world.token(issuer, SIGNING[issuer][0], jti="t1", **more)


def hits(world: World) -> int:
    assert world.cached.cached is not None
    return world.cached.cached.hits


@pytest.mark.parametrize(("issuer", "is_remembered"), [(name, name not in ("counted", "bound")) for name in ISSUERS])
def test_a_token_is_remembered_unless_it_counts_once_or_may_be_bound(issuer: str, is_remembered: bool) -> None:
    world = World()
    token = ordinary(world, issuer)
    for _ in range(3):
        world.cached.decide(token)
    assert world.cached.cached is not None
    assert (hits(world), world.cached.cached.entries) == ((2, 1) if is_remembered else (0, 0))


REFUSED = SIGNING["plain"][0].key_id
OTHERWISE: dict[str, Any] = {
    "its key is gone": lambda world: world.shelves["plain"].__init__([SIGNING["plain"][1].public]),
    "another key has its kid": lambda world: world.shelves["plain"].__init__([IMPOSTORS[REFUSED].public]),
    "the keys cannot be had": lambda world: setattr(world.shelves["plain"], "keys", None),
    "its key is revoked": lambda world: world.withdrawn.keys.add(("plain", REFUSED)),
    "it is revoked itself": lambda world: world.withdrawn.tokens.add(("plain", "t1")),
    "the feed is too old": lambda world: world.withdrawn.stale.add("plain"),
    "it has ended": lambda world: world.clock.advance(230),
    "the clock goes back": lambda world: world.clock.jump(-31),
}


@pytest.mark.parametrize("what", OTHERWISE)
@pytest.mark.parametrize("wait", [False, True])
def test_what_changes_counts_at_the_next_presentation(world: World, what: str, wait: bool) -> None:
    token = ordinary(world)
    verifiers = world.cached, world.plain
    assert all(one.decide(token).accepted for one in verifiers for _ in range(2))
    OTHERWISE[what](world)
    decide = (lambda one: asyncio.run(one.adecide(token))) if wait else (lambda one: one.decide(token))
    cached, plain = map(decide, verifiers)
    assert not plain.accepted
    assert told(cached) == told(plain) == told(decide(world.cached))


@pytest.mark.parametrize("wait", [False, True])
def test_checks_are_asked_about_each_presentation(world: World, wait: bool) -> None:
    def outcome(token: str, **given: Any) -> Any:
        if wait:
            return asyncio.run(world.cached.adecide(token, **given)).reason
        return world.cached.decide(token, **given).reason

    asked, routed = ordinary(world, "asked"), ordinary(world, "routed")
    assert [outcome(asked), outcome(asked)] == [None, None]
    world.status.suspended.add("alice")
    assert outcome(asked) == Reason.TOKEN_INACTIVE
    paths = ("/open/1", "/closed/1", "/open/2", "/closed/1", "/elsewhere", "/open/1")
    at = [outcome(routed, evidence=Evidence(method="GET", path=path)) for path in paths]
    assert at == [None, Reason.CLAIMS_SCOPE, None, Reason.CLAIMS_SCOPE, Reason.ROUTE_DENIED, None]
    assert outcome(routed, scopes=frozenset({"write"})) == Reason.CLAIMS_SCOPE
    assert hits(world) >= 2


@pytest.mark.parametrize("shelf", [Shelf, Prompt, Slow])
def test_whatever_a_source_knows_at_once_every_way_says_the_same(shelf: type[Shelf]) -> None:
    world = World(shelf=shelf)
    token, forged = ordinary(world), world.token("plain", IMPOSTORS[REFUSED])
    for one in (world.cached, world.plain):
        assert [asyncio.run(one.adecide(token)).outcome for _ in range(3)] == ["accepted"] * 3
        assert asyncio.run(one.adecide(forged)).reason == Reason.SIGNATURE_INVALID
    assert hits(world) == 2


def test_the_event_of_a_remembered_token_names_its_own_key_and_time() -> None:
    class Ticking(ManualClock):
        def monotonic(self) -> float:
            self.advance(0.25)
            return super().monotonic()

    class Seen:
        def observe(self, event: Any) -> None:
            seen.append((event.issuer, event.algorithm, event.key_id, event.outcome, event.duration_s))

    seen: list[Any] = []
    world, keys = World(), [sw.PrivateJWK.generate("ES256", key_id=name) for name in ("one", "two")]
    policy = VerificationPolicy(issuer="plain", audience="orders")
    issuer = TrustedIssuer(policy, Prompt([key.public for key in keys]))
    verifier = sw.Verifier(issuers=[issuer], cache_bytes=MEBIBYTE, clock=Ticking(), observer=Seen())
    for token in [world.token("plain", key) for key in keys] * 4:
        assert verifier.decide(token).accepted
    assert {event[:4] for event in seen[::2]} == {("plain", "ES256", "one", "accepted")}
    assert {event[:4] for event in seen[1::2]} == {("plain", "ES256", "two", "accepted")}
    assert [event[4] for event in seen[4:]] == [0.25] * 4


@pytest.mark.parametrize("second", [-2, -1, 0, 1])
def test_no_moment_of_its_times_differs(world: World, second: int) -> None:
    """Around each limit of nbf, iat, exp and age, in quarters of a second."""
    began = int(world.clock.now())
    aged = ordinary(world, "aged", nbf=began), ordinary(world, "aged", exp=began + 90)
    tokens = (*aged, ordinary(world, nbf=began + 20))
    limits = began - 30, began, began + 20, began + 90 + 30, began + 100 + 30, began + 200 + 30
    for token in tokens:
        world.cached.decide(token)
    for limit in limits:
        world.clock.jump(limit + second - world.clock.now())
        for _ in range(4):
            world.clock.jump(0.25)
            for token in tokens:
                assert told(world.cached.decide(token)) == told(world.plain.decide(token))


def test_neither_a_bound_token_nor_a_refused_one_is_remembered(world: World) -> None:
    for token in (ordinary(world, cnf={"jkt": "x" * 43}), ordinary(world, exp=1), "a.b.c", "", ordinary(world)[:-1]):
        assert [world.cached.decide(token).outcome for _ in range(2)] == ["rejected"] * 2
    assert world.cached.cached is not None
    assert (world.cached.cached.entries, hits(world)) == (0, 0)


def test_whoever_leaves_bindings_to_others_does_not_remember_bound_tokens() -> None:
    policy, key = VerificationPolicy(issuer="plain", audience="orders"), SIGNING["plain"][0]
    issuer = TrustedIssuer(policy, Shelf([key.public]), ANY_BINDING)
    world, verifier = World(), sw.Verifier(issuers=[issuer], cache_bytes=MEBIBYTE, clock=ManualClock())
    assert all(verifier.decide(ordinary(world, cnf={"jkt": "x" * 43})).accepted for _ in range(2))
    assert verifier.cached is not None
    assert verifier.cached.entries == 0


def test_no_token_that_differs_by_one_character_is_a_hit(world: World) -> None:
    token = ordinary(world)
    assert world.cached.decide(token).accepted
    assert world.cached.decide(token.encode()).accepted
    for at in range(0, len(token), 7):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert not world.cached.decide(changed).accepted
    assert hits(world) == 0


def test_the_very_same_decision_is_handed_out_and_nobody_can_change_its_claims(world: World) -> None:
    token = ordinary(world, roles=["reader"], inner={"list": [1]})
    first, second, third = (world.cached.decide(token) for _ in range(3))
    assert first == second is third
    for seen in (first, second):
        check_frozen(seen.verified.claims)  # type: ignore[union-attr]
    assert world.cached.decide(token).verified.claims["roles"] == ["reader"]  # type: ignore[union-attr]


def check_frozen(claims: Any) -> None:
    for change in (
        lambda: claims.update(sub="eve"),
        lambda: claims.pop("sub"),
        lambda: claims["roles"].append("admin"),
        lambda: claims["inner"]["list"].extend([2]),
        lambda: claims["inner"].__setitem__("x", 1),
        claims["inner"]["list"].sort,
    ):
        with pytest.raises(TypeError, match="copy them first"):
            change()
    mine = copy.deepcopy(claims)
    mine["roles"].append("admin")
    assert pickle.loads(pickle.dumps(claims)) == claims == json.loads(json.dumps(claims))


def test_it_stays_within_its_bytes() -> None:
    """By what the interpreter says, not by its own account."""
    world = World(256 * 1024)
    tokens = [ordinary(world, filler=[number] * 20, name=f"n{number}" * 10) for number in range(600)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for token in tokens:
        world.cached.decide(token.encode().decode())
    grown, figures = tracemalloc.get_traced_memory()[0] - before, world.cached.cached
    tracemalloc.stop()
    assert figures is not None
    assert 20 < figures.entries < 300
    assert figures.size_bytes <= 256 * 1024
    assert grown <= 256 * 1024


def test_what_is_asked_for_again_stays() -> None:
    world = World(64 * 1024)
    often = ordinary(world, sub="often")
    world.cached.decide(often)
    for number in range(200):
        world.cached.decide(ordinary(world, sub=f"once-{number}"))
        world.cached.decide(often)
    assert hits(world) == 200


def test_less_than_64_kib_is_refused() -> None:
    with pytest.raises(sw.ConfigurationError):
        World(1000)


def test_threads_share_it(world: World) -> None:
    tokens, wrong = [ordinary(world, sub=str(number)) for number in range(20)], []

    def ask(seed: int) -> None:
        for number in range(400):
            at = (number * 7 + seed) % len(tokens)
            decision = world.cached.decide(tokens[at])
            if decision.verified is None or decision.verified.subject != str(at):
                wrong.append(at)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_fork_while_somebody_writes_does_not_lock_the_child_out(world: World) -> None:
    cache = DecisionCache(Pipeline(world.cached._pipeline.issuers, None, world.clock), MEBIBYTE)
    world.cached._cache = cache
    token = ordinary(world)
    with cache._lock():
        child = multiprocessing.get_context("fork").Process(target=_decide_twice, args=(world, token))
        child.start()
    child.join(10)
    child.kill()
    assert child.exitcode == 0


def _decide_twice(world: World, token: str) -> None:
    assert [world.cached.decide(token).accepted for _ in range(2)] == [True, True]
    assert hits(world) == 1


@pytest.mark.parametrize("remembered", [0, MEBIBYTE])
def test_a_token_that_names_no_key_is_refused_once_its_key_is_revoked(remembered: int) -> None:
    key, withdrawn, clock = SIGNING["plain"][0], Withdrawn(), ManualClock()
    claims = {"iss": "plain", "aud": "orders", "exp": int(clock.now()) + 600}
    signed = b".".join(
        [header.encode("ES256", None, None), base64url.encode_text(json.dumps(claims).encode()).encode()]
    )
    token = b".".join([signed, base64url.encode_text(key.sign(signed)).encode()]).decode()
    verifier = sw.Verifier(
        issuer="plain", audience="orders", keys=key.public, revocation=withdrawn, clock=clock, cache_bytes=remembered
    )
    assert [verifier.decide(token).accepted for _ in range(3)] == [True] * 3
    withdrawn.keys.add(("plain", str(key.public.key_id)))
    assert verifier.decide(token).reason == Reason.KEY_REVOKED
    assert asyncio.run(verifier.adecide(token)).reason == Reason.KEY_REVOKED


class _Unprepared:
    """An observer whose preparations fail, and which sees every decision even so."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def observe(self, event: Any) -> None:
        self.seen.append(event.outcome)

    def prepared(self, _: Any) -> Any:
        raise RuntimeError("not ready")


@pytest.mark.parametrize("cache_bytes", [0, MEBIBYTE])
def test_an_observer_that_cannot_prepare_changes_no_decision(world: World, cache_bytes: int) -> None:
    key, observer = SIGNING["plain"][0], _Unprepared()
    verifier = sw.Verifier(
        issuer="plain",
        audience="orders",
        keys=key.public,
        clock=world.clock,
        cache_bytes=cache_bytes,
        observer=observer,
    )
    token = ordinary(world)
    outcomes = [verifier.decide(token).outcome for _ in range(3)]
    outcomes += [asyncio.run(verifier.adecide(token)).outcome for _ in range(2)]
    assert outcomes == observer.seen == ["accepted"] * 5
