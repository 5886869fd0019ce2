"""What every integration promises: a good token passes, everything else ends in a clean 400, 401, 403 or 503."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import binding_parts as parts
import pytest
from guarded_apps import FRAMEWORKS, WITH_ROUTES, WRITE, Build, Call
from http_callers import Answered
from hypothesis import given, settings
from hypothesis import strategies as st

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.integrations.asked import Asked, Shown
from sealwright.integrations.guard import Guard
from sealwright.profiles.dpop_proof import sign_proof
from sealwright.trust.admission import Admission
from sealwright.trust.binding import Binding
from sealwright.trust.client_certificates import TrustedProxies
from sealwright.trust.dpop import DpopProofs
from sealwright.trust.dpop_nonces import DpopNonces
from sealwright.trust.evidence import NO_EVIDENCE, Evidence
from sealwright.trust.identity import IdentityMap
from sealwright.trust.routes import RouteRule, Routes
from sealwright.trust.sources.static import StaticKeys

PUBLIC_URL = "https://orders.example"
Open = Callable[..., Call]


class Broken:
    """A source of keys that fails as it is told to."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def find(self, key_id: str | None) -> Any:
        if self.error is not None:
            raise self.error
        return StaticKeys(parts.ISSUER_KEY.public).find(key_id)

    async def afind(self, key_id: str | None) -> Any:
        return self.find(key_id)

    def close(self) -> None:
        pass


class FailingVerifier(sw.Verifier):
    """Even a verifier that breaks its promise lets nobody in."""

    def decide(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("out of order")

    async def adecide(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("out of order")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def plain(clock: ManualClock, keys: Any = None, kind: Any = sw.Verifier, **rules: Any) -> sw.Verifier:
    source = parts.ISSUER_KEY.public if keys is None else keys
    made: sw.Verifier = kind(issuer=parts.ISSUER, audience=parts.AUDIENCE, keys=source, clock=clock, **rules)
    return made


def opening(framework: Build, clock: ManualClock, stack: contextlib.ExitStack) -> Open:
    def opened(verifier: sw.Verifier | None = None, **options: Any) -> Call:
        return stack.enter_context(framework(verifier or plain(clock), realm="orders", **options))

    return opened


@pytest.fixture(params=FRAMEWORKS)
def opened(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[Open]:
    with contextlib.ExitStack() as stack:
        yield opening(FRAMEWORKS[request.param], clock, stack)


@pytest.fixture(params=WITH_ROUTES)
def routed(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[Open]:
    with contextlib.ExitStack() as stack:
        yield opening(FRAMEWORKS[request.param], clock, stack)


def bearing(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")]


def accepted(answer: Answered) -> bool:
    return answer.status == 200 and json.loads(answer.body) == {"subject": "alice"}


def refused(answer: Answered, status: int, *challenges: str) -> None:
    """With one challenge for each scheme, none of it kept by a cache, and a body that says no more than the status."""
    assert answer.status == status
    assert answer.all("WWW-Authenticate") == list(challenges)
    assert answer.all("Cache-Control") == ["no-store"]
    assert "subject" not in json.loads(answer.body)
    assert len(answer.body) < 100


BARE = 'Bearer realm="orders"'


def told(code: str, description: str, scope: str = "") -> str:
    named = f', scope="{scope}"' if scope else ""
    return f'{BARE}, error="{code}", error_description="{description}"{named}'


def test_a_good_token_passes_and_the_application_sees_whose_it_is(opened: Open, clock: ManualClock) -> None:
    assert accepted(opened()("GET", "/orders", bearing(parts.token(clock))))


@pytest.mark.parametrize("lines", [[], [("Authorization", "Basic YWxpY2U6cGFzcw==")], [("Authorization", "")]])
def test_a_missing_token_is_401_without_an_error_code(opened: Open, lines: Any) -> None:
    refused(opened()("GET", "/orders", lines), 401, BARE)


def test_a_token_in_query_cookie_or_another_header_is_no_token(opened: Open, clock: ManualClock) -> None:
    token = parts.token(clock)
    lines = [("Cookie", f"access_token={token}"), ("X-Authorization", f"Bearer {token}")]
    lines.append(("Proxy-Authorization", f"Bearer {token}"))
    refused(opened()("GET", f"/orders?access_token={token}", lines), 401, BARE)


@pytest.mark.parametrize("value", ["Bearer", "Bearer a b", 'Bearer "a"', "Bearer \xe9", "Bearer a, Bearer b"])
def test_a_broken_credential_is_400(opened: Open, value: str) -> None:
    answer = opened()("GET", "/orders", [("Authorization", value)])
    refused(answer, 400, told("invalid_request", "the Authorization header is not one token"))


def test_two_authorization_headers_are_400_though_both_are_good(opened: Open, clock: ManualClock) -> None:
    answer = opened()("GET", "/orders", bearing(parts.token(clock)) * 2)
    assert answer.status == 400
    assert 'error="invalid_request"' in answer.all("WWW-Authenticate")[0]


def test_a_good_token_beside_another_credential_does_not_pass(opened: Open, clock: ManualClock) -> None:
    other, good = ("Authorization", "Basic YTpi"), bearing(parts.token(clock))[0]
    assert opened()("GET", "/orders", [other, good]).status in (400, 401)
    assert opened()("GET", "/orders", [good, other]).status == 400


def test_an_expired_token_is_401_invalid_token(opened: Open, clock: ManualClock) -> None:
    token = parts.token(clock, exp=int(clock.now()) - 3600)
    refused(opened()("GET", "/orders", bearing(token)), 401, told("invalid_token", "the token has expired"))


def test_a_forged_token_is_401(opened: Open, clock: ManualClock) -> None:
    head, _, tail = parts.token(clock).rpartition(".")
    answer = opened()("GET", "/orders", bearing(f"{head}.{tail[::-1]}"))
    assert (answer.status, json.loads(answer.body).get("subject")) == (401, None)


def test_too_little_scope_is_403_and_names_the_configured_scopes(opened: Open, clock: ManualClock) -> None:
    call = opened(scopes=["orders:read", "orders:list"])
    lacking = "the token lacks the scope: orders:list"
    answer = call("GET", "/orders", bearing(parts.token(clock, scope="orders:read")))
    refused(answer, 403, told("insufficient_scope", lacking, "orders:list orders:read"))
    assert accepted(call("GET", "/orders", bearing(parts.token(clock, scope="orders:read orders:list"))))


def test_scopes_of_the_policy_are_named_too(opened: Open, clock: ManualClock) -> None:
    call = opened(plain(clock, required_scopes={"orders:read"}))
    answer = call("GET", "/orders", bearing(parts.token(clock)))
    refused(answer, 403, told("insufficient_scope", "the token lacks the scope: orders:read", "orders:read"))


def test_a_route_needs_its_own_scopes_beside_the_configured_ones(routed: Open, clock: ManualClock) -> None:
    call = routed(scopes=["orders:read"])
    for scope, lacking in (("orders:read", WRITE), (WRITE, "orders:read")):
        answer = call("POST", "/write", bearing(parts.token(clock, scope=scope)))
        described = f"the token lacks the scope: {lacking}"
        refused(answer, 403, told("insufficient_scope", described, f"orders:read {WRITE}"))
    assert accepted(call("POST", "/write", bearing(parts.token(clock, scope=f"orders:read {WRITE}"))))
    assert accepted(call("GET", "/orders", bearing(parts.token(clock, scope="orders:read"))))


def test_a_key_source_that_is_down_is_503_to_be_tried_again_and_is_not_remembered(
    opened: Open, clock: ManualClock
) -> None:
    source = Broken(sw.UnavailableError(sw.Reason.SOURCE_UNAVAILABLE, "no keys"))
    call = opened(plain(clock, source))
    answer = call("GET", "/orders", bearing(parts.token(clock)))
    refused(answer, 503)
    assert answer.all("Retry-After") == ["1"]
    source.error = None
    assert accepted(call("GET", "/orders", bearing(parts.token(clock))))


@pytest.mark.parametrize(
    "error", [RuntimeError("boom"), KeyError("kid"), sw.ConfigurationError("settings.invalid", "x")]
)
def test_a_fault_inside_of_the_verifier_is_503_and_never_a_pass(
    opened: Open, clock: ManualClock, error: Exception
) -> None:
    refused(opened(plain(clock, Broken(error)))("GET", "/orders", bearing(parts.token(clock))), 503)


def test_a_verifier_that_raises_is_503_and_never_a_pass(opened: Open, clock: ManualClock) -> None:
    call = opened(plain(clock, kind=FailingVerifier))
    refused(call("GET", "/orders", bearing(parts.token(clock))), 503)


def test_neither_token_nor_reason_is_told_to_strangers_or_logs(
    opened: Open, clock: ManualClock, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = [
        parts.token(clock, exp=1),
        parts.token(clock, aud="bills"),
        parts.token(clock, iss="https://other.example"),
        parts.bound_token(clock),
        parts.token(clock)[:-4],
        "not-a-token-at-all",
    ]
    call = opened(scopes=["orders:read"])
    for token in [*tokens, parts.token(clock)]:
        answer = call("GET", "/orders", bearing(token))
        assert answer.status in (401, 403)
        written = "".join([str(answer.lines), answer.body.decode(), caplog.text, *capfd.readouterr()])
        assert token not in written
        assert not re.search("|".join(rf"\b{re.escape(reason)}\b" for reason in sw.Reason), written)


class Reasons:
    """An observer that keeps why."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def observe(self, event: Any) -> None:
        self.seen.append(event.reason)


def test_the_observer_of_the_verifier_is_told_each_reason_once(opened: Open, clock: ManualClock) -> None:
    reasons = Reasons()
    call = opened(plain(clock, observer=reasons), scopes=["orders:read"])
    call("GET", "/orders")
    call("GET", "/orders", bearing("a b"))
    call("GET", "/orders", bearing(parts.token(clock, exp=1)))
    call("GET", "/orders", bearing(parts.token(clock)))
    call("GET", "/orders", bearing(parts.token(clock, scope="orders:read")))
    assert reasons.seen == ["credential.missing", "request.malformed", "claims.expired", "claims.scope", None]


def test_a_token_is_decided_over_once_with_all_scopes_of_its_route(routed: Open, clock: ManualClock) -> None:
    reasons = Reasons()
    call = routed(plain(clock, observer=reasons))
    call("POST", "/write", bearing(parts.token(clock)))
    call("POST", "/write", bearing(parts.token(clock, scope=WRITE)))
    assert reasons.seen == ["claims.scope", None]


def test_what_a_request_keeps_shows_no_token() -> None:
    asked = Asked("GET", "/", "/", bearing("secret"), kept={None: (Shown("secret", NO_EVIDENCE), None)})  # type: ignore
    assert "secret" not in repr(asked) + repr(dict(asked.kept))


def test_a_bound_token_without_evidence_is_refused(opened: Open, clock: ManualClock) -> None:
    for lines in (bearing(parts.bound_token(clock)), [("Authorization", f"DPoP {parts.bound_token(clock)}")]):
        assert opened()("GET", "/orders", lines).status == 401
    proof = ("DPoP", sign_proof(parts.CLIENT_KEY, "GET", f"{PUBLIC_URL}/orders", token="x", clock=clock))
    assert opened()("GET", "/orders", [*bearing(parts.bound_token(clock)), proof]).status == 401


def test_the_scheme_dpop_is_none_where_no_proofs_are_taken(opened: Open, clock: ManualClock) -> None:
    refused(opened()("GET", "/orders", [("Authorization", f"DPoP {parts.token(clock)}")]), 401, BARE)


# --- DPoP


def with_dpop(clock: ManualClock, **changes: Any) -> sw.Verifier:
    nonces = DpopNonces([b"n" * 32])
    return parts.verifier(clock, parts.OnceEach(clock), dpop=DpopProofs(nonces=nonces), **changes)


def proven(clock: ManualClock, token: str, url: str, method: str = "GET", **more: Any) -> list[tuple[str, str]]:
    proof = sign_proof(parts.CLIENT_KEY, method, url, token=token, clock=clock, **more)
    return [("Authorization", f"DPoP {token}"), ("DPoP", proof)]


def challenged(call: Call, clock: ManualClock, token: str, target: str = "/orders", method: str = "GET") -> str:
    """The nonce that a proof without one is answered with."""
    answer = call(method, target, proven(clock, token, f"{PUBLIC_URL}{target}", method))
    of_bearer, of_dpop = answer.all("WWW-Authenticate")
    assert (answer.status, of_bearer.partition(", scope=")[0]) == (401, BARE)
    assert of_dpop.startswith('DPoP realm="orders", error="use_dpop_nonce", error_description=')
    assert 'algs="ES256 ES384' in of_dpop
    return answer.all("DPoP-Nonce")[0]


def test_a_dpop_proof_counts_once_and_a_missing_nonce_is_asked_for(opened: Open, clock: ManualClock) -> None:
    call, token = opened(with_dpop(clock), public_url=PUBLIC_URL), parts.bound_token(clock)
    lines = proven(clock, token, f"{PUBLIC_URL}/orders", nonce=challenged(call, clock, token))
    assert accepted(call("GET", "/orders", lines))
    again = call("GET", "/orders", lines)
    assert again.status == 401
    assert 'error="invalid_token"' in again.all("WWW-Authenticate")[1]


def test_a_route_with_scopes_uses_up_one_proof_and_not_two(routed: Open, clock: ManualClock) -> None:
    call = routed(with_dpop(clock), public_url=PUBLIC_URL)
    token = parts.token(clock, cnf={"jkt": parts.JKT}, scope=WRITE)
    nonce = challenged(call, clock, token, "/write", "POST")
    assert accepted(call("POST", "/write", proven(clock, token, f"{PUBLIC_URL}/write", "POST", nonce=nonce)))


@pytest.mark.parametrize(
    ("method", "url"),
    [("POST", f"{PUBLIC_URL}/orders"), ("GET", "https://evil.example/orders"), ("GET", f"{PUBLIC_URL}/others")],
)
def test_a_proof_for_another_request_is_refused(opened: Open, clock: ManualClock, method: str, url: str) -> None:
    call, token = opened(with_dpop(clock), public_url=PUBLIC_URL), parts.bound_token(clock)
    nonce = challenged(call, clock, token)
    answer = call("GET", "/orders", proven(clock, token, url, method, nonce=nonce))
    assert answer.status == 401
    assert 'error="invalid_dpop_proof"' in answer.all("WWW-Authenticate")[1]


def test_no_header_moves_a_proof_to_another_host(opened: Open, clock: ManualClock) -> None:
    call, token = opened(with_dpop(clock), public_url=PUBLIC_URL), parts.bound_token(clock)
    lines = proven(clock, token, "https://evil.example/orders", nonce=challenged(call, clock, token))
    lines += [("Host", "evil.example"), ("X-Forwarded-Host", "evil.example"), ("X_Forwarded_Host", "evil.example")]
    lines += [("Forwarded", "host=evil.example;proto=https"), ("X-Forwarded-Proto", "https")]
    lines += [("X-Original-URL", "https://evil.example/orders"), ("Request-URI", "https://evil.example/orders")]
    assert call("GET", "/orders", lines).status == 401


def test_the_public_url_keeps_what_a_proxy_takes_away_from_the_path(opened: Open, clock: ManualClock) -> None:
    call, token = opened(with_dpop(clock), public_url=f"{PUBLIC_URL}/shop/"), parts.bound_token(clock)
    url = f"{PUBLIC_URL}/shop/orders"
    nonce = call("GET", "/orders", proven(clock, token, url)).all("DPoP-Nonce")[0]
    assert accepted(call("GET", "/orders", proven(clock, token, url, nonce=nonce)))


def test_only_dpop_is_offered_where_nothing_else_is_taken(opened: Open, clock: ManualClock) -> None:
    call = opened(with_dpop(clock, one_of_required=frozenset({"jkt"})), public_url=PUBLIC_URL)
    for lines in ([], bearing(parts.token(clock))):
        (challenge,) = call("GET", "/orders", lines).all("WWW-Authenticate")
        assert challenge.startswith("DPoP ")
        assert ('error="invalid_token"' in challenge) == bool(lines)


def test_proxies_may_tell_the_certificate_and_nobody_else(opened: Open, clock: ManualClock) -> None:
    policy = sw.VerificationPolicy(issuer=parts.ISSUER, audience=parts.AUDIENCE)
    trusted = sw.TrustedIssuer(policy, StaticKeys(parts.ISSUER_KEY.public), Binding())
    verifier = sw.Verifier(issuers=[trusted], clock=clock)
    token = parts.token(clock, cnf={"x5t#S256": "q" * 42 + "o"})  # 32 times 0xaa
    lines = [*bearing(token), ("X-Forwarded-Client-Cert", f"Hash={'aa' * 32}")]
    near = opened(verifier, proxies=TrustedProxies(("127.0.0.1",), form="xfcc"))
    far = opened(verifier, proxies=TrustedProxies(("10.0.0.0/8",), form="xfcc"))
    assert accepted(near("GET", "/orders", lines))
    assert far("GET", "/orders", lines).status == 401
    assert near("GET", "/orders", bearing(token)).status == 401


class Recorder:
    """A check that keeps what it was shown and has no objections."""

    name, expects = "recorder", "nothing"

    def __init__(self) -> None:
        self.seen: list[Evidence] = []

    def check(self, proven: Any, _: float) -> None:
        self.seen.append(proven.evidence)

    async def acheck(self, proven: Any, now: float) -> None:
        self.check(proven, now)


def checked_by(check: Any, clock: ManualClock) -> sw.Verifier:
    policy = sw.VerificationPolicy(issuer=parts.ISSUER, audience=parts.AUDIENCE)
    trusted = sw.TrustedIssuer(policy, StaticKeys(parts.ISSUER_KEY.public), checks=(check,))
    return sw.Verifier(issuers=[trusted], clock=clock)


def test_checks_are_shown_the_request_and_no_url_that_nobody_vouched_for(opened: Open, clock: ManualClock) -> None:
    for public_url, url in ((None, None), (PUBLIC_URL, f"{PUBLIC_URL}/orders%40x")):
        recorder = Recorder()
        call = opened(checked_by(recorder, clock), public_url=public_url)
        assert accepted(call("GET", "/orders%40x?page=2", [*bearing(parts.token(clock)), ("Host", "evil.example")]))
        assert recorder.seen == [Evidence(method="GET", url=url, path="/orders%40x", scheme="bearer")]


def test_routes_of_the_issuer_hold_for_the_path_that_the_application_sees(opened: Open, clock: ManualClock) -> None:
    routes = Routes([RouteRule.parse("GET /orders"), RouteRule.parse("/admin/**", scopes=["admin"])])
    call = opened(checked_by(Admission(IdentityMap(), routes), clock))
    token = parts.token(clock)
    targets = ["/orders", "/%6frders", "/others", "/admin/keys", "/orders/../admin/keys"]
    assert [call("GET", target, bearing(token)).status for target in targets] == [200, 200, 403, 403, 400]
    assert call("GET", "/admin%2fkeys", bearing(token)).status in (403, 400)  # functions see the path as it was sent


# --- what is public


def test_what_is_listed_needs_no_token_and_is_told_of_none(opened: Open, clock: ManualClock) -> None:
    call = opened(public=["GET /healthz"])
    for lines in ([], bearing("nonsense"), bearing(parts.token(clock))):
        answer = call("GET", "/healthz", lines)
        assert (answer.status, json.loads(answer.body)) == (200, {"subject": None})


AROUND = ["/healthz/", "//healthz", "/healthz/..", "/HEALTHZ", "/healthz;a", "/healthz%2f", "/%68ealthz/%2e%2e/orders"]


@pytest.mark.parametrize("name", [name for name in FRAMEWORKS if name != "fastapi"])
@pytest.mark.parametrize(
    "target", ["/orders", "/healthz/orders", "/healthz/../orders", "/healthz%2f..%2forders", *AROUND]
)
def test_nothing_that_looks_like_a_public_path_is_one(name: str, target: str, clock: ManualClock) -> None:
    with FRAMEWORKS[name](plain(clock), realm="orders", public=["/healthz"]) as call:
        answer = call("GET", target)
        assert answer.status == 401 or target in ("/healthz/", "/healthz%2f")  # a slash at its end says nothing new


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_head_and_options_are_methods_like_any_other(opened: Open, clock: ManualClock, method: str) -> None:
    call = opened(public=["GET /orders"])
    answer = call(method, "/orders")
    assert (answer.status, answer.all("WWW-Authenticate")) == (401, [BARE])
    assert call(method, "/orders", bearing(parts.token(clock))).status == 200


def test_head_and_options_are_public_where_they_are_listed(clock: ManualClock) -> None:
    for name in FRAMEWORKS.keys() - {"fastapi"}:
        with FRAMEWORKS[name](plain(clock), realm="orders", public=["HEAD,OPTIONS /**"]) as call:
            assert [call(method, "/orders").status for method in ("HEAD", "OPTIONS", "GET")] == [200, 200, 401]


# --- headers that look like ours


@pytest.mark.parametrize(
    "name",
    [
        "Sealwright",
        "sealwright.verified",
        "sealwright.kept",
        "Sealwright-Verified",
        "sealwright_verified",
        "HTTP_AUTHORIZATION",
        "HTTP-AUTHORIZATION",
        "X_Authorization",
        "State",
        "Remote-User",
        "SSL-CLIENT-CERT",
    ],
)
def test_no_header_is_taken_for_what_the_guard_found(opened: Open, clock: ManualClock, name: str) -> None:
    call = opened(public=["GET /healthz"])
    assert call("GET", "/orders", [(name, f"Bearer {parts.token(clock)}")]).status == 401
    assert json.loads(call("GET", "/healthz", [(name, parts.token(clock))]).body) == {"subject": None}


@settings(max_examples=30)
@given(value=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40))
def test_whatever_the_header_says_the_answer_is_clean(value: str) -> None:
    clock = ManualClock()
    for build in FRAMEWORKS.values():
        with build(plain(clock), realm="orders") as call:
            for line in (value, f"Bearer {value}", f"DPoP {value}"):
                assert call("GET", "/orders", [("Authorization", line)]).status in (400, 401)


# --- settings


@pytest.mark.parametrize(
    "options",
    [
        {"realm": 'a"b'},
        {"scopes": "orders:read"},
        {"scopes": ["orders:read orders:write"]},
        {"scopes": [""]},
        {"scopes": ['a"b']},
        {"public": ["healthz"]},
        {"public": ["get /healthz"]},
        {"public": "/healthz"},
        {"public_url": "orders.example"},
        {"public_url": "https://orders.example?x"},
    ],
)
def test_settings_that_mean_nothing_are_refused_at_the_start(clock: ManualClock, options: Any) -> None:
    with pytest.raises(sw.ConfigurationError):
        Guard(plain(clock), **{"realm": "orders", **options})


def test_dpop_needs_the_public_url(clock: ManualClock) -> None:
    with pytest.raises(sw.ConfigurationError, match="public_url"):
        Guard(with_dpop(clock), realm="orders")
