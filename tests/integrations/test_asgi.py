"""What is special about ASGI: handshakes, the lifespan, and who may write into a scope."""

from __future__ import annotations

import asyncio
from typing import Any

import binding_parts as parts
import pytest
from http_callers import call_asgi

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.integrations.asgi import Guarded
from sealwright.integrations.guard import Guard
from sealwright.trust.binding import Binding
from sealwright.trust.sources.static import StaticKeys

CLOCK = ManualClock()
DENIAL = {"extensions": {"websocket.http.response": {}}}


class Seen:
    """An application that keeps its scopes; it accepts every handshake."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})


class DownSource:
    def find(self, _: str | None) -> Any:
        raise sw.UnavailableError(sw.Reason.SOURCE_UNAVAILABLE, "no keys")

    async def afind(self, key_id: str | None) -> Any:
        return self.find(key_id)

    def close(self) -> None:
        pass


def verifier(keys: Any = parts.ISSUER_KEY.public) -> sw.Verifier:
    return sw.Verifier(issuer=parts.ISSUER, audience=parts.AUDIENCE, keys=keys, clock=CLOCK)


def lines(token: str | None = None) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token or parts.token(CLOCK)}")]


def test_a_handshake_with_a_token_is_let_through() -> None:
    seen = Seen()
    done = call_asgi(Guarded(seen, Guard(verifier(), realm="r")), "GET", "/feed", lines(), type="websocket")
    assert [one["type"] for one in done.messages] == ["websocket.accept"]
    assert seen.scopes[0]["sealwright"].subject == "alice"


@pytest.mark.parametrize(("keys", "code"), [(parts.ISSUER_KEY.public, 1008), (DownSource(), 1013)])
def test_a_handshake_without_an_acceptable_token_is_closed_before_it_is_accepted(keys: Any, code: int) -> None:
    seen = Seen()
    sent = lines("a.b.c" if code == 1008 else None)
    done = call_asgi(Guarded(seen, Guard(verifier(keys), realm="r")), "GET", "/feed", sent, type="websocket")
    assert done.messages == [{"type": "websocket.close", "code": code}]
    assert seen.scopes == []


def test_a_server_that_can_answer_a_handshake_in_full_does() -> None:
    seen = Seen()
    done = call_asgi(Guarded(seen, Guard(verifier(), realm="r")), "GET", "/feed", type="websocket", **DENIAL)
    assert (done.status, done.all("WWW-Authenticate")) == (401, ['Bearer realm="r"'])
    assert [one["type"] for one in done.messages] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert seen.scopes == []


def test_the_lifespan_passes_untouched() -> None:
    seen, scope = Seen(), {"type": "lifespan", "state": {}}
    asyncio.run(Guarded(seen, Guard(verifier(), realm="r"))(scope, None, None))  # type: ignore[arg-type]
    assert seen.scopes == [{"type": "lifespan", "state": {}}]


def test_a_kind_of_connection_that_nobody_knows_is_not_let_through() -> None:
    seen = Seen()
    with pytest.raises(sw.ConfigurationError):
        call_asgi(Guarded(seen, Guard(verifier(), realm="r")), "GET", "/", lines(), type="webtransport")
    assert seen.scopes == []


def test_what_stands_in_a_scope_already_is_overwritten() -> None:
    seen = Seen()
    guarded = Guarded(seen, Guard(verifier(), realm="r", public=["/healthz"]))
    call_asgi(guarded, "GET", "/healthz", sealwright="forged", state={"sealwright": "forged", "other": 1})
    assert (seen.scopes[0]["sealwright"], seen.scopes[0]["state"]) == (None, {"sealwright": None, "other": 1})


def test_a_server_without_raw_path_and_client_is_served() -> None:
    seen = Seen()
    call_asgi(Guarded(seen, Guard(verifier(), realm="r")), "GET", "/a b", lines(), raw_path=None, client=None)
    assert seen.scopes[0]["sealwright"].subject == "alice"


@pytest.mark.parametrize("path", ["/healthz/\udcff", "/\x00", "", "*"])
def test_a_path_that_is_none_is_not_public(path: str) -> None:
    guarded = Guarded(Seen(), Guard(verifier(), realm="r", public=["/**"]))
    assert call_asgi(guarded, "GET", "/", path=path).status == 401


def test_a_path_that_was_rewritten_on_the_way_is_judged_as_the_application_sees_it() -> None:
    guarded = Guarded(Seen(), Guard(verifier(), realm="r", public=["/healthz"]))
    assert call_asgi(guarded, "GET", "/healthz", path="/orders").status == 401


class Decisions:
    """An observer that counts."""

    count = 0

    def observe(self, _: Any) -> None:
        self.count += 1


def test_a_request_is_decided_over_once_and_one_within_it_by_its_own_token() -> None:
    """A batch endpoint may make such requests, from a copy of the scope."""
    seen, decisions = Seen(), Decisions()
    keys = parts.ISSUER_KEY.public
    asked = sw.Verifier(issuer=parts.ISSUER, audience=parts.AUDIENCE, keys=keys, clock=CLOCK, observer=decisions)
    guard = Guard(asked, realm="r")
    kept: dict[str, Any] = {"sealwright.kept": {}}
    assert call_asgi(Guarded(Guarded(seen, guard), guard), "GET", "/", lines(), **kept).status == 204
    assert decisions.count == 1
    call_asgi(Guarded(seen, guard), "GET", "/", lines(parts.token(CLOCK, sub="bob")), **kept)
    assert call_asgi(Guarded(seen, guard), "GET", "/", lines("a.b.c"), **kept).status == 401
    assert [scope["sealwright"].subject for scope in seen.scopes] == ["alice", "bob"]


def test_what_one_guard_decided_does_not_count_for_another() -> None:
    strict = sw.Verifier(issuer=parts.ISSUER, audience="bills", keys=parts.ISSUER_KEY.public, clock=CLOCK)
    within = Guarded(Seen(), Guard(strict, realm="r"))
    assert call_asgi(Guarded(within, Guard(verifier(), realm="r")), "GET", "/", lines()).status == 401


def test_the_certificate_of_the_connection_proves_a_bound_token(certificate: tuple[str, str]) -> None:
    pem, thumbprint = certificate
    policy = sw.VerificationPolicy(issuer=parts.ISSUER, audience=parts.AUDIENCE)
    trusted = sw.TrustedIssuer(policy, StaticKeys(parts.ISSUER_KEY.public), Binding())
    guarded = Guarded(Seen(), Guard(sw.Verifier(issuers=[trusted], clock=CLOCK), realm="r"))
    sent = lines(parts.token(CLOCK, cnf={"x5t#S256": thumbprint}))
    shown = {"client_cert_chain": [pem], "client_cert_error": None}
    for tls, status in ((shown, 204), ({}, 401), ({**shown, "client_cert_error": "expired"}, 401)):
        assert call_asgi(guarded, "GET", "/", sent, extensions={"tls": tls}).status == status
    broken = {"client_cert_chain": ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]}
    assert call_asgi(guarded, "GET", "/", sent, extensions={"tls": broken}).status == 401
