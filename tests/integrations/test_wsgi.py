"""What is special about WSGI: a decoded path, names that hide dashes, and what only a server can write."""

from __future__ import annotations

from typing import Any

import binding_parts as parts
import pytest
from http_callers import call_wsgi

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.integrations.guard import Guard
from sealwright.integrations.wsgi import Guarded
from sealwright.profiles.dpop_proof import sign_proof
from sealwright.trust.binding import Binding
from sealwright.trust.sources.static import StaticKeys

CLOCK = ManualClock()
PUBLIC_URL = "https://orders.example"


def app(environ: Any, start_response: Any) -> list[bytes]:
    found = environ["sealwright.verified"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(found and found.subject).encode()]


def guarded(binding: Binding | None = None, **options: Any) -> Guarded:
    policy = sw.VerificationPolicy(issuer=parts.ISSUER, audience=parts.AUDIENCE)
    named = () if binding is None else (binding,)
    trusted = sw.TrustedIssuer(policy, StaticKeys(parts.ISSUER_KEY.public), *named)
    return Guarded(app, Guard(sw.Verifier(issuers=[trusted], clock=CLOCK), realm="r", **options))


def test_the_path_is_that_of_mount_point_and_application() -> None:
    opened = guarded(public=["/shop/healthz"])
    assert call_wsgi(opened, "GET", "/healthz", SCRIPT_NAME="/shop").status == 200
    assert call_wsgi(opened, "GET", "/healthz").status == 401
    assert call_wsgi(opened, "GET", "/shop/healthz", SCRIPT_NAME="/x").status == 401


@pytest.mark.parametrize("name", ["RAW_URI", "REQUEST_URI"])
def test_the_target_as_it_was_sent_says_nothing_about_what_is_public(name: str) -> None:
    opened = guarded(public=["/healthz"])
    assert call_wsgi(opened, "GET", "/orders", **{name: "/healthz"}).status == 401
    assert call_wsgi(opened, "GET", "/healthz", **{name: "/orders"}).status == 200


@pytest.mark.parametrize("target", ["/users/alice%40example.com", "/files/a%2Fb?page=2", "/plain", "/a%20b"])
def test_a_proof_holds_for_the_target_as_it_was_sent_where_the_server_tells_it(target: str) -> None:
    opened = guarded(Binding(dpop=parts.DpopProofs(), claims=parts.OnceEach(CLOCK)), public_url=PUBLIC_URL)
    token = parts.bound_token(CLOCK)
    proof = sign_proof(parts.CLIENT_KEY, "GET", PUBLIC_URL + target, token=token, clock=CLOCK)
    lines = [("Authorization", f"DPoP {token}"), ("DPoP", proof)]
    assert call_wsgi(opened, "GET", target, lines, RAW_URI=target).body == b"'alice'"


def test_a_proxys_absolute_target_is_no_path() -> None:
    opened = guarded(Binding(dpop=parts.DpopProofs(), claims=parts.OnceEach(CLOCK)), public_url=PUBLIC_URL)
    token = parts.bound_token(CLOCK)
    proof = sign_proof(parts.CLIENT_KEY, "GET", f"{PUBLIC_URL}/orders", token=token, clock=CLOCK)
    lines = [("Authorization", f"DPoP {token}"), ("DPoP", proof)]
    assert call_wsgi(opened, "GET", "/orders", lines, RAW_URI="http://evil.example/other").status == 200


def test_a_certificate_counts_from_the_server_and_never_from_a_header(certificate: tuple[str, str]) -> None:
    pem, thumbprint = certificate
    lines = [("Authorization", f"Bearer {parts.token(CLOCK, cnf={'x5t#S256': thumbprint})}")]
    opened = guarded(Binding())
    assert call_wsgi(opened, "GET", "/", lines, SSL_CLIENT_CERT=pem).status == 200
    assert call_wsgi(opened, "GET", "/", lines, SSL_CLIENT_CERT="").status == 401
    assert call_wsgi(opened, "GET", "/", [*lines, ("SSL-Client-Cert", pem.replace("\n", " "))]).status == 401


def test_what_stands_in_an_environ_already_is_overwritten() -> None:
    opened = guarded(public=["/healthz"])
    assert call_wsgi(opened, "GET", "/healthz", **{"sealwright.verified": "forged"}).body == b"None"


def test_the_answer_to_head_has_no_body() -> None:
    done = call_wsgi(guarded(), "HEAD", "/orders")
    assert (done.status, done.body) == (401, b"")
