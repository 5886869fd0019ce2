"""Which signatures must hold: every policy against a model that was written from its description."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.jose import base64url

CONTENT = b"approved"
# Who stands behind each kid: "alias" is a second kid of the first key.
PERSON = {"first": "A", "alias": "A", "second": "B", "quantum": "Q"}
POST_QUANTUM = {"quantum"}
ROLES = {"reviewers": {"alias", "second"}, "machines": {"quantum"}}
SIGNERS = [names for length in range(4) for names in itertools.combinations([*PERSON, *ROLES], length)]
POLICIES = list(itertools.product([1, 2, 3], [False, True], SIGNERS, [False, True]))


class World:
    """One good and one bad signature under each kid, and one by a stranger."""

    def __init__(self) -> None:
        first, second = (sw.PrivateJWK.generate("ES256", key_id=name) for name in ("first", "second"))
        alias = sw.PrivateJWK.from_dict({**first.export_private_dict(), "kid": "alias"})
        quantum = sw.PrivateJWK.generate("ML-DSA-44", key_id="quantum")
        signers = [first, alias, second, quantum]
        self.keys = sw.JWKSet([key.public for key in signers])
        form = json.loads(sw.sign_general(CONTENT, [*signers, sw.PrivateJWK.generate("Ed25519", key_id="stranger")]))
        self.payload = form["payload"]
        self.good = dict(zip([*PERSON, "stranger"], form["signatures"], strict=True))
        self.bad = {
            name: {**one, "signature": base64url.encode_text(bytes(2420 if name == "quantum" else 64))}
            for name, one in self.good.items()
        }

    def text(self, entries: Any) -> str:
        signatures = [(self.good if good else self.bad)[name] for name, good in entries]
        return json.dumps({"payload": self.payload, "signatures": signatures})

    def policy(self, at_least: int, every: bool, signers: Any, hybrid: bool) -> sw.SignaturePolicy:
        named = [sw.JWKSet([self.keys.find(kid) for kid in ROLES[name]]) if name in ROLES else name for name in signers]
        return sw.SignaturePolicy(at_least=at_least, every=every, signers=named, hybrid=hybrid)

    def decide(self, entries: Any, policy: sw.SignaturePolicy = sw.ANY_SIGNATURE) -> sw.SignatureReport:
        return sw.decide_signatures(self.text(entries), self.keys, policy=policy)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def what_is_wrong(entries: Any, at_least: int, every: bool, signers: Any, hybrid: bool) -> set[str]:
    """The model: every reason for which these signatures may be refused."""
    kids = {name for name, good in entries if good and name in PERSON}
    named = [name for name in signers if name in PERSON]
    failed = [name for name, good in entries if not good or name not in PERSON]
    if failed and (every or len(entries) == 1):
        return {"key.not_found" if name == "stranger" else "signature.invalid" for name in failed}
    wrong = set()
    if len({PERSON[kid] for kid in kids}) < at_least:
        wrong.add("signatures.too_few")
    if any(name not in kids for name in named) or len({PERSON[name] for name in named}) < len(named):
        wrong.add("signatures.signer_missing")
    if any(not ROLES[name] & kids for name in signers if name in ROLES):
        wrong.add("signatures.signer_missing")
    if hybrid and not (kids & POST_QUANTUM and kids - POST_QUANTUM):
        wrong.add("signatures.signer_missing")
    return wrong


def refusal(policy: sw.SignaturePolicy, results: Any) -> str | None:
    try:
        policy.check(results)
    except sw.RejectedError as error:
        return str(error.reason)
    return None


ENTRIES = st.lists(st.tuples(st.sampled_from([*PERSON, "stranger"]), st.booleans()), min_size=1, max_size=6)


def test_every_policy_agrees_with_the_model_on_every_mix_of_signatures(world: World) -> None:
    made = [(case, world.policy(*case)) for case in POLICIES]
    for states in itertools.product([None, True, False], [None, True, False], [None, True, False], [None, True, False]):
        present = [(name, good) for name, good in zip(PERSON, states, strict=True) if good is not None]
        for entries in ([*present, ("stranger", True)], present):
            if not entries:
                continue
            results = world.decide(entries).results
            for case, policy in made:
                assert refusal(policy, results) in (what_is_wrong(entries, *case) or {None}), (entries, case)


@given(entries=ENTRIES, case=st.sampled_from(POLICIES))
def test_deciding_agrees_with_the_model_and_hands_out_content_only_then(world: World, entries: Any, case: Any) -> None:
    report = world.decide(entries, world.policy(*case))
    wrong = what_is_wrong(entries, *case)
    assert report.satisfied is (not wrong)
    assert report.reason in wrong or not wrong
    assert report.payload == (None if wrong else CONTENT)


@given(entries=ENTRIES, case=st.sampled_from(POLICIES), data=st.data())
def test_the_order_of_signatures_changes_nothing(world: World, entries: Any, case: Any, data: Any) -> None:
    policy = world.policy(*case)
    shuffled = data.draw(st.permutations(entries))
    one, other = world.decide(entries, policy), world.decide(shuffled, policy)
    assert one.satisfied == other.satisfied
    if not policy.every:  # where every signature decides, the reason is that of the first that fails
        assert one.reason == other.reason
    verdicts = [
        sorted((str(result.key_id), str(result.algorithm), result.verified) for result in report.results)
        for report in (one, other)
    ]
    assert verdicts[0] == verdicts[1]
    assert sum(result.counted for result in one.results) == sum(result.counted for result in other.results)


@given(entries=ENTRIES)
def test_a_signer_counts_once_and_each_result_says_who_it_was(world: World, entries: Any) -> None:
    report = world.decide(entries)
    people = [PERSON[name] for name, good in entries if good and name in PERSON]
    assert sum(result.counted for result in report.results) == len(set(people))
    for (name, good), result in zip(entries, report.results, strict=True):
        assert result.key_id == name
        assert result.verified is (good and name in PERSON)
        if not result.verified:
            assert result.reason == ("key.not_found" if name == "stranger" else "signature.invalid")
        elif not result.counted:
            assert result.reason == "signatures.same_signer"


def test_one_key_does_not_sign_for_two_names_and_does_for_each_of_them(world: World) -> None:
    for entries in itertools.permutations([("first", True), ("alias", True)]):
        for signers, reason in [
            (["first"], None),
            (["alias"], None),
            (["first", "first"], None),
            (["first", "alias"], "signatures.signer_missing"),
        ]:
            assert world.decide(entries, sw.SignaturePolicy(signers=signers)).reason == reason


def test_only_a_named_signer_a_number_or_a_pair_notices_that_a_signature_was_stripped(world: World) -> None:
    whole = [("first", True), ("quantum", True)]
    for kept in whole:
        assert world.decide([kept], sw.EVERY_SIGNATURE).satisfied
        for asked in ({"signers": ["first", "quantum"]}, {"at_least": 2}, {"hybrid": True}):
            policy = sw.SignaturePolicy(**asked)
            assert world.decide(whole, policy).satisfied
            expected = "signatures.too_few" if "at_least" in asked else "signatures.signer_missing"
            assert world.decide([kept], policy).reason == expected
