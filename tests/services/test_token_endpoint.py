"""The token endpoint: who gets which token, what anybody else is told, and that nobody learns more than that."""

from __future__ import annotations

import hmac
import json
import time
from pathlib import Path
from typing import Any

import pytest
from oauth_world import ASSERTION, EXCHANGE, FORM, TOKEN, Pairs, World, basic_of

import sealwright as sw
from sealwright.jose import base64url
from sealwright.services.key_service import client_authentication
from sealwright.settings import ServiceSettings
from sealwright.wiring.data_folder import OwnedFolder
from sealwright.wiring.starting import open_single_process

KEY = sw.PrivateJWK.generate("ES256")


@pytest.fixture(scope="module")
def world(oauth: World) -> World:
    oauth.secrets["batch"] = oauth.client("batch", scopes=["read", "write"], lifetime_s=60)
    oauth.client("two", audiences=["orders", "https://stock.example/"])
    oauth.keyed("job", KEY)
    return oauth


@pytest.fixture
def secret(world: World) -> str:
    return world.secrets["batch"]


def test_a_client_gets_an_access_token_in_its_own_name(world: World, secret: str) -> None:
    answer = world.fetch("batch", secret)
    claims = world.claims(answer)
    assert {n: claims[n] for n in ("iss", "sub", "client_id", "aud", "scope")} == {
        "iss": world.issuer,
        "sub": "batch",
        "client_id": "batch",
        "aud": "orders",
        "scope": "read write",
    }
    assert claims["exp"] - claims["iat"] == 60
    assert claims["jti"]
    told = answer.json()
    assert (told["token_type"], told["expires_in"], told["scope"]) == ("Bearer", 60, "read write")
    assert (answer.headers["cache-control"], answer.headers["content-type"]) == ("no-store", "application/json")
    assert world.operations.verify(told["access_token"], audience="orders")["outcome"] == "accepted"


def test_the_signature_is_audited_under_the_name_of_the_client(world: World, secret: str) -> None:
    world.fetch("batch", secret)
    assert world.audit("token.signed")[-1].actor == "client:batch"


def test_a_client_may_put_its_secret_into_the_form(world: World, secret: str) -> None:
    fields = {"grant_type": "client_credentials", "client_id": "batch", "client_secret": secret, "scope": "read"}
    assert world.claims(world.form(fields))["scope"] == "read"


def test_several_audiences_are_named_by_resource_and_audience(world: World) -> None:
    secret = world.client("several", audiences=["orders", "https://stock.example/", "more"])
    both = [("resource", "https://stock.example/"), ("audience", "orders"), ("audience", "orders")]
    answer = world.form([("grant_type", "client_credentials"), *both], basic=("several", secret))
    assert world.claims(answer)["aud"] == ["https://stock.example/", "orders"]
    assert world.fetch("several", secret).code == (400, "invalid_target")
    assert world.fetch("several", secret, audience="payments").code == (400, "invalid_target")


@pytest.mark.parametrize("scope", ["admin", "read admin", "read  write", ' read"', "read\nwrite"])
def test_a_scope_beyond_those_of_the_client_is_refused(world: World, secret: str, scope: str) -> None:
    assert world.fetch("batch", secret, scope=scope).code == (400, "invalid_scope")


def test_the_cap_of_the_issuer_holds_for_every_client(world: World) -> None:
    secret = world.client("patient", lifetime_s=86_400)
    assert world.fetch("patient", secret).json()["expires_in"] == 900


def test_a_grant_that_the_client_does_not_have_and_one_that_nobody_has(world: World, secret: str) -> None:
    fields = {"grant_type": EXCHANGE, "subject_token": "a.b.c", "subject_token_type": "any"}
    assert world.form(fields, basic=("batch", secret)).code == (400, "unauthorized_client")
    assert world.form({"grant_type": "password"}, basic=("batch", secret)).code == (400, "unsupported_grant_type")
    assert world.form({"scope": "read"}, basic=("batch", secret)).code == (400, "invalid_request")


@pytest.mark.parametrize(
    ("name", "wrong"), [("batch", "wrong"), ("nobody", "wrong"), ("job", "wrong"), ("batch", ""), ("", "wrong")]
)
def test_whoever_is_no_client_is_told_the_same(world: World, name: str, wrong: str) -> None:
    answer = world.fetch(name, wrong)
    assert answer.code == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert answer.json() == world.fetch("nobody", "guess").json()
    assert answer.headers.items() == world.fetch("nobody", "guess").headers.items()


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer abc",
        "Basic",
        "Basic ???",
        "Basic " + "A" * 9,
        basic_of("batch", "x")[:-3] + "é",
        "Digest x",
        "Negotiate",
    ],
)
def test_an_authorization_header_that_is_not_basic_is_no_client(world: World, authorization: str) -> None:
    headers = [("content-type", FORM), ("authorization", authorization)]
    assert world.send(TOKEN, b"grant_type=client_credentials", headers).code == (401, "invalid_client")


def test_every_refusal_takes_as_long(world: World, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_authentication, "REFUSAL_S", 0.1)
    for refused in (
        lambda: world.fetch("nobody", "x"),
        lambda: world.fetch("batch", "x"),
        lambda: world.asserted(world.assertion("job", sw.PrivateJWK.generate("ES256"))),
    ):
        began = time.monotonic()
        assert refused().status == 401
        assert time.monotonic() - began >= 0.099


def test_a_denial_is_audited_with_its_cause_and_a_registered_name_only(world: World) -> None:
    world.fetch("batch", "guess")
    assert world.audit("access.denied")[-1].facts["named"] == "client:batch"
    world.fetch("'; drop table", "guess")
    entry = world.audit("access.denied")[-1]
    assert "named" not in entry.facts
    assert (entry.actor, entry.issuer, entry.reason) == ("unknown", "default", "client.authentication")
    assert entry.facts["route"] == "POST /issuers/{issuer}/token"


def test_what_a_client_may_not_have_is_audited_under_its_name(world: World, secret: str) -> None:
    world.fetch("batch", secret, scope="admin")
    entry = world.audit("access.failed")[-1]
    assert (entry.actor, entry.issuer, entry.reason) == ("client:batch", "default", "client.scope")


def test_requests_are_counted_by_grant_and_outcome(world: World, secret: str) -> None:
    world.fetch("batch", secret)
    world.fetch("batch", "guess")
    page = world.process.observing.metrics.exposition()[0].decode()
    counted = 'oauth_token_requests_total{grant="%s",issuer="default",outcome="%s"}'
    assert counted % ("client_credentials", "issued") in page
    assert counted % ("unknown", "invalid_client") in page


def test_guesses_are_limited_by_address_and_a_client_behind_it_is_served(tmp_path: Path) -> None:
    settings = ServiceSettings(home=tmp_path / "data", denied_calls_burst=3, denied_calls_per_s=0.001)
    with OwnedFolder(settings.home) as owned, open_single_process(settings, owned) as process:
        world = World(process)
        secret = world.client("batch")
        guesses = [world.fetch("batch", f"guess-{n}") for n in range(5)]
        assert [one.status for one in guesses] == [401, 401, 401, 429, 429]
        assert "retry-after" in guesses[-1].headers
        assert world.fetch("batch", secret).status == 200
        assert world.form({"grant_type": "x"}, basic=("batch", "guess"), client="192.0.2.7").status == 401


BAD_FORMS: list[tuple[str, bytes]] = [
    (FORM, b"grant_type=client_credentials&grant_type=client_credentials"),
    (FORM, b"grant_type=client_credentials&scope=&scope="),
    (FORM, b"grant_type"),
    (FORM, b"grant_type=%zz"),
    (FORM, b"grant_type=%ff"),
    (FORM, b"grant_type=\xff"),
    (FORM, b""),
    (FORM, b"&".join(b"f%d=1" % n for n in range(60))),
    ("application/json", b'{"grant_type": "client_credentials"}'),
    ("multipart/form-data; boundary=x", b"--x--"),
    ("text/plain", b"grant_type=client_credentials"),
    (f"{FORM}, {FORM}", b"grant_type=client_credentials"),
]


@pytest.mark.parametrize(("content_type", "body"), BAD_FORMS)
def test_a_form_that_is_none_is_an_invalid_request(world: World, secret: str, content_type: str, body: bytes) -> None:
    headers = [("content-type", content_type), ("authorization", basic_of("batch", secret))]
    answer = world.send(TOKEN, body, headers)
    assert answer.code == (400, "invalid_request")
    assert answer.headers["cache-control"] == "no-store"


def test_fields_are_read_from_the_body_alone(world: World, secret: str) -> None:
    body = b"grant_type=client_credentials"
    headers = [("content-type", FORM), ("authorization", basic_of("batch", secret))]
    assert world.send(TOKEN, body, headers, query=b"scope=read").code == (400, "invalid_request")
    assert world.send(TOKEN, body, headers[1:]).code == (400, "invalid_request")
    assert world.send(TOKEN, body, [*headers, headers[0]]).code == (400, "invalid_request")
    assert world.send(TOKEN, body, [*headers, ("x", "y")]).status == 200


def test_two_proofs_at_once_are_refused_even_if_both_are_right(world: World, secret: str) -> None:
    grant = {"grant_type": "client_credentials"}
    both = {**grant, "client_id": "batch", "client_secret": secret}
    assert world.form(both, basic=("batch", secret)).code == (400, "invalid_request")
    asserted = {**grant, "client_assertion_type": ASSERTION, "client_assertion": world.assertion("job", KEY)}
    assert world.form(asserted, basic=("batch", secret)).code == (400, "invalid_request")
    assert world.form({**both, **asserted}).code == (400, "invalid_request")
    assert world.form({**grant, "client_id": "two"}, basic=("batch", secret)).code == (400, "invalid_request")
    assert world.form({**asserted, "client_id": "batch"}).code == (400, "invalid_request")
    assert world.form({**grant, "client_id": "batch"}, basic=("batch", secret)).status == 200
    headers = [("content-type", FORM), *[("authorization", basic_of("batch", secret))] * 2]
    assert world.send(TOKEN, b"grant_type=client_credentials", headers).code == (400, "invalid_request")


def test_other_methods_large_bodies_and_other_issuers_end_in_a_problem(world: World, secret: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = world.send(TOKEN, method=method)
        assert (answer.status, answer.json()["reason"], answer.headers["allow"]) == (405, "request.method", "POST")
    headers = [("content-type", FORM), ("authorization", basic_of("batch", secret))]
    assert world.send(TOKEN, b"x" * (256 * 1024 + 1), headers).status == 413
    assert world.form({}, path="/issuers/nobody/token").status == 404
    grant = {"grant_type": "client_credentials"}
    assert world.form(grant, basic=("batch", secret), path="/issuers/internal/token").status == 400


def test_a_client_of_one_issuer_is_none_of_another(world: World, secret: str) -> None:
    world.operations.create("partner", algorithm="ES256", reason="test")
    grant = {"grant_type": "client_credentials"}
    path = "/issuers/partner/token"
    assert world.form(grant, basic=("batch", secret), path=path).code == (401, "invalid_client")


def test_an_outage_of_the_store_is_a_temporary_failure(
    world: World, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise sw.UnavailableError(sw.Reason.CATALOG_UNAVAILABLE, "the store cannot be reached")

    monkeypatch.setattr(world.process.signing.catalog, "record_signatures", broken)
    answer = world.fetch("batch", secret)
    assert answer.code == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"]


class TestAssertions:
    """RFC 7523 §3, as strict as draft-ietf-oauth-rfc7523bis."""

    @pytest.mark.parametrize("typ", ["JWT", "client-authentication+jwt", "application/client-authentication+jwt"])
    def test_a_client_proves_itself_with_its_key(self, world: World, typ: str) -> None:
        assert world.claims(world.asserted(world.assertion("job", KEY, typ=typ)))["sub"] == "job"

    def test_an_assertion_counts_once(self, world: World) -> None:
        assertion = world.assertion("job", KEY)
        assert world.asserted(assertion).status == 200
        assert world.asserted(assertion).code == (401, "invalid_client")
        assert world.audit("access.denied")[-1].reason == "replay.seen_before"

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"aud": "https://other.example"}, "claims.audience"),
            ({"aud": ["self", "https://other.example"]}, "claims.audience"),
            ({"aud": ["self"]}, "claims.audience"),
            ({"aud": "self/token"}, "claims.audience"),
            ({"aud": None}, "claims.audience"),
            ({"aud": 7}, "claims.wrong_type"),
            ({"sub": "batch"}, "claims.value"),
            ({"sub": None}, "claims.missing"),
            ({"iss": "nobody"}, "client.unknown"),
            ({"iss": "batch", "sub": "batch"}, "client.unknown"),
            ({"iss": None}, "issuer.missing"),
            ({"jti": None}, "claims.missing"),
            ({"jti": ""}, "claims.missing"),
            ({"exp": None}, "claims.missing"),
            ({"exp": "soon"}, "claims.wrong_type"),
            ({"exp": 1}, "claims.expired"),
            ({"nbf": 9_000_000_000}, "claims.not_yet_valid"),
        ],
    )
    def test_every_claim_must_be_right(self, world: World, changed: dict[str, Any], reason: str) -> None:
        own = {"self": world.issuer, "self/token": f"{world.issuer}/token"}
        if isinstance(changed.get("aud"), list):
            changed = {"aud": [own.get(one, one) for one in changed["aud"]]}
        elif changed.get("aud") in own:
            changed = {"aud": own[changed["aud"]]}
        answer = world.asserted(world.assertion("job", KEY, **changed))
        assert world.audit("access.denied")[-1].reason == reason
        assert answer.code == (401, "invalid_client")
        assert answer.json() == world.fetch("nobody", "guess").json()

    def test_its_end_is_near(self, world: World) -> None:
        assert world.asserted(world.assertion("job", KEY, lifetime_s=300)).status == 200
        assert world.asserted(world.assertion("job", KEY, lifetime_s=400)).code == (401, "invalid_client")
        world.keyed("slow", KEY, assertion_lifetime_s=3600)
        assert world.asserted(world.assertion("slow", KEY, lifetime_s=3600)).status == 200

    def test_the_token_endpoint_is_an_audience_where_that_was_chosen(self, world: World) -> None:
        world.keyed("old-style", KEY, token_endpoint_audience=True)
        for audience in (world.issuer, f"{world.issuer}/token"):
            assert world.asserted(world.assertion("old-style", KEY, aud=audience)).status == 200

    def test_an_assertion_is_made_with_the_keys_of_just_this_client(self, world: World) -> None:
        other = sw.PrivateJWK.generate("ES256")
        world.keyed("neighbour", other)
        assert world.asserted(world.assertion("job", other)).code == (401, "invalid_client")

    def test_a_secret_or_a_public_key_never_signs_one(self, world: World, secret: str) -> None:
        _, claims, _ = world.assertion("job", KEY).split(".")
        signing_input = base64url.encode_text(b'{"alg":"HS256","typ":"JWT"}') + "." + claims
        for text in (secret, json.dumps(KEY.public.to_dict())):
            mac = hmac.digest(text.encode(), signing_input.encode(), "sha256")
            assert world.asserted(f"{signing_input}.{base64url.encode_text(mac)}").code == (401, "invalid_client")
            assert world.audit("access.denied")[-1].reason == "algorithm.not_allowed"

    def test_an_unsigned_one_and_other_text_is_none(self, world: World) -> None:
        _, claims, signature = world.assertion("job", KEY).split(".")
        unsigned = base64url.encode_text(b'{"alg":"none","typ":"JWT"}')
        for text in (f"{unsigned}.{claims}.", f"{unsigned}.{claims}.{signature}", "a.b.c", "x", "ä.b.c", "." * 2000):
            assert world.asserted(text).code == (401, "invalid_client")

    def test_an_access_token_is_none(self, world: World) -> None:
        assert world.asserted(world.assertion("job", KEY, typ="at+jwt")).code == (401, "invalid_client")
        assert world.asserted(world.issue("orders")).code == (401, "invalid_client")

    def test_its_type_is_named(self, world: World) -> None:
        fields = {"grant_type": "client_credentials", "client_assertion": world.assertion("job", KEY)}
        assert world.form(fields).code == (400, "invalid_request")
        saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
        assert world.form({**fields, "client_assertion_type": saml}).code == (400, "invalid_request")

    def test_a_client_that_was_made_anew_has_its_new_keys_alone(self, world: World) -> None:
        world.keyed("again", KEY)
        assert world.asserted(world.assertion("again", KEY)).status == 200
        world.operations.clients.remove("default", "again", reason="key lost")
        other = sw.PrivateJWK.generate("ES256")
        world.keyed("again", other)
        assert world.asserted(world.assertion("again", KEY)).status == 401
        assert world.asserted(world.assertion("again", other)).status == 200

    def test_while_nothing_can_be_remembered_nobody_is_let_in(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(*_: Any) -> bool:
            raise sw.UnavailableError(sw.Reason.REPLAY_UNAVAILABLE, "down")

        assert world.asserted(world.assertion("job", KEY)).status == 200
        monkeypatch.setattr(type(world.process.assertions._store), "aclaim", broken)
        assert world.asserted(world.assertion("job", KEY)).code == (503, "temporarily_unavailable")


class TestIntrospectionAndRevocationByClients:
    """RFC 7662 §2.1, RFC 7009 §2.1: a client is shown, and ends, what is its own."""

    def ask(self, world: World, what: str, token: str, basic: tuple[str, str]) -> Any:
        answer = world.form({"token": token}, basic=basic, path=f"/issuers/default/{what}")
        assert answer.status == 200, answer.body
        return answer.json() if answer.body else None

    def test_a_client_sees_its_own_tokens_and_those_that_it_is_shown(self, world: World, secret: str) -> None:
        own = world.fetch("batch", secret).json()["access_token"]
        resource = world.client("resource", subject_audiences=["orders"])
        stranger = world.client("stranger")
        assert self.ask(world, "introspect", own, ("batch", secret))["client_id"] == "batch"
        assert self.ask(world, "introspect", own, ("resource", resource))["active"] is True
        assert self.ask(world, "introspect", own, ("stranger", stranger)) == {"active": False}

    def test_a_client_ends_its_own_tokens_only(self, world: World, secret: str) -> None:
        own = world.fetch("batch", secret).json()["access_token"]
        other = world.client("other", subject_audiences=["orders"])
        self.ask(world, "revoke", own, ("other", other))
        assert self.ask(world, "introspect", own, ("batch", secret))["active"] is True
        self.ask(world, "revoke", own, ("batch", secret))
        assert self.ask(world, "introspect", own, ("batch", secret)) == {"active": False}

    @pytest.mark.parametrize("what", ["introspect", "revoke"])
    def test_whoever_is_no_client_gets_no_answer(self, world: World, what: str) -> None:
        path = f"/issuers/default/{what}"
        assert world.form({"token": "a.b.c"}, basic=("batch", "guess"), path=path).code == (401, "invalid_client")
        assert world.form({"token": "a.b.c"}, path=path).status == 401
        headers: Pairs = [("content-type", "text/plain")]
        assert world.send(path, b"token=x", headers).status == 401
