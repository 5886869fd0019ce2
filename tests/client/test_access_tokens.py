"""Where access tokens come from, how long they are kept, and what is never told of them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from token_server import TokenServer, basic_pair

from sealwright.client.access_tokens import AccessTokens
from sealwright.client.client_authentication import ClientSecret, PrivateKeyJwt
from sealwright.client.token_answer import parse_token, refusal
from sealwright.client.token_endpoint import EXCHANGE, TokenEndpoint, Wanted
from sealwright.clock import ManualClock, SleeplessClock
from sealwright.errors import ConfigurationError, Reason, SealwrightError, UnavailableError
from sealwright.jose.jwk import PrivateJWK
from sealwright.trust.verifier import Verifier

SECRET = "s3cret:with+more %"


@pytest.fixture
def server():
    server = TokenServer()
    yield server
    server.stop()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def make(server, clock):
    def made(url=None, client=None, **options):
        url = server.token_url if url is None and "issuer" not in options else url
        endpoint = TokenEndpoint(url, client=client or ClientSecret("billing", SECRET), **options)
        return AccessTokens(endpoint, origins=[server.origin], clock=clock)

    return made


def asked_in_vain(tokens: AccessTokens, server: TokenServer) -> UnavailableError:
    with pytest.raises(UnavailableError) as caught:
        tokens.token_for(server.api_url)
    return caught.value


def test_a_secret_is_sent_as_the_standard_writes_it(server, make) -> None:
    make(wanted=Wanted(scope="orders.read", audience="orders", resources=["https://orders.example"])).token_for(
        server.api_url
    )
    assert basic_pair(server.credentials[0]) == ("billing", SECRET)
    assert server.forms == [
        {
            "grant_type": "client_credentials",
            "scope": "orders.read",
            "audience": "orders",
            "resource": "https://orders.example",
        }
    ]


@pytest.mark.parametrize("alg", ["ES256", "Ed25519", "PS256"])
def test_a_signed_assertion_is_one_that_a_server_accepts_and_each_is_new(server, make, clock, alg) -> None:
    key = PrivateJWK.generate(alg)
    tokens = make(client=PrivateKeyJwt("billing", key))
    tokens.token_for(server.api_url)
    clock.advance(3600)
    tokens.token_for(server.api_url)
    first, second = server.forms
    rules = {"required_claims": {"sub", "jti"}, "maximum_lifetime_s": 60}
    verifier = Verifier(issuer="billing", audience=server.token_url, keys=key.public, **rules)
    seen = verifier.verify(first["client_assertion"])
    assert seen.subject == first["client_id"] == "billing"
    assert first["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert seen.claims["jti"] != verifier.verify(second["client_assertion"]).claims["jti"]
    assert server.credentials == [None, None]


def test_a_subject_token_is_exchanged_and_read_anew_for_each_exchange(server, make, clock) -> None:
    subjects = iter(["subject-1", "subject-2"])
    tokens = make(wanted=Wanted(audience="orders", subject_token=lambda: next(subjects)))
    tokens.token_for(server.api_url)
    clock.advance(3600)
    tokens.token_for(server.api_url)
    assert [form["subject_token"] for form in server.forms] == ["subject-1", "subject-2"]
    assert {form["grant_type"] for form in server.forms} == {EXCHANGE}


@pytest.mark.parametrize(
    "page", ["/.well-known/oauth-authorization-server/tenant", "/tenant/.well-known/openid-configuration"]
)
def test_the_endpoint_is_found_in_the_metadata_of_the_issuer(server, make, page) -> None:
    issuer = f"{server.origin}/tenant"
    server.pages[page] = {"issuer": issuer, "token_endpoint": server.token_url}
    assert make(issuer=issuer).token_for(server.api_url) == "token-1"


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "{origin}/tenant/", "token_endpoint": "{origin}/token"},
        {"token_endpoint": "{origin}/token"},
        {"issuer": "{origin}/tenant"},
        {"issuer": "{origin}/tenant", "token_endpoint": "http://169.254.169.254/token"},
        {"issuer": "{origin}/tenant", "token_endpoint": "http://id.example/token"},
    ],
)
def test_metadata_of_another_issuer_or_without_a_safe_endpoint_give_no_token(server, make, said) -> None:
    server.pages["/.well-known/oauth-authorization-server/tenant"] = {
        name: value.format(origin=server.origin) for name, value in said.items()
    }
    error = asked_in_vain(make(issuer=f"{server.origin}/tenant"), server)
    assert error.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert server.fetches == 0


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (200, b"<html>", Reason.CREDENTIAL_UNAVAILABLE),
        (200, b"[]", Reason.CREDENTIAL_UNAVAILABLE),
        (200, {"access_token": "a"}, Reason.CREDENTIAL_UNAVAILABLE),
        (200, {"access_token": "a", "token_type": "DPoP", "expires_in": 5}, Reason.CREDENTIAL_UNAVAILABLE),
        (200, {"access_token": "a\r\nX: y", "token_type": "bearer"}, Reason.CREDENTIAL_UNAVAILABLE),
        (200, {"access_token": "", "token_type": "bearer"}, Reason.CREDENTIAL_UNAVAILABLE),
        (200, {"access_token": 7, "token_type": "bearer"}, Reason.CREDENTIAL_UNAVAILABLE),
        (200, {"access_token": "a", "token_type": "bearer", "expires_in": 0}, Reason.CREDENTIAL_UNAVAILABLE),
        (200, {"access_token": "a", "token_type": "bearer", "expires_in": True}, Reason.CREDENTIAL_UNAVAILABLE),
        (200, {"access_token": "a", "token_type": "bearer", "expires_in": -(10**400)}, Reason.CREDENTIAL_UNAVAILABLE),
        (200, {"access_token": "a" * 70_000, "token_type": "bearer"}, Reason.CREDENTIAL_UNAVAILABLE),
        (200, b'{"access_token":"a","access_token":"b","token_type":"bearer"}', Reason.CREDENTIAL_UNAVAILABLE),
        (200, b'{"access_token":"' + b"a" * (1 << 21) + b'"}', Reason.CREDENTIAL_UNAVAILABLE),
        (302, b"", Reason.CREDENTIAL_UNAVAILABLE),
        (404, {"error": "x"}, Reason.CREDENTIAL_UNAVAILABLE),
        (503, b"", Reason.CREDENTIAL_UNAVAILABLE),
        (400, {"error": "invalid_scope"}, Reason.CREDENTIAL_REFUSED),
        (401, {"error": "in\nvalid"}, Reason.CREDENTIAL_REFUSED),
        (401, b"no", Reason.CREDENTIAL_REFUSED),
    ],
)
def test_every_other_answer_is_no_token_and_says_which(server, make, status, answer, reason) -> None:
    server.status, server.answer = status, answer
    error = asked_in_vain(make(), server)
    assert error.reason is reason
    assert "\n" not in (error.detail or "")


@pytest.mark.parametrize(
    ("said", "life_s"),
    [(100, 100), ("100", 100), (100.5, 100.5), (None, 60), (10**9, 604_800), (10**400, 604_800)],
    ids=lambda one: str(one)[:12],
)
def test_a_token_is_kept_as_long_as_the_server_says_and_not_for_its_last_tenth(server, make, clock, said, life_s):
    server.lifetime_s = said
    tokens = make()
    tokens.token_for(server.api_url)
    margin_s = min(30, life_s * 0.1)
    clock.advance(life_s - margin_s - 0.5)
    server.gate.clear()  # a renewal ahead hangs, so the first still serves
    assert tokens.token_for(server.api_url) == "token-1"
    server.wait_for_fetches(2)
    clock.advance(0.6)
    server.gate.set()
    assert tokens.token_for(server.api_url) == "token-2"


def test_time_that_passed_while_the_process_was_frozen_counts(server, make, clock) -> None:
    tokens = make()
    tokens.token_for(server.api_url)
    clock.jump(3600)  # only the clock on the wall went on
    assert tokens.token_for(server.api_url) == "token-2"


def test_a_failing_endpoint_is_left_alone_for_longer_and_longer(server, make, clock) -> None:
    server.status, server.answer = 503, b""
    tokens = make()
    seen = []
    for _ in range(40):
        asked_in_vain(tokens, server)
        seen.append(server.fetches)
        clock.advance(0.5)
    assert seen[:2] == [1, 1]
    assert seen[-1] <= 6  # of 20 s: after 1, 2, 4 and 8 of them


def test_a_failed_renewal_takes_nothing_away_from_the_token_that_still_counts(server, make, clock) -> None:
    tokens = make()
    tokens.token_for(server.api_url)
    server.status, server.answer = 503, b""
    clock.advance(3600 * 0.86)
    assert {tokens.token_for(server.api_url) for _ in range(3)} == {"token-1"}
    server.wait_for_fetches(2)
    clock.advance(3600 * 0.14)
    assert asked_in_vain(tokens, server).reason is Reason.CREDENTIAL_UNAVAILABLE


def test_an_endpoint_that_hangs_holds_nobody_for_longer_than_its_deadline(server, make) -> None:
    server.gate.clear()
    error = asked_in_vain(make(timeout_s=0.2), server)
    assert error.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert server.fetches == 1


def test_a_source_of_subject_tokens_that_would_end_the_process_strands_nobody(server, make, clock) -> None:
    given = []

    def subject_token() -> str:
        given.append("a subject token")
        return given[-1] if len(given) > 1 else sys.exit()

    tokens = make(wanted=Wanted(subject_token=subject_token), timeout_s=1)
    assert asked_in_vain(tokens, server).detail == "SystemExit"
    clock.advance(2)
    assert tokens.token_for(server.api_url) == "token-1"


def test_an_endpoint_that_is_not_there_gives_no_token(server, make) -> None:
    assert asked_in_vain(make("http://127.0.0.1:1/token"), server).reason is Reason.CREDENTIAL_UNAVAILABLE


def test_event_loops_and_threads_share_one_fetch(server, make) -> None:
    tokens = make()
    server.gate.clear()

    async def both() -> list[str]:
        waiting = [asyncio.create_task(tokens.atoken_for(server.api_url)) for _ in range(3)]
        thread = asyncio.create_task(asyncio.to_thread(tokens.token_for, server.api_url))
        other_loop = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(tokens.atoken_for(server.api_url))))
        gone = asyncio.create_task(tokens.atoken_for(server.api_url))
        await asyncio.to_thread(server.wait_for_fetches, 1)
        gone.cancel()  # who gives up takes it from nobody
        server.gate.set()
        return list(await asyncio.gather(*waiting, thread, other_loop))

    assert set(asyncio.run(both())) == {"token-1"}
    assert server.fetches == 1


def test_a_refused_token_is_renewed_by_one_fetch_for_all_who_saw_it_refused(server, make) -> None:
    tokens = make()
    old = tokens.token_for(server.api_url)
    assert [tokens.renewed_for(server.api_url, old) for _ in range(3)] == ["token-2"] * 3
    assert tokens.renewed_for(server.api_url, "token-2") is None  # too soon after the last
    assert server.fetches == 2


def test_a_child_process_inherits_the_token_and_fetches_by_itself(server, make, clock) -> None:
    tokens = make()
    server.gate.clear()
    with pytest.raises(UnavailableError):
        make(timeout_s=0.1).token_for(server.api_url)
    server.gate.set()
    tokens.token_for(server.api_url)
    clock.advance(3600 * 0.86)
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        kept = tokens.token_for(server.api_url) == "token-2"
        clock.advance(3600)
        os._exit(0 if kept and tokens.token_for(server.api_url).startswith("token-") else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    "origins", [[], "https://orders.example", ["http://orders.example"], ["orders.example"], ["https://"], ["ftp://x"]]
)
def test_origins_are_named_and_safe(server, origins) -> None:
    endpoint = TokenEndpoint(server.token_url, client=ClientSecret("billing", SECRET))
    with pytest.raises(ConfigurationError):
        AccessTokens(endpoint, origins=origins)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://orders.example/1?x=y", True),
        ("HTTPS://Orders.Example:443/", True),
        ("https://orders.example:8443/", False),
        ("http://orders.example/", False),
        ("https://orders.example.evil.example/", False),
        ("https://orders.example@evil.example/", False),
        ("https://evil.example\\@orders.example/", False),
        ("https://orders.example\\@evil.example/", False),  # urllib of Python goes to evil.example
        ("https://evil.example#@orders.example/", False),
        ("//orders.example/", False),
        ("/1", False),
        ("", False),
    ],
)
def test_only_listed_origins_see_the_token(server, url, allowed) -> None:
    endpoint = TokenEndpoint(server.token_url, client=ClientSecret("billing", SECRET))
    tokens = AccessTokens(endpoint, origins=["https://orders.example"])
    if allowed:
        assert tokens.token_for(url) == "token-1"
        return
    with pytest.raises(ConfigurationError) as caught:
        tokens.token_for(url)
    assert caught.value.reason is Reason.CREDENTIAL_ORIGIN
    assert server.fetches == 0


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": "https://id.example/token", "issuer": "https://id.example"},
        {"url": "http://id.example/token"},
        {"url": "https://169.254.169.254/token"},
        {"url": "https://me:pw@id.example/token"},
        {"issuer": "https://id.example?x"},
        {"issuer": "http://id.example"},
        {"url": "https://id.example/token", "timeout_s": 0},
    ],
)
def test_an_endpoint_that_cannot_be_safe_is_refused_at_once(options) -> None:
    with pytest.raises(ConfigurationError):
        TokenEndpoint(client=ClientSecret("billing", SECRET), **options)


def test_nothing_that_can_be_printed_has_a_secret_or_a_token_in_it(server, make) -> None:
    client = ClientSecret("billing", SECRET)
    tokens = make(client=client, wanted=Wanted(subject_token=lambda: "subject-token"))
    token = tokens.token_for(server.api_url)
    held = tokens._here()
    shown = [tokens, client, client.prove(""), tokens._endpoint, held.held, vars(held), Wanted(subject_token=str)]
    assert not [one for one in map(repr, shown) if token in one or "s3cret" in one or "subject-" in one]


def test_a_source_of_subject_tokens_that_fails_is_told_without_what_it_said(server, make) -> None:
    def broken() -> str:
        raise RuntimeError("subject-token-1")

    error = asked_in_vain(make(wanted=Wanted(subject_token=broken)), server)
    assert error.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert "subject-token" not in f"{error} {error.detail}"
    assert isinstance(error, SealwrightError)
    assert traceback.format_exception(error)


def test_a_clock_that_does_not_sleep_goes_on_while_the_other_stands_and_never_back() -> None:
    manual = ManualClock()
    clock = SleeplessClock(manual)
    began = clock.monotonic()
    for happens, ages_by in [
        (lambda: manual.advance(10), 10),
        (lambda: manual.jump(3600), 3600),
        (lambda: manual.jump(-7200), 0),
        (lambda: manual.jump(600), 600),  # a freeze after the clock was set back
        (lambda: manual.advance(5), 5),
    ]:
        before = clock.monotonic()
        happens()
        assert clock.monotonic() - before == pytest.approx(ages_by)
        assert clock.now() == manual.now()
    assert clock.monotonic() - began == pytest.approx(4215)


members = st.dictionaries(
    st.sampled_from(["access_token", "token_type", "expires_in", "error", "other"]),
    st.sampled_from(
        ["bearer", "Bearer", "a.b-c", "a b", "\r\n", "", "9", "1e5", 7, -1, 0.5, 1e300, True, None, [], {}]
    ),
)


@given(members.map(lambda one: json.dumps(one).encode()) | st.binary(max_size=60))
def test_whatever_an_endpoint_writes_is_one_token_that_a_header_can_carry_or_an_error(body) -> None:
    with suppress(UnavailableError):
        token = parse_token(body)
        assert token.text in ("a.b-c", "bearer", "Bearer", "9", "1e5")
        assert 0 < token.lifetime_s <= 604_800
        assert json.loads(body)["token_type"].lower() == "bearer"
    for status in (400, 401, 403, 429, 500):
        assert refusal(status, body).reason in (Reason.CREDENTIAL_REFUSED, Reason.CREDENTIAL_UNAVAILABLE)
