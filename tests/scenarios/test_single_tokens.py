"""Single tokens are revoked, suspended and asked about: at the real service, as a stock OAuth program sees it."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
import urllib3
from postgresql import shared_cluster
from running_service import HTTP, SHORT_TIMINGS, Answer, RunningService, eventually
from three_replicas import kill_all, start_replicas

import sealwright as sw
from sealwright.jose import strict_json
from sealwright.statements.revoked_keys import token_digest
from sealwright.trust.introspection import IntrospectionCheck
from sealwright.trust.status_list import StatusListCheck
from sealwright.trust.token_check import TokenCheck

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def form(service: RunningService, verb: str, token: str, **more: Any) -> Answer:
    """As any OAuth program posts it."""
    sent = urlencode({"token": token, "token_type_hint": "access_token"}).encode()
    headers = {**FORM, **more.pop("headers", {})}
    return service.request("POST", f"/issuers/default/{verb}", raw=sent, headers=headers, **more)


def introspected(service: RunningService, token: str) -> dict[str, Any]:
    answer = form(service, "introspect", token)
    assert answer.status == 200, answer.body
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


def feed(service: RunningService) -> dict[str, Any]:
    root = service.request("GET", "/.well-known/trust-root.jwks.json", credential=None).json()
    page = service.request("GET", "/issuers/default/.well-known/revoked-keys", credential=None)
    return dict(sw.verify_signature(page.body, sw.JWKSet.from_dict(root)).json())


def mark(service: RunningService, verb: str, **body: Any) -> Answer:
    return service.request("POST", f"/v1/issuers/default/tokens/{verb}", {"reason": "stolen", **body})


def with_status(service: RunningService, **more: Any) -> str:
    body = {"claims": {"sub": "alice"}, "audience": "orders", "status": True, **more}
    answer = service.request("POST", "/v1/issuers/default/tokens", body)
    assert answer.status == 201, answer.body
    return str(answer.json()["token"])


def status_by_hand(service: RunningService, token: str) -> int:
    """Fetched, verified and decoded by others' code and none of ours."""
    named = claims_of(token)["status"]["status_list"]
    answer = Answer(HTTP.request("GET", named["uri"]))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/statuslist+jwt"
    keys = jwt.PyJWKSet.from_dict(service.request("GET", "/.well-known/jwks.json", credential=None).json())
    text = answer.body.decode()
    header = jwt.get_unverified_header(text)
    assert header["typ"] == "statuslist+jwt"
    said = jwt.decode(text, keys[header["kid"]], algorithms=["ES256"])
    assert (said["sub"], said["ttl"], said["exp"] - said["iat"]) == (named["uri"], 60, 300)
    assert said["status_list"]["bits"] == 2
    lst = said["status_list"]["lst"]
    octets = zlib.decompress(base64.urlsafe_b64decode(lst + "=" * (-len(lst) % 4)))
    return octets[named["idx"] // 4] >> named["idx"] % 4 * 2 & 3


@pytest.fixture
def credential(service: RunningService) -> Callable[..., str]:
    def issue(role: str, issuer: str = "default") -> str:
        body = {"subject": f"{role}-1", "roles": [role], "issuers": [issuer]}
        return str(service.request("POST", "/v1/credentials", body).json()["token"])

    return issue


def test_a_revoked_token_is_refused_at_once_by_every_way_of_asking(service: RunningService) -> None:
    token, other = service.token(), service.token()
    jti = claims_of(token)["jti"]
    assert introspected(service, token)["active"] is True
    before = feed(service)
    answer = mark(service, "revoke", token=token)
    assert answer.status == 200, answer.body
    assert service.decide(token)["reason"] == "token.revoked"
    assert introspected(service, token) == {"active": False}
    after = feed(service)
    assert token_digest(jti) in after["tokens"]
    assert token_digest(jti) not in before["tokens"]
    assert after["seq"] > before["seq"]
    assert service.decide(other)["outcome"] == "accepted"
    assert mark(service, "revoke", token=token).json() == answer.json()  # again changes nothing
    assert feed(service)["seq"] == after["seq"]


def test_the_audit_has_the_digest_and_never_the_token(service: RunningService) -> None:
    token = service.token()
    mark(service, "revoke", token=token)
    (entry,) = [
        one
        for one in service.request("GET", "/v1/audit?action=token.revoked").json()["entries"]
        if one["facts"]["token"] == token_digest(claims_of(token)["jti"])
    ]
    assert (entry["actor"], entry["reason"], entry["issuer"]) == ("operator", "stolen", "default")
    assert token.split(".")[2] not in json.dumps(entry)
    assert claims_of(token)["jti"] not in json.dumps(entry)


def test_a_jti_alone_is_enough(service: RunningService) -> None:
    token = service.token()
    answer = mark(service, "revoke", jti=claims_of(token)["jti"], expires_at=float(claims_of(token)["exp"]))
    assert answer.status == 200, answer.body
    assert service.decide(token)["reason"] == "token.revoked"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"jti": "a", "token": "b"},
        {"jti": ""},
        {"jti": 5},
        {"jti": "a", "expires_at": 5.0},
        {"jti": "a", "expires_at": 1e300},
        {"jti": "a", "reason": ""},
        {"token": "a.b.c"},
        {"token": "a", "expires_at": 5.0},
        {"jti": "a", "more": 1},
    ],
)
def test_what_names_no_token_is_refused(service: RunningService, body: dict[str, Any]) -> None:
    answer = mark(service, "revoke", **body)
    assert answer.status in (400, 409), answer.body
    assert "reason" in answer.json()


def test_the_command_line_revokes_and_lists(service: RunningService, tmp_path: Path) -> None:
    token = service.token()
    done = service.cli("tokens", "revoke", "--token", "-", "--reason", "stolen", stdin=token)
    assert done.returncode == 0, done.stderr
    assert service.decide(token)["reason"] == "token.revoked"
    other = service.token()
    done = service.cli("tokens", "revoke", "--jti", claims_of(other)["jti"], "--reason", "stolen", "--json")
    assert json.loads(done.stdout)["status"] == "revoked"
    assert service.decide(other)["reason"] == "token.revoked"
    listed = service.cli("tokens", "revoked").stdout
    assert {token_digest(claims_of(one)["jti"]) in listed for one in (token, other)} == {True}
    assert service.cli("tokens", "revoke", "--reason", "x").returncode == 1
    third = service.cli("sign", "--claims", '{"sub":"a"}', "--audience", "orders", "--status").stdout.strip()
    (tmp_path / "third").write_text(third)
    for verb, reason in (("suspend", "token.suspended"), ("restore", None)):
        done = service.cli("tokens", verb, "--token", str(tmp_path / "third"), "--reason", "looking into it")
        assert done.returncode == 0, done.stderr
        assert service.decide(third)["reason"] == reason


def test_introspection_tells_what_the_token_says(service: RunningService) -> None:
    act, cnf = {"sub": "svc"}, {"jkt": "abc"}
    token = service.token(scope="read write", act=act, cnf=cnf, private="never told")
    said = claims_of(token)
    told = introspected(service, token)
    names = ("scope", "client_id", "sub", "aud", "iss", "exp", "iat", "jti", "act", "cnf")
    assert told == {"active": True, "token_type": "DPoP", **{name: said[name] for name in names}}
    assert introspected(service, service.token(audience="other"))["token_type"] == "Bearer"


@pytest.mark.parametrize("token", ["a.b.c", "x", "é", "a" * 70_000])
def test_what_is_no_token_is_inactive_and_no_error_to_revoke(service: RunningService, token: str) -> None:
    assert introspected(service, token) == {"active": False}
    assert form(service, "revoke", token).status == 200


def test_tokens_of_others_are_inactive(service: RunningService) -> None:
    service.request("POST", "/v1/issuers/other/keys", {"algorithm": "ES256"})
    assert introspected(service, service.token("other")) == {"active": False}
    assert introspected(service, (service.home / "operator.token").read_text().strip()) == {"active": False}
    forged = sw.sign(
        strict_json.encode_object(claims_of(service.token())), sw.PrivateJWK.generate("ES256"), typ="at+jwt"
    )
    assert introspected(service, forged) == {"active": False}
    assert form(service, "revoke", forged).status == 200
    assert service.decide(service.token("other"))["outcome"] == "accepted"


def test_a_signed_answer_is_no_token(service: RunningService) -> None:
    """RFC 9701 §5."""
    token = service.token()
    answer = form(service, "introspect", token, headers={"Accept": "application/token-introspection+jwt"})
    assert answer.headers["content-type"] == "application/token-introspection+jwt"
    text = answer.body.decode()
    keys = jwt.PyJWKSet.from_dict(service.request("GET", "/.well-known/jwks.json", credential=None).json())
    header = jwt.get_unverified_header(text)
    assert header["typ"] == "token-introspection+jwt"
    issuer = f"{service.url}/issuers/default"
    said = jwt.decode(text, keys[header["kid"]], algorithms=["ES256"], audience="operator", issuer=issuer)
    assert said.keys() == {"iss", "aud", "iat", "token_introspection"}
    assert said["token_introspection"] == introspected(service, token)
    assert service.decide(text, "operator")["outcome"] == "rejected"


def test_revocation_as_an_oauth_program_does_it(service: RunningService, credential: Callable[..., str]) -> None:
    token = service.token()
    answer = form(service, "revoke", token, credential=credential("revoker"))
    assert (answer.status, answer.body) == (200, b"")
    assert service.decide(token)["reason"] == "token.revoked"
    assert form(service, "revoke", token).status == 200


@pytest.mark.parametrize(
    "raw", [b"", b"token=", b"token=a&token=b", b"tok=a", b"%ff", b"\xff", b"a=1&" * 20 + b"token=a"]
)
@pytest.mark.parametrize("verb", ["introspect", "revoke"])
def test_a_request_without_one_token_is_invalid(service: RunningService, raw: bytes, verb: str) -> None:
    answer = service.request("POST", f"/issuers/default/{verb}", raw=raw, headers=FORM)
    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")
    json_body = service.request("POST", f"/issuers/default/{verb}", {"token": "a"})
    assert (json_body.status, json_body.json()["error"]) == (400, "invalid_request")


def test_who_may_do_what(service: RunningService, credential: Callable[..., str]) -> None:
    token = service.token()
    assert form(service, "introspect", token, credential=None).status == 401
    assert form(service, "introspect", token, credential=credential("resource")).json()["active"]
    for narrow in (credential("signer"), credential("resource", "other"), credential("revoker", "other")):
        assert form(service, "introspect", token, credential=narrow).status == 403
    assert form(service, "revoke", token, credential=credential("resource")).status == 403
    body = {"token": token, "reason": "stolen"}
    path = "/v1/issuers/default/tokens/revoke"
    assert service.request("POST", path, body, credential=credential("resource")).status == 403
    assert service.request("POST", path, body, credential=credential("revoker")).status == 200
    assert form(service, "introspect", token, credential=credential("revoker")).json() == {"active": False}
    for verb in ("introspect", "revoke"):
        for issuer, status in (("nobody", 404), ("internal", 400)):
            answer = service.request("POST", f"/issuers/{issuer}/{verb}", raw=b"token=a", headers=FORM)
            assert answer.status == status


def test_a_status_list_says_to_everyone_what_became_of_a_token(service: RunningService) -> None:
    token, other = with_status(service), with_status(service)
    assert claims_of(token)["status"] != claims_of(other)["status"]
    assert (status_by_hand(service, token), service.decide(token)["outcome"]) == (0, "accepted")
    steps = (("suspend", 2, "token.suspended"), ("restore", 0, None), ("suspend", 2, "token.suspended"))
    for verb, status, reason in (*steps, ("revoke", 1, "token.revoked")):
        assert mark(service, verb, token=token).status == 200
        assert (status_by_hand(service, token), service.decide(token)["reason"]) == (status, reason)
        assert introspected(service, token)["active"] is (status == 0)
        assert (token_digest(claims_of(token)["jti"]) in feed(service)["tokens"]) is (status == 1)
        assert status_by_hand(service, other) == 0
    for verb in ("restore", "suspend"):
        assert mark(service, verb, token=token).json()["reason"] == "guard.token_statuses"
        assert mark(service, verb, jti=claims_of(service.token())["jti"]).status == 409


def test_many_tokens_have_a_place_each(service: RunningService) -> None:
    one = {"claims": {"sub": "a"}, "audience": "orders"}
    items = [{**one, "status": number % 2 == 0} for number in range(400)]
    answer = service.request("POST", "/v1/issuers/default/tokens/batch", {"tokens": items})
    assert answer.status == 201, answer.body
    said = [claims_of(token["token"]) for token in answer.json()["tokens"]]
    assert ["status" in claims for claims in said] == [number % 2 == 0 for number in range(400)]
    places = {tuple(claims["status"]["status_list"].values()) for claims in said if "status" in claims}
    assert len(places) == 200


@pytest.mark.parametrize(
    "body",
    [
        {"claims": {"sub": "a", "status": {}}},
        {"reuse": True},
        {"status": "yes"},
        {"claims": {"sub": "a", "jti": 5}},
        {"lifetime_s": 10**9},
    ],
)
def test_a_place_is_given_to_good_requests_only(service: RunningService, body: dict[str, Any]) -> None:
    asked = {"claims": {"sub": "a"}, "audience": "orders", "status": True, **body}
    assert service.request("POST", "/v1/issuers/default/tokens", asked).status in (400, 409)


def test_one_jti_has_one_place(service: RunningService) -> None:
    asked = {"claims": {"sub": "a", "jti": "mine"}, "audience": "orders", "status": True}
    assert service.request("POST", "/v1/issuers/default/tokens", asked).status == 201
    assert service.request("POST", "/v1/issuers/default/tokens", asked).json()["reason"] == "claims.malformed"


def test_a_list_that_is_not_there_or_long_past(service: RunningService) -> None:
    path = "/issuers/default/status-lists"
    numbers = ("8", "x", "-1", "00", "9" * 5000)
    for missing in (*(f"{path}/{number}" for number in numbers), "/issuers/nobody/status-lists/0"):
        assert service.request("GET", missing, credential=None).status == 404
    assert service.request("GET", f"{path}/0?time=5", credential=None).status == 501
    first = service.request("GET", f"{path}/0", credential=None)
    again = service.request("GET", f"{path}/0", credential=None, headers={"If-None-Match": first.headers["etag"]})
    assert again.status == 304


def test_all_who_ask_after_a_change_get_the_one_that_was_signed_for_them(service: RunningService) -> None:
    for path in ("status-lists/1", ".well-known/revoked-keys"):
        mark(service, "revoke", token=service.token())
        bodies: list[bytes] = []

        def ask(path: str = path, bodies: list[bytes] = bodies) -> None:
            bodies.append(service.request("GET", f"/issuers/default/{path}", credential=None).body)

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(bodies) == 12
        assert len(set(bodies)) == 1  # a second signature would be another text


def test_discovery_names_the_endpoints(service: RunningService) -> None:
    page = service.request("GET", "/issuers/default/.well-known/openid-configuration", credential=None).json()
    assert page["introspection_endpoint"] == f"{service.url}/issuers/default/introspect"
    assert page["revocation_endpoint"] == f"{service.url}/issuers/default/revoke"
    paths = service.request("GET", "/openapi.json").json()["paths"]
    assert {"/issuers/{issuer}/introspect", "/issuers/{issuer}/revoke"} <= paths.keys()


def test_changes_are_counted(service: RunningService) -> None:
    mark(service, "revoke", token=service.token())
    text = service.request("GET", "/metrics").body.decode()
    assert 'token_status_changes_total{issuer="default",status="revoked"}' in text


def test_a_revocation_survives_a_kill(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service(**SHORT_TIMINGS)
    token = with_status(service)
    lasting = token_digest("a")
    assert mark(service, "revoke", token=token).status == 200
    assert mark(service, "revoke", jti="a", expires_at=float(claims_of(token)["exp"] + 3600)).status == 200
    service.kill()
    service = start_service(port=service.port, **SHORT_TIMINGS)
    listed = service.request("GET", "/v1/issuers/default/tokens/revoked").json()["tokens"]
    assert {one["token"] for one in listed} == {lasting, token_digest(claims_of(token)["jti"])}
    assert lasting in feed(service)["tokens"]
    assert service.decide(token)["reason"] in ("token.revoked", "claims.expired")


def test_no_answer_is_accepted_after_its_token_was_revoked(service: RunningService) -> None:
    """Whoever asks while a token is revoked gets either answer; whoever asks afterwards gets one."""
    for _ in range(5):
        token, outcomes, done = service.token(), list[str](), threading.Event()

        def ask(token: str = token, outcomes: list[str] = outcomes, done: threading.Event = done) -> None:
            while not done.is_set():
                outcomes.append(service.decide(token)["outcome"])

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        results = [form(service, "revoke", token).status, mark(service, "revoke", token=token).status]
        after = service.decide(token)["reason"]
        done.set()
        for thread in threads:
            thread.join()
        assert results == [200, 200]
        assert after == "token.revoked"
        assert set(outcomes) <= {"accepted", "rejected"}


def verifier_of(service: RunningService, *checks: TokenCheck) -> sw.Verifier:
    """A verifier elsewhere: it knows the published keys, and what its checks ask for."""
    issuer = f"{service.url}/issuers/default"
    source = sw.RemoteJWKSet(f"{issuer}/.well-known/jwks.json")
    policy = sw.VerificationPolicy(issuer=issuer, audience="orders", typ="at+jwt")
    return sw.Verifier(issuers=[sw.TrustedIssuer(policy, source, checks=checks)])


def test_a_verifier_elsewhere_reads_the_status_list(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    issuer = f"{service.url}/issuers/default"
    with sw.RemoteJWKSet(f"{issuer}/.well-known/jwks.json") as keys:
        token, suspended, revoked = with_status(service), with_status(service), with_status(service)
        for verb, one in (("suspend", suspended), ("revoke", revoked)):
            assert mark(service, verb, token=one).status == 200

        def reasons() -> list[str | None]:
            check = StatusListCheck(keys, prefixes=[f"{issuer}/status-lists"], required=True)
            with verifier_of(service, check) as verifier:
                return [verifier.decide(one).reason for one in (token, suspended, revoked, service.token())]

        assert reasons() == [None, "token.suspended", "token.revoked", "claims.missing"]
        mark(service, "restore", token=suspended)
        assert reasons()[1] is None
        service.request("POST", "/v1/issuers/default/rotate", {"reason": "routine", "force": True})
        rotated = with_status(service)
        mark(service, "suspend", token=rotated)
        keys.refresh()
        check = StatusListCheck(keys, prefixes=[f"{issuer}/status-lists"])
        with verifier_of(service, check) as verifier:  # the list is signed by the key that signs tokens now
            assert verifier.decide(rotated).reason == "token.suspended"


def test_a_verifier_elsewhere_introspects(service: RunningService, credential: Callable[..., str]) -> None:
    held = credential("resource")
    token, other = service.token(), service.token()
    endpoint = f"{service.url}/issuers/default/introspect"
    with verifier_of(service, IntrospectionCheck(endpoint, lambda: held, positive_s=0)) as verifier:
        assert verifier.decide(token).accepted
        mark(service, "revoke", token=token)
        assert verifier.decide(token).reason == "token.inactive"
        assert verifier.decide(other).accepted
    with verifier_of(service, IntrospectionCheck(endpoint, lambda: "bad")) as verifier:
        assert verifier.decide(other).reason == "revocation.unavailable"


def test_replicas_share_what_is_revoked_and_never_give_one_place_twice(tmp_path: Path) -> None:
    replicas = start_replicas(tmp_path, [shared_cluster().new_database()] * 2)
    try:
        one, two = replicas
        tokens: list[str] = []
        threads = [threading.Thread(target=lambda at=at: tokens.append(with_status(at))) for at in replicas * 8]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({json.dumps(claims_of(token)["status"]) for token in tokens}) == 16
        assert {two.decide(token)["outcome"] for token in tokens} == {"accepted"}
        for verb, reason in (("suspend", "token.suspended"), ("restore", None), ("revoke", "token.revoked")):
            assert mark(one, verb, token=tokens[0]).status == 200
            assert one.decide(tokens[0])["reason"] == reason
            eventually(lambda: two.decide(tokens[0])["reason"] == reason, "the other replica knows", 5)  # noqa: B023
        assert token_digest(claims_of(tokens[0])["jti"]) in feed(two)["tokens"]
    finally:
        kill_all(replicas)


def test_what_was_answered_is_kept_whenever_the_service_is_killed(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    answered: list[str] = []

    def revoke(worker: int) -> None:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            for number in range(10_000):
                jti = f"{worker}-{number}"
                if mark(service, "revoke", jti=jti).status == 200:
                    answered.append(token_digest(jti))

    workers = [threading.Thread(target=revoke, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    eventually(lambda: len(answered) > 40, "tokens are revoked")
    service.process.kill()
    for worker in workers:
        worker.join()
    service.kill()
    service = start_service(port=service.port)
    listed = {one["token"] for one in service.request("GET", "/v1/issuers/default/tokens/revoked").json()["tokens"]}
    assert set(answered) <= listed
    assert listed == set(feed(service)["tokens"])
    audited = [one["facts"]["token"] for one in every_entry(service, "token.revoked")]
    assert sorted(audited) == sorted(listed)


def every_entry(service: RunningService, action: str) -> list[dict[str, Any]]:
    """All pages of the audit."""
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["sequence"] if found else 0
        page = service.request("GET", f"/v1/audit?action={action}&after={after}").json()["entries"]
        if not page:
            return found
        found += page


@pytest.fixture(autouse=True)
def nothing_secret_in_the_logs(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "service" in request.fixturenames:
        running = request.getfixturevalue("service")
        assert not [line for line in running.output if "eyJ" in line and '"$TOKEN"' not in line]
