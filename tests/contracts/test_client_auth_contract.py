"""What every HTTP client does with our access tokens, against a real token endpoint and real resources."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from client_skins import CLIENT_SKINS, pieces
from token_server import TokenServer

from sealwright.client.access_tokens import AccessTokens
from sealwright.client.client_authentication import ClientSecret
from sealwright.client.token_endpoint import TokenEndpoint
from sealwright.clock import ManualClock
from sealwright.errors import ConfigurationError, Reason, UnavailableError


@pytest.fixture
def server():
    server = TokenServer()
    yield server
    server.stop()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def tokens(server, clock):
    endpoint = TokenEndpoint(server.token_url, client=ClientSecret("billing", "s3cret"))
    return AccessTokens(endpoint, origins=[server.origin], clock=clock)


@pytest.fixture(params=CLIENT_SKINS)
def send(request, tokens):
    return CLIENT_SKINS[request.param](tokens)


def test_requests_carry_one_token_which_is_fetched_once(server, send) -> None:
    assert [send("GET", server.api_url) for _ in range(3)] == [(200, b'{"ok":true}')] * 3
    assert server.shown == ["Bearer token-1"] * 3
    assert server.fetches == 1


def test_threads_that_start_together_cause_one_fetch(server, send) -> None:
    server.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(send, "GET", server.api_url) for _ in range(8)]
        server.wait_for_fetches(1)
        server.gate.set()
        assert {one.result()[0] for one in sent} == {200}
    assert (server.fetches, server.most_in_flight) == (1, 1)


def test_a_token_is_renewed_ahead_of_its_end_and_nobody_waits_for_it(server, clock, send) -> None:
    send("GET", server.api_url)
    clock.advance(3600 * 0.86)
    server.gate.clear()
    server.good = {"token-1", "token-2"}
    assert send("GET", server.api_url)[0] == 200  # while the fetch hangs
    server.wait_for_fetches(2)
    assert server.shown[-1] == "Bearer token-1"


def test_a_token_that_is_refused_is_renewed_once_and_the_request_repeated_once(server, send) -> None:
    send("GET", server.api_url)
    server.good = set()  # revoked
    assert send("POST", server.api_url, b'{"order":1}')[0] == 200
    assert server.shown[1:] == ["Bearer token-1", "Bearer token-2"]
    assert server.bodies[1:] == [b'{"order":1}'] * 2
    assert server.fetches == 2


def test_a_resource_that_refuses_every_token_is_tried_twice_and_causes_no_flood_of_fetches(server, send) -> None:
    server.answer = {"access_token": "never", "token_type": "bearer", "expires_in": 3600}
    assert [send("GET", server.api_url)[0] for _ in range(5)] == [401] * 5
    assert server.fetches == 2


def test_a_request_that_cannot_be_repeated_is_not(server, send) -> None:
    send("GET", server.api_url)
    server.good = set()
    assert send("POST", server.api_url, pieces(b"once"))[0] == 401
    assert server.bodies[1:] == [b"once"]


def test_a_redirect_to_another_origin_does_not_carry_the_token(server, send) -> None:
    server.redirect_to = f"{server.elsewhere}/api"
    assert send("GET", f"{server.origin}/redirect")[0] == 200
    assert server.shown == ["Bearer token-1"]
    assert server.shown_elsewhere == [None]


def test_a_request_that_was_answered_by_a_redirect_is_not_sent_again_for_what_lies_behind_it(server, send) -> None:
    """The order was placed; only the page about it refuses the token."""
    send("GET", server.api_url)
    server.redirect_to, server.good = server.api_url, set()
    send("POST", f"{server.origin}/redirect", b'{"order":1}')
    assert server.redirected == 1


@pytest.mark.parametrize("other", ["{elsewhere}/api", "http://localhost:1/", "https://orders.example/"])
def test_a_request_to_an_origin_that_is_not_listed_is_never_sent(server, send, other) -> None:
    with pytest.raises(ConfigurationError) as caught:
        send("GET", other.format(elsewhere=server.elsewhere))
    assert caught.value.reason is Reason.CREDENTIAL_ORIGIN
    assert (server.fetches, server.shown_elsewhere) == (0, [])


def test_without_a_token_the_request_is_not_sent_and_the_reason_is_told(server, clock, send) -> None:
    server.status, server.answer = 401, {"error": "invalid_client"}
    for _ in range(3):
        with pytest.raises(UnavailableError) as caught:
            send("GET", server.api_url)
        assert caught.value.reason is Reason.CREDENTIAL_REFUSED
        assert "invalid_client" in (caught.value.detail or "")
        assert "s3cret" not in repr(caught.value) + str(caught.value)
    assert (server.fetches, server.shown) == (1, [])
    server.status, server.answer = 200, None
    clock.advance(2)
    assert send("GET", server.api_url)[0] == 200


def test_a_file_is_sent_again_from_where_it_began_by_requests(server, tokens) -> None:
    send = CLIENT_SKINS["requests"](tokens)
    send("GET", server.api_url)
    server.good = set()
    file = io.BytesIO(b"skipped;the rest")
    file.seek(8)
    assert send("POST", server.api_url, file)[0] == 200
    assert server.bodies[1:] == [b"the rest"] * 2
