"""The proxies of examples/gateway before a real sidecar: what lets a request through, and that nothing else does."""

from __future__ import annotations

import hashlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_world import BOUND_ISSUER, DOWN_ISSUER, ISSUER, PUBLIC_URL, Answer, EdgeWorld, ask, exchange, head
from gateways import Gateway

from sealwright.jose import base64url
from sealwright.profiles.dpop_proof import sign_proof

SOAK = pytest.mark.soak
OURS = {"x-sealwright-issuer": ISSUER, "x-sealwright-subject": "alice", "x-sealwright-scopes": "orders:read"}
ALIASES = "-!#$%&'*+.^_`|~"  # what CGI, WSGI and PHP read as the same letter
UNDECIDED = {"traefik": 500}  # everybody else can be told to say 503
PATIENCE_S = {"traefik": 35.0}  # it waits for 30 s, which nobody can change
OWN_LIMITS = {431}  # header fields that are too large for a proxy itself
Lines = list[tuple[str, str]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeWorld]:
    believed = 'proxies = ["127.0.0.1/32"]\ncertificate_form = "xfcc"'
    made = EdgeWorld(tmp_path_factory.mktemp("sidecar"), believed)
    yield made
    made.stop()


@pytest.fixture(
    scope="module", params=["nginx", "envoy", pytest.param("caddy", marks=SOAK), pytest.param("traefik", marks=SOAK)]
)
def gateway(world: EdgeWorld, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    name = str(request.param)
    made = Gateway(name, tmp_path_factory.mktemp(name), world.sidecar_port, world.app.port)
    yield made
    made.stop()


def bearer(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


def identity(seen: dict[str, Any]) -> dict[str, list[str]]:
    """Every header that some application could take for one of ours, by the name that it would read."""
    found: dict[str, list[str]] = {}
    for name, value in [*seen["headers"], *seen["trailers"]]:
        read = "".join(one if one.isalnum() else "-" for one in name.lower())
        if "sealwright" in read and value:
            found.setdefault(read, []).append(value)
    return found


def assert_ours(answer: Answer, **changed: str) -> None:
    """The application saw who the token is of, once, nothing that the client made up, and no token."""
    seen = answer.seen()
    assert identity(seen) == {name: [value] for name, value in {**OURS, **changed}.items()}
    assert not {"authorization", "dpop"} & {name.lower() for name, _ in seen["headers"]}


def assert_refused(answer: Answer, status: int) -> None:
    """A challenge for the client, and no reason in it."""
    assert answer.status == status
    assert answer.header("www-authenticate").startswith('Bearer realm="orders"')
    assert not any(f"{stage}." in str(answer) for stage in ("claims", "token", "key", "route", "request", "binding"))


def test_the_configuration_is_right_by_the_programs_own_check(gateway: Gateway) -> None:
    if gateway.name == "traefik":
        return  # it has none, but for its start
    done = gateway.check()
    assert done.returncode == 0, done.stderr


def test_the_application_sees_whose_the_token_is_and_nothing_that_a_client_made_up(
    world: EdgeWorld, gateway: Gateway
) -> None:
    spoofed = [("X-Sealwright-Subject", "admin"), ("x-sealwright-SUBJECT", "root"), ("X-Sealwright-Tenant", "other")]
    answer = ask(gateway.port, "/orders/1?x=1", [bearer(world.token()), *spoofed, *spoofed])
    assert_ours(answer)
    assert (answer.seen()["method"], answer.seen()["target"]) == ("GET", "/orders/1?x=1")
    told = ask(gateway.port, "/orders/1", [bearer(world.token(tenant=" Åse, 1 ")), *spoofed])
    assert_ours(told, **{"x-sealwright-tenant": "%20%C3%85se%2C%201%20"})


@pytest.mark.parametrize("sign", ALIASES)
def test_no_other_spelling_of_an_identity_header_reaches_the_application(
    world: EdgeWorld, gateway: Gateway, sign: str
) -> None:
    names = [f"X{sign}Sealwright{sign}Tenant", f"X-Sealwright{sign}Tenant", f"x{sign}SEALWRIGHT-subject"]
    answer = ask(gateway.port, "/orders/1", [bearer(world.token()), *((name, "other") for name in names)])
    if answer.status == 200:
        assert_ours(answer)
    assert answer.status in {200, 400}


@pytest.mark.parametrize(
    "named", ["X-Sealwright-Subject", "x-sealwright-subject, X-Sealwright-Scopes, close", "X-Forwarded-Uri, Host"]
)
def test_no_client_says_that_our_headers_are_not_for_the_application(
    world: EdgeWorld, gateway: Gateway, named: str
) -> None:
    answer = ask(gateway.port, "/orders/1", [bearer(world.token()), ("Connection", named)])
    if answer.status == 200:
        assert_ours(answer)
    assert answer.status in {200, 400}


def test_a_trailer_is_no_identity(world: EdgeWorld, gateway: Gateway) -> None:
    lines = [bearer(world.token(scope="orders:write")), ("Transfer-Encoding", "chunked"), ("TE", "trailers")]
    trailer = b"5\r\nhello\r\n0\r\nX-Sealwright-Tenant: other\r\nX-Sealwright-Subject: admin\r\n\r\n"
    announced = [*lines, ("Trailer", "X-Sealwright-Tenant, X-Sealwright-Subject")]
    for given in (lines, announced):
        answer = exchange(gateway.port, head("POST", "/orders", given) + trailer, ("POST",))[0]
        if answer.status == 200:
            seen = answer.seen()
            assert seen["body"] == "hello"
            assert ("X-Sealwright-Tenant", "other") not in map(tuple, seen["headers"])
            assert identity({**seen, "trailers": []})["x-sealwright-subject"] == ["alice"]


def refused_tokens(world: EdgeWorld) -> dict[str, tuple[Lines, int]]:
    """By the reason that operators are told."""
    return {
        "credential.missing": ([], 401),
        "request.malformed": ([("Authorization", "Bearer one two")], 400),
        "token.malformed": ([bearer("garbage")], 401),
        "signature.invalid": ([bearer(world.token()[:-8] + "AAAAAAAA")], 401),
        "claims.expired": ([bearer(world.token(age_s=3600))], 401),
        "claims.audience": ([bearer(world.token(aud="bills"))], 401),
        "issuer.unknown": ([bearer(world.token(iss="https://other.example"))], 401),
        "key.revoked": ([bearer(world.token(world.revoked))], 401),
        "claims.scope": ([bearer(world.token(scope="orders:other"))], 403),
        "binding.missing": ([bearer(world.token(iss=BOUND_ISSUER, cnf={"jkt": "A" * 43}))], 401),
    }


def test_each_token_that_is_none_for_us_is_refused_with_a_challenge_and_counted_by_its_reason(
    world: EdgeWorld, gateway: Gateway
) -> None:
    before, reached = world.refusals(), len(world.app.seen)
    cases = refused_tokens(world)
    for lines, status in cases.values():
        assert_refused(ask(gateway.port, "/orders/1", lines), status)
        assert_refused(ask(gateway.port, "/orders/1", lines, method="HEAD"), status)
    counted = world.refusals()
    assert {reason: counted.get(reason, 0) - before.get(reason, 0) for reason in cases} == dict.fromkeys(cases, 2)
    assert len(world.app.seen) == reached


def test_what_could_not_be_decided_is_for_another_try(world: EdgeWorld, gateway: Gateway) -> None:
    reached = len(world.app.seen)
    answer = ask(gateway.port, "/orders/1", [bearer(world.token(iss=DOWN_ISSUER))])
    assert answer.status == 503
    assert answer.header("retry-after") == ("" if gateway.name == "envoy" else "1")
    assert world.refusals()["source.unavailable"] >= 1
    assert len(world.app.seen) == reached


def test_a_route_that_needs_more_says_what(world: EdgeWorld, gateway: Gateway) -> None:
    answer = ask(gateway.port, "/orders", [bearer(world.token())], method="POST")
    assert_refused(answer, 403)
    assert 'error="insufficient_scope"' in answer.header("www-authenticate")
    assert 'scope="orders:write"' in answer.header("www-authenticate")
    assert_refused(ask(gateway.port, "/nowhere", [bearer(world.token())]), 403)


def test_what_a_client_says_of_its_own_request_does_not_choose_the_route(world: EdgeWorld, gateway: Gateway) -> None:
    reached = len(world.app.seen)
    said = {"Method": "GET", "Uri": "/orders/1", "Host": "orders.example.com", "Proto": "https", "Prefix": "/orders"}
    lines = [(f"X-{kind}-{name}", value) for kind in ("Forwarded", "Original") for name, value in said.items()]
    lines += [("X-Original-URL", "/orders/1"), ("X-Rewrite-URL", "/orders/1"), ("X-HTTP-Method-Override", "GET")]
    for target in ("/admin/keys", "/orders"):
        for given in (lines, [*lines, *lines]):
            assert_refused(ask(gateway.port, target, [bearer(world.token()), *given], method="POST"), 403)
    assert len(world.app.seen) == reached


WRONG_TARGETS = [
    "/orders/../admin/keys", "/orders/%2e%2e/admin/keys", "/orders/..%2fadmin/keys", "/orders/.%2e/admin",
    "/orders/a\\..\\x", "/orders/%5c", "/orders%2f1", "/orders/%ff", "/orders/%c0%ae", "/orders/%zz", "/orders/%",
    "/orders/%00", "/orders/a;b=c", "/ORDERS/1", "/orders/a%3fb", "/orders/%2525", "/orders/\xff", "/orders/a#b",
    "*", "orders/1", "http://", "/admin%2fkeys",
]  # fmt: skip


def test_a_path_that_could_be_read_in_two_ways_never_passes(world: EdgeWorld, gateway: Gateway) -> None:
    reached = len(world.app.seen)
    line = bearer(world.token())
    answers = {target: ask(gateway.port, target, [line]).status for target in WRONG_TARGETS}
    assert {target: status for target, status in answers.items() if status not in {400, 403, 404}} == {}
    assert len(world.app.seen) == reached
    doubled = ask(gateway.port, "//orders//1", [line])  # Traefik makes one path of it, for us and the application
    assert doubled.status == 400 or doubled.seen()["target"] == "/orders/1"


def test_an_absolute_target_is_judged_by_its_path(world: EdgeWorld, gateway: Gateway) -> None:
    line = bearer(world.token())
    assert_ours(ask(gateway.port, "http://orders.example.com/orders/1", [line]))
    assert ask(gateway.port, "http://orders.example.com/admin/1", [line]).status == 403


def test_bytes_and_sizes_of_every_kind_end_in_a_clean_refusal(world: EdgeWorld, gateway: Gateway) -> None:
    reached, good = len(world.app.seen), bearer(world.token())
    wrong: list[tuple[Lines, int]] = [
        ([good, good], 400),
        ([good, bearer("x")], 400),
        ([("Authorization", "Bearer \xff\xfe")], 400),
        ([("Authorization", good[1] + ", Basic eDp5")], 400),
        ([("Authorization", "Basic eDp5")], 401),
        ([bearer("a" * 12_000)], 401),
        ([bearer("." * 60)], 401),
    ]
    for lines, status in wrong:
        assert ask(gateway.port, "/orders/1", lines).status == status
    for characters in (20_000, 70_000, 300_000):
        answer = exchange(gateway.port, head("GET", "/orders/1", [bearer("a" * characters)]))
        assert not answer or answer[0].status in {400, 401} | OWN_LIMITS
    assert len(world.app.seen) == reached


def test_the_host_header_lets_nobody_in(world: EdgeWorld, gateway: Gateway) -> None:
    assert_refused(ask(gateway.port, "/orders/1", host="127.0.0.1:8701"), 401)
    assert ask(gateway.port, "/orders/1", [bearer(world.token())], host="").status == 400
    twice = ask(gateway.port, "/orders/1", [bearer(world.token()), ("Host", "other.example")])
    assert twice.status == 400 or identity(twice.seen())["x-sealwright-subject"] == ["alice"]


def test_every_method_is_judged_as_itself(world: EdgeWorld, gateway: Gateway) -> None:
    line = bearer(world.token())
    for method in ("GET", "HEAD", "OPTIONS"):
        assert ask(gateway.port, "/orders/1", [line], method=method).status == 200
        assert world.app.seen[-1]["method"] == method
        assert_refused(ask(gateway.port, "/orders/1", method=method), 401)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert_refused(ask(gateway.port, "/orders/1", [line], method=method), 403)
    for method in ("CONNECT", "TRACE", "FOO", "get"):
        assert ask(gateway.port, "/orders/1", [line], method=method).status in {400, 403, 405, 501}


def test_bodies_and_pipelines_keep_their_own_decision(world: EdgeWorld, gateway: Gateway) -> None:
    reader, writer = bearer(world.token()), bearer(world.token(scope="orders:write"))
    chunked, body = ("Transfer-Encoding", "chunked"), b"5\r\nhello\r\n0\r\n\r\n"
    written = exchange(gateway.port, head("POST", "/orders", [writer, chunked]) + body, ("POST",))[0]
    assert written.seen()["body"] == "hello"
    assert_ours(written, **{"x-sealwright-scopes": "orders:write"})
    get = head("GET", "/orders/1", [reader])
    denied = exchange(gateway.port, head("POST", "/orders", [reader, chunked]) + body + get, ("POST", "GET"))
    assert [one.status for one in denied] in ([403, 200], [403])
    three = exchange(gateway.port, get + head("GET", "/orders/1") + get, ("GET",) * 3)
    assert [one.status for one in three] in ([200, 401, 200], [200, 401])


def test_a_websocket_is_opened_with_a_token_alone(world: EdgeWorld, gateway: Gateway) -> None:
    upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade, X-Sealwright-Subject"), ("X-Sealwright-Subject", "x")]
    reached = len(world.app.seen)
    assert_refused(ask(gateway.port, "/orders/1", upgrade), 401)
    assert len(world.app.seen) == reached
    assert ask(gateway.port, "/orders/1", [bearer(world.token()), *upgrade]).status == 101
    assert identity(world.app.seen[-1]) == {name: [value] for name, value in OURS.items()}


def test_a_proof_is_for_the_public_url_and_counts_once(world: EdgeWorld, gateway: Gateway) -> None:
    token = world.token(iss=BOUND_ISSUER, cnf={"jkt": world.client.public.thumbprint()})

    def shown(url: str) -> Lines:
        return [("Authorization", f"DPoP {token}"), ("DPoP", sign_proof(world.client, "GET", url, token=token))]

    lines = shown(f"{PUBLIC_URL}/orders/1")
    assert_refused(ask(gateway.port, "/orders/2", lines), 401)
    assert_ours(ask(gateway.port, "/orders/1?a=b", lines), **{"x-sealwright-issuer": BOUND_ISSUER})
    again = ask(gateway.port, "/orders/1", lines)
    assert_refused(again, 401)
    assert "DPoP realm=" in again.header("www-authenticate")
    foreign = ask(gateway.port, "/orders/1", shown(f"http://127.0.0.1:{gateway.port}/orders/1"))
    assert 'error="invalid_dpop_proof"' in foreign.header("www-authenticate")
    twice = [*shown(f"{PUBLIC_URL}/orders/1"), shown(f"{PUBLIC_URL}/orders/1")[1]]
    assert_refused(ask(gateway.port, "/orders/1", twice), 401)


def test_no_client_speaks_of_its_own_certificate(world: EdgeWorld, gateway: Gateway) -> None:
    """The sidecar believes every proxy, also one that knows of no certificates."""
    digest = hashlib.sha256(b"the certificate of whom the token was made for").digest()
    token = world.token(iss=BOUND_ISSUER, cnf={"x5t#S256": base64url.encode_text(digest)})
    said = ("X-Forwarded-Client-Cert", f"Hash={digest.hex()}")
    target = {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/orders/1"}
    told = [*target.items(), bearer(token), said]
    assert ask(world.sidecar_port, "/forward-auth", told).status == 200  # as a proxy would say it
    before = world.refusals().get("binding.missing", 0)
    assert_refused(ask(gateway.port, "/orders/1", [bearer(token), said]), 401)
    assert world.refusals()["binding.missing"] == before + 1


def test_without_the_sidecar_nobody_passes_and_with_it_everything_is_as_before(
    world: EdgeWorld, gateway: Gateway, tmp_path: Path
) -> None:
    reached, line = len(world.app.seen), bearer(world.token())
    undecided = UNDECIDED.get(gateway.name, 503)
    world.sidecar.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert ask(gateway.port, "/orders/1", [line]).status == undecided
        assert time.monotonic() - began < PATIENCE_S.get(gateway.name, 10.0)
    finally:
        world.sidecar.signal(signal.SIGCONT)
    assert len(world.app.seen) == reached
    world.sidecar.stop()
    try:
        assert ask(gateway.port, "/orders/1", [line]).status == undecided
        assert ask(gateway.port, "/orders/1").status == undecided
    finally:
        world.sidecar.start()
    assert len(world.app.seen) == reached
    assert_ours(ask(gateway.port, "/orders/1", [line]))
