"""OAuth clients in JSON terms: who may get which tokens of an issuer, and how each proves itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.keys.oauth_client import (
    ASSERTION_LIFETIME_S,
    CLIENT_CREDENTIALS,
    Authentication,
    OAuthClient,
    key_text,
)
from sealwright.services.key_service.signing_operations import refuse_internal
from sealwright.services.key_service.times import written
from sealwright.trust.sources.key_address import KeyAddress
from sealwright.wiring.single_process import SingleProcess


class ClientOperations:
    """Every method answers JSON-ready data, and what it changes is audited under the name of the actor."""

    def __init__(self, process: SingleProcess, actor: str) -> None:
        self._process = process
        self._clients = process.clients
        self._actor = actor

    def create(
        self,
        issuer: str,
        client_id: str,
        *,
        audiences: Sequence[str],
        reason: str,
        authentication: Authentication = "client_secret",
        grants: Sequence[str] = (CLIENT_CREDENTIALS,),
        scopes: Sequence[str] = (),
        subject_audiences: Sequence[str] = (),
        lifetime_s: float | None = None,
        jwks: Mapping[str, Any] | None = None,
        jwks_url: str | None = None,
        assertion_lifetime_s: float = ASSERTION_LIFETIME_S,
        token_endpoint_audience: bool = False,
    ) -> dict[str, Any]:
        """A new client. Where it has a secret, this answer is the only one that ever shows it."""
        refuse_internal(issuer)
        self._process.publications.issuer(issuer)
        if jwks_url is not None:
            _check_url(jwks_url)
        client = OAuthClient(
            issuer=issuer,
            client_id=client_id,
            authentication=authentication,
            grants=tuple(grants),
            audiences=tuple(audiences),
            scopes=tuple(scopes),
            subject_audiences=tuple(subject_audiences),
            lifetime_s=lifetime_s,
            jwks=None if jwks is None else key_text(jwks),
            jwks_url=jwks_url,
            assertion_lifetime_s=assertion_lifetime_s,
            token_endpoint_audience=token_endpoint_audience,
        )
        made, secret = self._clients.create(client, actor=self._actor, reason=reason)
        return self._shown(made, secret)

    def list(self, issuer: str | None = None, *, only: Collection[str] | None = None) -> dict[str, Any]:
        """``only`` leaves out those of other issuers."""
        found = [one for one in self._clients.all(issuer) if only is None or one.issuer in only]
        return {"clients": [_view(client) for client in found]}

    def rotate_secret(self, issuer: str, client_id: str, *, reason: str, end_others: bool = False) -> dict[str, Any]:
        """One more secret, shown in this answer only; the newest one before it stays good, unless others end."""
        client, secret = self._clients.rotate_secret(
            issuer, client_id, end_others=end_others, actor=self._actor, reason=reason
        )
        return self._shown(client, secret)

    def remove(self, issuer: str, client_id: str, *, reason: str) -> dict[str, Any]:
        self._clients.remove(issuer, client_id, actor=self._actor, reason=reason)
        return {"issuer": issuer, "client_id": client_id}

    def _shown(self, client: OAuthClient, secret: str | None) -> dict[str, Any]:
        shown = {} if secret is None else {"client_secret": secret}
        iss = self._process.issuer_url(client.issuer)
        return {**_view(client), "iss": iss, **shown}


def _view(client: OAuthClient) -> dict[str, Any]:
    facts = {"issuer": client.issuer, **client.facts()}
    secrets = [written(one.created_at) for one in client.secrets]
    rules = {"assertion_lifetime_s": client.assertion_lifetime_s}
    return {**facts, "secrets_since": secrets, **rules, "token_endpoint_audience": client.token_endpoint_audience}


def _check_url(url: str) -> None:
    try:
        KeyAddress.parse(url, private=True)
    except ConfigurationError as error:
        raise RejectedError(Reason.REQUEST_MALFORMED, error.message) from error
