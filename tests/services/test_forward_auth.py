"""What the sidecar answers to proxies: whatever comes, it is one of five statuses, and 200 only with a token."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.config.verifier_file import check_file
from sealwright.config.verifier_tables import VerifierFile
from sealwright.events import TokenDecided
from sealwright.jose import base64url
from sealwright.profiles.dpop_proof import sign_proof
from sealwright.services.verifier_service.forward_auth import ForwardAuth
from sealwright.wiring.verifying import build_verifying

CLOCK = ManualClock()
KEY, CLIENT = sw.PrivateJWK.generate("EdDSA", key_id="k"), sw.PrivateJWK.generate("ES256")
ISSUER, HOST = "https://id.example", "orders.example"
IDENTITY = [b"x-sealwright-issuer", b"x-sealwright-name", b"x-sealwright-scopes", b"x-sealwright-subject"]
DER = b"0\x82 a certificate of the caller"
X5T = base64url.encode_text(hashlib.sha256(DER).digest())
XFCC = b"Hash=" + hashlib.sha256(DER).hexdigest().encode()
Pairs = list[tuple[bytes, bytes]]


class Edge:
    """The endpoints over one issuer, and every decision that operators were told of."""

    def __init__(self, *, routes: bool = True, binding: tuple[str, ...] = ("dpop", "mtls"), **edge: Any) -> None:
        folder = Path(tempfile.mkdtemp())
        (folder / "keys.json").write_text(json.dumps(sw.JWKSet([KEY.public]).to_dict()))
        issuer = {"profile": "any", "audience": "orders", "keys_file": "keys.json", "binding": list(binding)}
        given = {"GET /orders/**": {"scopes": ["read"]}, "/quoted": {"scopes": ['a"b']}, "/named": {}} if routes else {}
        tables = {"issuers": {ISSUER: issuer}, "routes": given, "replay": {}, "edge": {"realm": "orders", **edge}}
        file = VerifierFile.model_validate({**tables, "identity": {"name": "name"}})
        self.decided: list[TokenDecided] = []
        self.app = ForwardAuth(build_verifying(file, folder, self, CLOCK), file.edge)

    def observe(self, event: Any) -> None:
        if isinstance(event, TokenDecided):
            self.decided.append(event)

    def ask(self, scope: dict[str, Any]) -> tuple[int, Pairs]:
        return asyncio.run(answer(self.app, scope))

    def asked(self, path: str = "/forward-auth", headers: Iterable[tuple[str, str]] = (), **more: Any) -> Told:
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        return Told(*self.ask(scope_of(path, pairs, **more)))


class Told:
    def __init__(self, status: int, headers: Pairs) -> None:
        self.status, self.pairs = status, headers
        self.headers = {name.decode(): value.decode() for name, value in headers}

    @property
    def challenge(self) -> str:
        return self.headers["www-authenticate"]


async def answer(app: ForwardAuth, scope: dict[str, Any]) -> tuple[int, Pairs]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("the body is nobody's concern")

    await app(scope, receive, send)
    start, body = sent
    assert (start["type"], body) == ("http.response.start", {"type": "http.response.body", "body": b""})
    return start["status"], list(start["headers"])


def scope_of(
    path: str, headers: Pairs, *, method: str = "GET", peer: str | None = "10.1.2.3", **more: Any
) -> dict[str, Any]:
    server = ("/run/verifier.sock", None) if peer == "unix" else ("127.0.0.1", 8701)
    client = None if peer in (None, "unix") else (peer, 1)
    common = {"type": "http", "method": method, "path": path, "raw_path": path.encode("latin-1"), "headers": headers}
    return {**common, "client": client, "server": server, **more}


def token(scope: str = "read", **claims: Any) -> str:
    return sw.sign_claims(
        {"sub": "alice", "scope": scope, **claims}, KEY, issuer=ISSUER, audience="orders", lifetime_s=600, clock=CLOCK
    )


def said(target: str = "/orders/1", method: str = "GET", *, authorization: str | None = None) -> list[tuple[str, str]]:
    lines = [("x-forwarded-method", method), ("x-forwarded-uri", target)]
    return [*lines, ("authorization", authorization if authorization is not None else f"Bearer {token()}")]


GOOD = token()
EDGE = Edge(proxies=["10.0.0.0/8"], certificate_form="xfcc")
NAMES = [
    b"authorization", b"dpop", b"host", b"x-forwarded-method", b"x-forwarded-uri", b"x-forwarded-proto",
    b"x-forwarded-host", b"x-original-method", b"x-original-uri", b"x-original-proto", b"x-original-host",
    b"x-forwarded-client-cert", b"x-sealwright-subject", b"connection", b"upgrade", b"transfer-encoding",
]  # fmt: skip
VALUES = [
    f"Bearer {GOOD}".encode(), f"DPoP {GOOD}".encode(), GOOD.encode(), b"Bearer", b"Bearer a b", b"GET", b"/orders/1",
    b"/orders/../x", b"//orders", b"https", HOST.encode(), XFCC, b"a\r\nX-Sealwright-Subject: admin", b"\xff", b"",
]  # fmt: skip
PATHS = ["/forward-auth", "/auth-request", "/ext-authz/orders/1", "/ext-authz", "/ext-authz//orders/1", "/ext-authz*"]
header = st.tuples(st.sampled_from(NAMES) | st.binary(max_size=12), st.sampled_from(VALUES) | st.binary(max_size=40))
PEERS = st.sampled_from(["10.1.2.3", "203.0.113.7", "not an address", "unix", None])


@st.composite
def anything(draw: st.DrawFn) -> dict[str, Any]:
    path = draw(st.sampled_from(PATHS) | st.text(max_size=12).map(lambda rest: f"/ext-authz{rest}"))
    raw = draw(st.just(path.encode()) | st.binary(max_size=30).map(lambda rest: b"/ext-authz/orders/" + rest))
    method = draw(st.sampled_from(["GET", "POST", "get", "", "HEAD"]) | st.text(max_size=8))
    scope = scope_of("/x", draw(st.lists(header, max_size=9)), method=method, peer=draw(PEERS))
    scope.pop(draw(st.sampled_from(["extensions", "headers", "raw_path", "client"])), None)
    return {**scope, "path": path, "raw_path": raw} if "raw_path" in scope else {**scope, "path": path}


@st.composite
def nearly_good(draw: st.DrawFn) -> dict[str, Any]:
    """A request that would pass, with some headers more or fewer."""
    path, kind = draw(
        st.sampled_from([("/forward-auth", b"forwarded"), ("/auth-request", b"original"), (PATHS[2], b"")])
    )
    said_so = [(b"x-%b-method" % kind, b"GET"), (b"x-%b-uri" % kind, b"/orders/1"), (b"authorization", VALUES[0])]
    pairs = draw(st.permutations([*said_so, *draw(st.lists(header, max_size=2))]))
    return scope_of(path, pairs[draw(st.sampled_from([0, 0, 0, 1])) :], peer=draw(PEERS))


@given(scope=anything() | nearly_good())
def test_whatever_comes_ends_in_one_of_five_answers_and_counts_once(scope: dict[str, Any]) -> None:
    pairs: Pairs = scope.get("headers", [])
    before = len(EDGE.decided)
    status, headers = EDGE.ask(scope)
    names = [name for name, _ in headers]
    assert all(value.isascii() and value.decode().isprintable() for _, value in headers)
    assert len(EDGE.decided) == before + 1
    assert (b"content-length", b"0") in headers
    decided = EDGE.decided[-1]
    if status == 200:
        assert sorted(name for name in names if name.startswith(b"x-sealwright-")) == IDENTITY
        assert [value.strip() for name, value in pairs if name == b"authorization"] == [VALUES[0]]
        assert decided.reason is None
        return
    assert status in {400, 401, 403, 503}
    assert not any(name.startswith(b"x-sealwright-") for name in names)
    assert decided.reason is not None
    assert decided.reason not in str(headers)
    assert names.count(b"retry-after" if status == 503 else b"www-authenticate") == 1


def test_a_good_token_gets_every_header_of_the_identity_once() -> None:
    told = EDGE.asked(headers=said())
    assert told.status == 200
    assert told.pairs == [
        (b"x-sealwright-issuer", ISSUER.encode()),
        (b"x-sealwright-name", b""),
        (b"x-sealwright-scopes", b"read"),
        (b"x-sealwright-subject", b"alice"),
        (b"content-length", b"0"),
    ]
    assert EDGE.asked("/ext-authz/orders/1", [said()[2]]).status == 200
    assert EDGE.asked("/ext-authz/other", [said()[2]]).status == 403


def test_no_value_loses_its_ends_or_splits_a_list() -> None:
    lines = said("/named", authorization=f"Bearer {token(name=' a, b%0d ', scope='x,y z')}")
    told = EDGE.asked(headers=lines)
    assert (told.headers["x-sealwright-name"], told.headers["x-sealwright-scopes"]) == (
        "%20a%2C%20b%250d%20",
        "x%2Cy,z",
    )


@pytest.mark.parametrize("name", ["x-forwarded-method", "x-forwarded-uri", "authorization", "x-forwarded-host"])
def test_what_decides_and_is_there_twice_is_no_request(name: str) -> None:
    told = EDGE.asked(headers=[*said(), ("x-forwarded-host", HOST), (name, dict(said()).get(name, HOST))])
    assert (told.status, EDGE.decided[-1].reason) == (400, "request.malformed")


def test_what_other_proxies_say_is_not_listened_to() -> None:
    others = [("x-original-method", "GET"), ("x-original-uri", "/orders/1")]
    assert EDGE.asked(headers=[*said("/other"), *others, *others]).status == 403
    assert EDGE.asked("/auth-request", said()).headers["x-auth-status"] == "400"


def test_nginx_is_told_only_what_it_understands() -> None:
    lines = [("x-original-method", "GET"), ("x-original-uri", "/orders/1")]
    told = EDGE.asked("/auth-request", [*lines, ("authorization", "Bearer a b")])
    assert (told.status, told.headers["x-auth-status"]) == (403, "400")
    assert 'error="invalid_request"' in told.challenge
    assert EDGE.asked("/auth-request", lines).status == 401
    assert EDGE.asked("/auth-request", [*lines, said()[2]]).status == 200


def test_a_challenge_names_the_scopes_of_the_route_where_it_can() -> None:
    told = EDGE.asked(headers=said(authorization=f"Bearer {token('other')}"))
    assert (told.status, told.challenge.count('scope="read"')) == (403, 2)
    quoted = EDGE.asked(headers=said("/quoted"))
    assert quoted.status == 403
    assert "scope=" not in quoted.challenge


def test_without_dpop_there_is_one_challenge_and_with_it_the_proof_has_its_own_error() -> None:
    bound = token(cnf={"jkt": "A" * 43})
    told = EDGE.asked(headers=said(authorization=f"DPoP {bound}"))
    assert told.status == 401
    bearer, _, proof = told.challenge.partition(", DPoP ")
    assert "error" not in bearer
    assert 'error="invalid_token"' in proof


@pytest.mark.parametrize("binding", [(), ("mtls",)])
def test_where_nobody_takes_proofs_a_token_that_comes_by_their_scheme_is_none(binding: tuple[str, ...]) -> None:
    one = Edge(binding=binding)
    told = one.asked(headers=said(authorization=f"DPoP {token()}"))
    assert (told.status, told.challenge) == (401, 'Bearer realm="orders"')
    assert one.decided[-1].reason == "credential.missing"
    assert one.asked(headers=said()).status == 200


@pytest.mark.parametrize(
    ("edge", "more", "good"),
    [
        ({}, [("x-forwarded-proto", "https"), ("x-forwarded-host", HOST)], True),
        ({}, [("x-forwarded-proto", "http"), ("x-forwarded-host", HOST)], False),
        ({}, [("x-forwarded-proto", "https"), ("x-forwarded-host", "evil@orders.example")], False),
        ({}, [("x-forwarded-host", HOST)], False),
        ({"public_url": f"https://{HOST}"}, [("x-forwarded-host", "evil.example")], True),
        ({"public_url": "https://other.example"}, [("x-forwarded-proto", "https"), ("x-forwarded-host", HOST)], False),
    ],
)
def test_a_proof_is_for_the_public_url_or_for_what_the_proxy_says(
    edge: dict[str, str], more: list[tuple[str, str]], good: bool
) -> None:
    bound = token(cnf={"jkt": CLIENT.public.thumbprint()})
    proof = sign_proof(CLIENT, "GET", f"https://{HOST}/orders/1", token=bound, clock=CLOCK)
    lines = [*said(authorization=f"DPoP {bound}"), ("dpop", proof), *more]
    one = Edge(**edge)
    assert one.asked(headers=[*lines, ("dpop", proof)]).status == 401
    assert one.decided[-1].reason == "binding.proof"
    assert one.asked(headers=lines).status == (200 if good else 401)
    assert one.asked(headers=lines).status == 401


def test_no_target_turns_the_public_url_into_another() -> None:
    one, bound = Edge(routes=False, public_url=f"https://{HOST}"), token(cnf={"jkt": CLIENT.public.thumbprint()})
    for target, status in ((".evil.example/orders/1", 400), ("@evil.example/", 400), (":1/", 400), ("/orders/1", 200)):
        proof = sign_proof(CLIENT, "GET", f"https://{HOST}{target}", token=bound, clock=CLOCK)
        assert one.asked(headers=[*said(target, authorization=f"DPoP {bound}"), ("dpop", proof)]).status == status


@pytest.mark.parametrize(
    ("proxies", "peer", "good"),
    [
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "203.0.113.7", False),
        (["10.0.0.0/8"], "unix", False),
        (["unix"], "unix", True),
        (["unix"], "10.1.2.3", False),
        (["unix"], None, False),  # a TCP connection that is gone
        (["unix", "10.0.0.0/8"], "10.1.2.3", True),
        (None, "10.1.2.3", False),
    ],
)
def test_only_a_listed_proxy_speaks_of_the_callers_certificate(
    proxies: list[str] | None, peer: str | None, good: bool
) -> None:
    edge = {} if proxies is None else {"proxies": proxies, "certificate_form": "xfcc"}
    one, bound = Edge(**edge), token(cnf={"x5t#S256": X5T})
    lines = [*said(authorization=f"Bearer {bound}"), ("x-forwarded-client-cert", XFCC.decode())]
    assert one.asked(headers=lines, peer=peer).status == (200 if good else 401)
    assert one.asked(headers=lines[:-1], peer=peer).status == 401
    if good:
        assert one.asked(headers=[*lines, lines[-1]], peer=peer).status == 401
        assert one.decided[-1].reason == "binding.proof"
        assert one.asked(headers=[*lines[:-1], (lines[-1][0], "Hash=zz")], peer=peer).status == 401


def test_a_path_that_only_decodes_to_the_prefix_is_nobodys_question() -> None:
    scope = scope_of("/ext-authz/orders/1", [(b"authorization", VALUES[0])])
    assert EDGE.ask({**scope, "raw_path": b"/%65xt-%61/orders/1"})[0] == 400


@pytest.mark.parametrize(
    "edge",
    [
        'public_url = "https://orders.example/api"', 'public_url = "https://a@orders.example"',
        'proxies = ["everybody"]', 'proxies = ["10.0.0.1/8"]', 'proxies = ["unix"]\ncertificate_form = "pem"',
        "proxies = []", 'certificate_form = "der"',
    ],
)  # fmt: skip
def test_what_cannot_be_meant_stops_the_start(tmp_path: Path, edge: str) -> None:
    issuer = f'[issuers."{ISSUER}"]\nprofile = "jwt"\naudience = "orders"\ndiscovery = true\n'
    (tmp_path / "verifier.toml").write_text(f"[edge]\n{edge}\n{issuer}")
    assert [fault.key[0] for fault in check_file(tmp_path / "verifier.toml").faults] == ["edge"]
