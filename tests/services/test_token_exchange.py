"""Token exchange: a token becomes a narrower one that says who acts for whom, or nothing at all."""

from __future__ import annotations

import time
from typing import Any

import pytest
from oauth_world import ACCESS_TOKEN, EXCHANGE, World

from sealwright.keys.rehearsal import AUDIENCES
from sealwright.statements.revoked_keys import token_digest

JWT = "urn:ietf:params:oauth:token-type:jwt"


@pytest.fixture(scope="module")
def world(oauth: World) -> World:
    """front is shown tokens for "front" and asks stock and ledger in turn; stock does the same for ledger."""
    oauth.secrets["front"] = oauth.client(
        "front",
        audiences=["stock", "ledger"],
        scopes=["read", "write"],
        grants=[EXCHANGE, "client_credentials"],
        subject_audiences=["front"],
    )
    oauth.secrets["stock"] = oauth.client(
        "stock", audiences=["ledger"], scopes=["read"], grants=[EXCHANGE], subject_audiences=["stock"]
    )
    return oauth


def exchange(world: World, subject: str, name: str = "front", **fields: str) -> Any:
    audience = {"audience": "stock"} if name == "front" else {}
    return world.exchange(name, world.secrets[name], subject, **audience | fields)


def test_scope_audience_and_actor_are_narrowed_to_those_of_the_request(world: World) -> None:
    subject = world.issue(scope="read write admin", groups=["staff"])
    answer = exchange(world, subject, scope="read", subject_token_type=JWT)
    claims = world.claims(answer)
    told = {n: claims[n] for n in ("sub", "client_id", "aud", "scope", "act")}
    assert told == {"sub": "alice", "client_id": "front", "aud": "stock", "scope": "read", "act": {"sub": "front"}}
    assert "groups" not in claims
    assert answer.json()["issued_token_type"] == ACCESS_TOKEN
    assert answer.json()["token_type"] == "Bearer"


def test_without_a_scope_it_is_what_both_have(world: World) -> None:
    assert world.claims(exchange(world, world.issue(scope="write admin")))["scope"] == "write"
    assert "scope" not in world.claims(exchange(world, world.issue(scope="admin")))
    assert "scope" not in exchange(world, world.issue()).json()


@pytest.mark.parametrize("scope", ["admin", "write admin", "read write"])
def test_a_scope_that_the_subject_token_or_the_client_lacks_is_refused(world: World, scope: str) -> None:
    subject = world.issue(scope="read admin")
    assert exchange(world, subject, scope=scope).code == (400, "invalid_scope")


def test_an_audience_of_others_is_refused_and_one_of_several_is_named(world: World) -> None:
    subject = world.issue()
    assert exchange(world, subject, audience="payments").code == (400, "invalid_target")
    assert exchange(world, subject, audience="").code == (400, "invalid_target")


def test_it_never_outlives_the_subject_token(world: World) -> None:
    issued = world.operations.issue_token("default", claims={"sub": "alice"}, audience="front", lifetime_s=30)["token"]
    assert exchange(world, issued).json()["expires_in"] <= 30
    short = world.operations.issue_token("default", claims={"sub": "alice"}, audience="front", lifetime_s=1)["token"]
    time.sleep(1)  # within the leeway it is good, and there is nothing left of it
    assert exchange(world, short).code == (400, "invalid_request")


def test_each_actor_is_nested_around_those_before(world: World) -> None:
    first = exchange(world, world.issue(scope="read")).json()["access_token"]
    claims = world.claims(exchange(world, first, "stock"))
    assert (claims["sub"], claims["aud"]) == ("alice", "ledger")
    assert claims["act"] == {"sub": "stock", "act": {"sub": "front"}}
    told = world.form(
        {"token": world.exchange("stock", world.secrets["stock"], first).json()["access_token"]},
        basic=("stock", world.secrets["stock"]),
        path="/issuers/default/introspect",
    ).json()
    assert told["act"] == claims["act"]


def test_actors_that_go_in_circles_come_to_an_end(world: World) -> None:
    token, rounds = world.issue(), 0
    while (answer := exchange(world, token)).status == 200:
        token, rounds = answer.json()["access_token"], rounds + 1
        assert rounds < 10
    assert (rounds, answer.code) == (4, (400, "invalid_request"))
    assert answer.json()["reason"] == "claims.actor"


def test_an_actor_token_says_who_acts_for_the_subject(world: World) -> None:
    actor = world.issue(sub="bob", client_id="desk")
    fields = {"actor_token": actor, "actor_token_type": ACCESS_TOKEN}
    claims = world.claims(exchange(world, world.issue(), **fields))
    assert (claims["sub"], claims["act"], claims["client_id"]) == ("alice", {"sub": "bob"}, "front")


def test_an_actor_token_is_as_good_as_the_subject_token(world: World) -> None:
    acting = exchange(world, world.issue(sub="bob")).json()["access_token"]
    elsewhere = world.issue("payments", sub="bob")
    for actor in (acting, elsewhere, "a.b.c", world.issue(sub="bob") + "x"):
        answer = exchange(world, world.issue(), actor_token=actor, actor_token_type=ACCESS_TOKEN)
        assert answer.code == (400, "invalid_request")
    short = world.operations.issue_token("default", claims={"sub": "bob"}, audience="front", lifetime_s=9)["token"]
    answer = exchange(world, world.issue(), actor_token=short, actor_token_type=JWT)
    assert answer.json()["expires_in"] <= 9


@pytest.mark.parametrize(
    ("may_act", "allowed"),
    [
        ({"sub": "front"}, True),
        ({"sub": "front", "client_id": "front"}, True),
        ({"sub": "front", "iss": "self"}, True),
        ({"sub": "stock"}, False),
        ({"sub": "front", "iss": "https://other.example"}, False),
        ({"sub": "front", "email": "front@example"}, False),
        ({"iss": "self"}, False),
        ({}, False),
        (["front"], False),
        ("front", False),
        (None, False),
        ({"sub": ["front"]}, False),
    ],
)
def test_may_act_is_respected_and_stays(world: World, may_act: Any, allowed: bool) -> None:
    if isinstance(may_act, dict) and may_act.get("iss") == "self":
        may_act = {**may_act, "iss": world.issuer}
    answer = exchange(world, world.issue(may_act=may_act))
    if allowed:
        assert world.claims(answer)["may_act"] == may_act
    else:
        assert (answer.code, answer.json()["reason"]) == ((400, "invalid_request"), "claims.actor")


def test_may_act_is_about_the_actor_and_not_about_the_client(world: World) -> None:
    subject = world.issue(may_act={"sub": "bob"})
    assert exchange(world, subject).status == 400
    fields = {"actor_token": world.issue(sub="bob"), "actor_token_type": JWT}
    assert world.claims(exchange(world, subject, **fields))["act"] == {"sub": "bob"}


def test_a_token_that_is_not_the_clients_business_is_refused(world: World) -> None:
    for subject in (world.issue("payments"), world.issue(AUDIENCES + "x", client_id="front")):
        answer = exchange(world, subject)
        assert (answer.code, answer.json()["reason"]) == ((400, "invalid_request"), "grant.subject")
    own = world.fetch("front", world.secrets["front"], audience="stock").json()["access_token"]
    assert world.claims(exchange(world, own))["act"] == {"sub": "front"}


def test_revoked_bound_foreign_and_broken_tokens_are_refused(world: World) -> None:
    revoked = world.issue()
    world.operations.tokens.change("revoke", "default", reason="stolen", token=revoked)
    bound = world.issue(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})
    world.operations.create("elsewhere", algorithm="ES256", reason="test")
    foreign = world.operations.issue_token("elsewhere", claims={"sub": "alice"}, audience="front")["token"]
    payload = world.operations.sign_payload("default", payload=b'{"sub":"alice"}', typ="order+jws")["token"]
    reasons = {
        revoked: "token.revoked",
        bound: "binding.unsupported",
        foreign: "issuer.unknown",
        payload: "issuer.missing",
        world.issue()[:-8] + "AAAAAAAA": "signature.invalid",
        "x" * 70_000: "token.too_large",
        "not a token": "token.malformed",
    }
    for subject, reason in reasons.items():
        answer = exchange(world, subject)
        assert (answer.code, answer.json()["reason"]) == ((400, "invalid_request"), reason)


@pytest.mark.parametrize(
    "fields",
    [
        {"subject_token_type": ""},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"},
        {"subject_token": ""},
        {"actor_token_type": ACCESS_TOKEN},
        {"actor_token": "a.b.c"},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
    ],
)
def test_fields_that_make_no_exchange_are_refused(world: World, fields: dict[str, str]) -> None:
    assert exchange(world, world.issue(), **fields).code == (400, "invalid_request")


def test_the_audit_says_who_exchanged_whose_token_and_has_no_token(world: World) -> None:
    subject, actor = world.issue(jti="subject-1"), world.issue(sub="bob", jti="actor-1")
    answer = exchange(world, subject, actor_token=actor, actor_token_type=JWT)
    assert answer.status == 200
    entry = world.audit("token.signed")[-1]
    (signature,) = entry.facts["signatures"]
    assert entry.actor == signature["actor"] == "client:front"
    assert signature["exchanged"] == token_digest("subject-1")
    assert signature["actor_token"] == token_digest("actor-1")
    assert len(signature["subject_sha256"]) == 64
    for text in (subject, actor, "alice", answer.json()["access_token"]):
        assert text not in repr(entry)
