"""Whatever a form has in it, the answer is OAuth's, and no token is broader than its client and its subject token."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oauth_world import ACCESS_TOKEN, ASSERTION, EXCHANGE, FORM, TOKEN, World, basic_of

from sealwright.errors import RejectedError
from sealwright.services.key_service.oauth_form import parse_form

NAMES = (
    *("grant_type", "scope", "resource", "audience", "client_id", "client_secret", "client_assertion"),
    *("client_assertion_type", "subject_token", "subject_token_type", "actor_token", "actor_token_type"),
    "requested_token_type",
)
CODES = {
    *("invalid_request", "invalid_client", "invalid_scope", "invalid_target", "unauthorized_client"),
    "unsupported_grant_type",
}
KNOWN = ("client_credentials", EXCHANGE, ASSERTION, ACCESS_TOKEN, "front", "read", "orders", "a.b.c", "")
values = st.sampled_from(KNOWN) | st.text(max_size=20)
pairs = st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=8), values), max_size=8)
bodies = pairs.map(lambda found: urlencode(found, errors="surrogatepass").encode()) | st.binary(max_size=40)
SCOPES, AUDIENCES = ("read", "write", "admin", "audit"), ("orders", "stock", "ledger", "https://pay.example/")
some_scopes, some_audiences = st.sets(st.sampled_from(SCOPES)), st.sets(st.sampled_from(AUDIENCES))
SLOW = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60
)


@pytest.fixture(scope="module")
def world(oauth: World) -> World:
    oauth.secrets["front"] = oauth.client(
        "front",
        audiences=["orders", "stock", "https://pay.example/"],
        scopes=["read", "write"],
        grants=[EXCHANGE, "client_credentials"],
        subject_audiences=["front"],
    )
    return oauth


@given(body=bodies, content_type=st.sampled_from([FORM, f"{FORM};charset=utf-8", "text/plain"]), known=st.booleans())
@SLOW
def test_property_every_answer_is_one_of_oauth(world: World, body: bytes, content_type: str, known: bool) -> None:
    headers = [("content-type", content_type)]
    if known:
        headers.append(("authorization", basic_of("front", world.secrets["front"])))
    answer = world.send(TOKEN, body, headers)
    assert answer.headers["cache-control"] == "no-store"
    if answer.status != 200:
        assert answer.status in (400, 401)
        assert answer.json()["error"] in CODES
    assert known or answer.status != 200


@given(body=st.binary(max_size=60) | bodies)
@settings(deadline=None)
def test_property_a_form_is_read_as_everybody_reads_it_or_refused(body: bytes) -> None:
    try:
        form = parse_form(FORM, body, repeatable=("audience",))
    except RejectedError:
        return
    expected = parse_qsl(body.decode("ascii"), strict_parsing=True)
    for name, value in expected:
        assert value in form.every(name)
        if name != "audience":
            assert form.one(name) == value
    assert all(form.one(name) is None for name in set(NAMES) - {name for name, _ in expected})


@given(asked=some_scopes, held=some_scopes, audiences=some_audiences)
@SLOW
def test_property_nothing_is_broader_than_the_client_and_the_subject_token(
    world: World, asked: set[str], held: set[str], audiences: set[str]
) -> None:
    """The sets themselves decide: what is granted, and that what is refused had to be."""
    allowed_scopes, allowed_audiences = {"read", "write"}, {"orders", "stock", "https://pay.example/"}
    subject = world.issue("front", **({"scope": " ".join(sorted(held))} if held else {}))
    scope = [("scope", " ".join(sorted(asked)))] if asked else []
    aimed = [("audience", name) for name in sorted(audiences)]
    told = [("subject_token", subject), ("subject_token_type", ACCESS_TOKEN)]
    for grant, most in ((EXCHANGE, allowed_scopes & held), ("client_credentials", allowed_scopes)):
        fields = [("grant_type", grant), *scope, *aimed, *(told if grant == EXCHANGE else [])]
        answer = world.form(fields, basic=("front", world.secrets["front"]))
        if not audiences or not audiences <= allowed_audiences:
            assert answer.code == (400, "invalid_target")
        elif not asked <= most:
            assert answer.code == (400, "invalid_scope")
        else:
            claims = world.claims(answer)
            named = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
            assert set(named) == audiences
            assert set(claims.get("scope", "").split()) == (asked or most)
            assert set(answer.json().get("scope", "").split()) == (asked or most)
