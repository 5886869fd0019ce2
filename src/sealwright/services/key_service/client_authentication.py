"""ClientAuthentication: which OAuth client sent a request, by its secret or a JWT (RFC 6749 §2.3, RFC 7523 §2.2)."""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass
from urllib.parse import unquote_plus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from sealwright.errors import Reason, RejectedError
from sealwright.jose import compact
from sealwright.keys.oauth_client import OAuthClient, has_secret
from sealwright.services.credentials import Caller
from sealwright.services.key_service.oauth_form import Form
from sealwright.services.key_service.signing_operations import refuse_internal
from sealwright.services.oauth_errors import OAuthError
from sealwright.wiring.client_assertions import LONGEST_ASSERTION_BYTES
from sealwright.wiring.single_process import SingleProcess

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
REFUSAL_S = 0.1  # every refusal takes as long, whatever there was to look at: how long it took tells nothing
_PROOFS = ("client_secret", "client_assertion", "client_assertion_type")


@dataclass(frozen=True, slots=True)
class Presented:
    """Who somebody says to be, and one proof of it."""

    client_id: str
    secret: str | None = None
    assertion: str | None = None

    def __repr__(self) -> str:
        return f"Presented({'a secret' if self.assertion is None else 'an assertion'})"


class ClientAuthentication:
    """Authenticates the clients of the issuers of one process."""

    def __init__(self, process: SingleProcess) -> None:
        self._process = process

    async def client(self, request: Request, issuer: str, form: Form) -> OAuthClient:
        """The client, noted in the state of the request.

        Raises OAuthError for whoever is not one; RejectedError ``request.malformed`` or ``request.not_found``; and
        UnavailableError where it cannot be known.
        """
        refuse_internal(issuer)
        self._process.publications.issuer(issuer)
        request.state.issuer = issuer
        began = self._process.clock.monotonic()
        try:
            presented = parse_presented(request.headers.getlist("authorization"), form)
            client = await self._find(issuer, presented.client_id)
            request.state.named_client = None if client is None else client.actor
            await self._prove(issuer, client, presented)
        except RejectedError as error:
            if error.reason is Reason.REQUEST_MALFORMED:
                raise
            await asyncio.sleep(max(0.0, began + REFUSAL_S - self._process.clock.monotonic()))
            raise OAuthError(error, unauthenticated=True) from error
        assert client is not None
        request.state.caller = Caller(client.actor, frozenset(), {})
        return client

    async def _find(self, issuer: str, client_id: str) -> OAuthClient | None:
        clients = self._process.clients
        if clients.is_current:
            return clients.find(issuer, client_id)
        found = await run_in_threadpool(clients.find, issuer, client_id)
        self._process.assertions.keep_only(clients.known)
        return found

    async def _prove(self, issuer: str, client: OAuthClient | None, presented: Presented) -> None:
        """A proof of the other kind than the client has is as wrong as one of nobody."""
        if presented.secret is not None:
            if not has_secret(client.secrets if client is not None else (), presented.secret):
                raise RejectedError(Reason.CLIENT_AUTHENTICATION, "no such client has this secret")
            return
        if client is None or client.authentication != "private_key_jwt":
            raise RejectedError(Reason.CLIENT_UNKNOWN, "no such client has keys")
        audiences = [self._process.issuer_url(issuer)]
        if client.token_endpoint_audience:
            audiences.append(token_endpoint(audiences[0]))
        leeway_s = self._process.policies.of(issuer).timings.leeway_s
        await self._process.assertions.verify(client, presented.assertion or "", audiences, leeway_s)


def token_endpoint(issuer_url: str) -> str:
    return f"{issuer_url}/token"


def presents_client(request: Request, form: Form) -> bool:
    """Whether a request means to be of a client, rather than of the holder of a credential of this service."""
    scheme = request.headers.get("authorization", "").partition(" ")[0].lower()
    return scheme == "basic" or form.has_any(_PROOFS)


def parse_presented(authorizations: list[str], form: Form) -> Presented:
    """The one proof in a request. Raises RejectedError ``request.malformed`` for several, ``credential.missing``
    for none, and ``client.authentication`` for what cannot be one.
    """
    secret, assertion, named = form.one("client_secret"), form.one("client_assertion"), form.one("client_id")
    if len(authorizations) + (secret is not None) + (assertion is not None) > 1:
        raise _malformed("a client proves itself in one way, not in several")
    if authorizations:
        presented = _parse_basic(authorizations[0])
    elif assertion is not None:
        presented = _parse_assertion(assertion, form.one("client_assertion_type"))
    elif secret is not None and named is not None:
        presented = Presented(named, secret)
    else:
        raise RejectedError(Reason.CREDENTIAL_MISSING, "the client does not say who it is and prove it")
    if named not in (None, presented.client_id):
        raise _malformed("the request names two clients")
    return presented


def _parse_basic(authorization: str) -> Presented:
    """Both halves are form-encoded first (RFC 6749 §2.3.1); our ids and secrets are the same either way."""
    scheme, _, encoded = authorization.strip(" ").partition(" ")
    try:
        text = base64.b64decode(encoded.strip(" "), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    client_id, colon, secret = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise RejectedError(Reason.CLIENT_AUTHENTICATION, "the Authorization header is not one of Basic")
    return Presented(unquote_plus(client_id), unquote_plus(secret))


def _parse_assertion(assertion: str, kind: str | None) -> Presented:
    """Its issuer is a hint, which chooses whose keys it is held against."""
    if kind != ASSERTION_TYPE:
        raise _malformed(f"a client_assertion comes with the client_assertion_type {ASSERTION_TYPE}")
    claims = compact.parse(assertion, max_bytes=LONGEST_ASSERTION_BYTES).unverified_claims()
    issuer = claims.get("iss")
    if not isinstance(issuer, str):
        raise RejectedError(Reason.ISSUER_MISSING, "the assertion has no issuer")
    return Presented(issuer, assertion=assertion)


def _malformed(message: str) -> RejectedError:
    return RejectedError(Reason.REQUEST_MALFORMED, message)
