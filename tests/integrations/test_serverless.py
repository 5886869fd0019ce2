"""What is special about functions: events, bodies, stages, certificates, and authorizers that decide for others."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import binding_parts as parts
import pytest
from function_events import ARN, answered, first_event, request_event, second_event, simple_event, token_event
from hypothesis import given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.integrations.function_event import asked_of, body_of
from sealwright.integrations.guard import Guard
from sealwright.integrations.serverless import UnauthorizedError, authorizer, guarded
from sealwright.trust.binding import Binding
from sealwright.trust.sources.static import StaticKeys

CLOCK = ManualClock()
EVENTS = pytest.mark.parametrize("event_of", [first_event, second_event])


def guard_of(keys: Any = None, **options: Any) -> Guard:
    verifier = sw.Verifier(
        issuer=parts.ISSUER, audience=parts.AUDIENCE, keys=keys or parts.ISSUER_KEY.public, clock=CLOCK
    )
    return Guard(verifier, realm="orders", **options)


class Down:
    """Keys that cannot be had."""

    def find(self, key_id: str | None) -> Any:
        raise sw.UnavailableError(sw.Reason.SOURCE_UNAVAILABLE, "no keys")

    def close(self) -> None:
        pass


def bearing(token: str | None = None) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token or parts.token(CLOCK)}")]


# Events


@EVENTS
def test_a_handler_gets_event_context_and_whose_token_it_is(event_of: Any) -> None:
    calls: list[Any] = []
    handler = guarded(guard_of())(lambda *arguments: calls.append(arguments) or {"statusCode": 204})
    event = event_of("POST", "/orders", bearing())
    assert handler(event, "context") == {"statusCode": 204}
    assert [(calls[0][0], calls[0][1], calls[0][2].subject)] == [(event, "context", "alice")]
    assert handler(event_of("POST", "/orders", []), None)["statusCode"] == 401
    assert len(calls) == 1


def test_the_first_of_two_headers_counts_as_much_as_the_last_which_alone_is_in_the_plain_form() -> None:
    lines = [("Authorization", "Basic YTpi"), *bearing()]
    event = first_event("GET", "/orders", lines)
    assert event["headers"]["Authorization"].startswith("Bearer ")
    assert guarded(guard_of())(lambda *_: {"statusCode": 200})(event, None)["statusCode"] == 400


def test_a_balancer_that_keeps_one_value_of_each_header_gets_its_answer_in_the_same_form() -> None:
    event = first_event("GET", "/orders", [("Host", "orders.example")])
    del event["multiValueHeaders"]
    answer = guarded(guard_of())(lambda *_: {"statusCode": 200})(event, None)
    assert answer["headers"]["WWW-Authenticate"] == 'Bearer realm="orders"'
    assert "multiValueHeaders" not in answer


def test_the_stage_is_in_the_path_of_the_client_and_not_in_that_of_the_routes() -> None:
    event = first_event("GET", "/orders")
    event["requestContext"]["path"] = "/prod/orders"
    assert (asked_of(event).path, asked_of(event).target) == ("/orders", "/prod/orders")


@EVENTS
def test_a_certificate_that_the_gateway_asked_for_proves_a_bound_token(event_of: Any, certificate: Any) -> None:
    pem, thumbprint = certificate
    policy = sw.VerificationPolicy(issuer=parts.ISSUER, audience=parts.AUDIENCE)
    trusted = sw.TrustedIssuer(policy, StaticKeys(parts.ISSUER_KEY.public), Binding())
    guard = Guard(sw.Verifier(issuers=[trusted], clock=CLOCK), realm="orders")
    handler = guarded(guard)(lambda *_: {"statusCode": 200})
    event = event_of("GET", "/orders", bearing(parts.token(CLOCK, cnf={"x5t#S256": thumbprint})))
    assert handler(event, None)["statusCode"] == 401
    place = {"clientCert": {"clientCertPem": pem}}
    event["requestContext"] |= {"authentication": place} if event_of is second_event else {"identity": place}
    assert handler(event, None)["statusCode"] == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("httpMethod", "path", "headers", "multiValueHeaders", "requestContext", "rawPath", "version", "type", "body")


@given(
    st.sampled_from([first_event, second_event]),
    st.dictionaries(st.sampled_from(NAMES), json_values, max_size=3),
    st.lists(st.sampled_from(NAMES), max_size=3),
)
def test_no_event_lets_anybody_in_or_breaks_the_handler(event_of: Any, changed: Any, gone: list[str]) -> None:
    event = {**event_of("GET", "/orders", [("Authorization", "Bearer x.y.z")]), **changed}
    event = {name: value for name, value in event.items() if name not in gone}
    answer = guarded(guard_of())(lambda *_: {"statusCode": 200})(event, None)
    assert answered(answer).status in (400, 401, 503)
    with contextlib.suppress(UnauthorizedError, sw.UnavailableError):
        assert authorizer(guard_of())(event, None) == {"isAuthorized": False, "context": {}}


@pytest.mark.parametrize("event", [None, [], "", 7, {}])
def test_what_is_no_event_is_refused(event: Any) -> None:
    assert guarded(guard_of())(lambda *_: {"statusCode": 200})(event, None)["statusCode"] == 400
    with pytest.raises(UnauthorizedError):
        authorizer(guard_of())(event, None)


# Bodies


@EVENTS
def test_a_binary_body_is_the_bytes_that_were_sent(event_of: Any) -> None:
    body = bytes(range(256))
    assert body_of(event_of("POST", "/", [], body)) == body
    assert body_of(event_of("POST", "/")) == b""
    assert body_of({"body": "größer", "isBase64Encoded": False}) == "größer".encode()


@pytest.mark.parametrize(
    ("body", "encoded", "reason"),
    [
        ("a" * 1025, False, sw.Reason.REQUEST_TOO_LARGE),
        ("ä" * 1000, False, sw.Reason.REQUEST_TOO_LARGE),
        (base64.b64encode(b"a" * 1025).decode(), True, sw.Reason.REQUEST_TOO_LARGE),
        ("a" * 10_000_000, True, sw.Reason.REQUEST_TOO_LARGE),
        ("not base64!", True, sw.Reason.REQUEST_MALFORMED),
        ("YQ", True, sw.Reason.REQUEST_MALFORMED),
        ("YQ==\n", True, sw.Reason.REQUEST_MALFORMED),
        ("\ud800", False, sw.Reason.REQUEST_MALFORMED),
        ("ä", True, sw.Reason.REQUEST_MALFORMED),
        (b"bytes", False, sw.Reason.REQUEST_MALFORMED),
        ({"parsed": 1}, False, sw.Reason.REQUEST_MALFORMED),
        ("a", "true", sw.Reason.REQUEST_MALFORMED),
    ],
)
def test_a_body_that_is_too_large_or_broken_is_refused(body: Any, encoded: Any, reason: sw.Reason) -> None:
    with pytest.raises(sw.RejectedError) as caught:
        body_of({"body": body, "isBase64Encoded": encoded}, maximum_bytes=1024)
    assert caught.value.reason is reason


def test_a_body_of_exactly_the_limit_passes() -> None:
    for event in (first_event("POST", "/", [], b"a" * 1024), {"body": "a" * 1024, "isBase64Encoded": False}):
        assert len(body_of(event, maximum_bytes=1024)) == 1024


# Authorizers


def of_token(lines: list[tuple[str, str]]) -> dict[str, Any]:
    return token_event(lines[0][1])


POLICIES = pytest.mark.parametrize("event_of", [of_token, request_event])


@POLICIES
def test_a_good_token_is_allowed_the_whole_stage_since_the_gateway_keeps_the_policy(event_of: Any) -> None:
    answer = authorizer(guard_of(scopes=["read"]))(event_of(bearing(parts.token(CLOCK, scope="read write"))), None)
    assert answer["principalId"] == "alice"
    assert answer["policyDocument"]["Statement"] == [
        {
            "Action": "execute-api:Invoke",
            "Effect": "Allow",
            "Resource": "arn:aws:execute-api:eu-central-1:123456789012:abcdef123/prod/*",
        }
    ]
    assert answer["context"] == {
        "issuer": parts.ISSUER,
        "subject": "alice",
        "scope": "read write",
        "key_id": parts.ISSUER_KEY.key_id,
    }


@POLICIES
def test_a_bad_token_is_unauthorized_in_the_one_word_that_the_gateway_knows(event_of: Any) -> None:
    for lines in (bearing(parts.token(CLOCK, exp=1)), bearing("x y"), [("Authorization", "Basic YTpi")]):
        with pytest.raises(UnauthorizedError) as caught:
            authorizer(guard_of())(event_of(lines), None)
        assert str(caught.value) == "Unauthorized"


@POLICIES
def test_too_little_scope_is_denied(event_of: Any) -> None:
    answer = authorizer(guard_of(scopes=["read"]))(event_of(bearing()), None)
    assert [one["Effect"] for one in answer["policyDocument"]["Statement"]] == ["Deny"]
    assert answer["context"] == {}


@pytest.mark.parametrize("event_of", [of_token, request_event, simple_event])
def test_what_cannot_be_decided_is_an_error_and_no_decision_that_a_gateway_would_keep(event_of: Any) -> None:
    with pytest.raises(sw.UnavailableError):
        authorizer(guard_of(Down()))(event_of(bearing()), None)


def test_an_http_api_gets_a_simple_response() -> None:
    decide = authorizer(guard_of())
    good = decide(simple_event(bearing()), None)
    assert (good["isAuthorized"], good["context"]["subject"]) == (True, "alice")
    for lines in ([], bearing(parts.token(CLOCK, exp=1)), bearing() * 2):
        assert decide(simple_event(lines), None) == {"isAuthorized": False, "context": {}}


def test_an_authorizer_opens_no_path_to_callers_without_a_token() -> None:
    with pytest.raises(UnauthorizedError):
        authorizer(guard_of(public=["/orders/1"]))(request_event([]), None)
    assert not authorizer(guard_of(public=["/orders/1"]))(simple_event([]), None)["isAuthorized"]


@pytest.mark.parametrize("arn", [None, "", "*", "arn:aws:execute-api:*", ARN.replace("/", "|"), 7])
def test_a_policy_is_only_for_a_stage_that_is_named(arn: Any) -> None:
    with pytest.raises(UnauthorizedError):
        authorizer(guard_of())({**request_event(bearing()), "methodArn": arn}, None)
