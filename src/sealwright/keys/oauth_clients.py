"""OAuthClients: programs that ask an issuer for tokens by themselves; documents of the catalog, each change audited."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sealwright.clock import Clock
from sealwright.errors import Reason, RefusedError, RejectedError
from sealwright.jose import strict_json
from sealwright.keys.audit import AuditEntry
from sealwright.keys.catalog import Document, KeyCatalog, Put, Remove
from sealwright.keys.oauth_client import ClientSecret, OAuthClient, digest_of
from sealwright.keys.rehearsal import is_rehearsal

KIND = "oauth-client"
SECRET_BYTES = 32
MOST_SECRETS = 2
_LISTS = ("grants", "audiences", "scopes", "subject_audiences")


class OAuthClients:
    """Changes raise RefusedError ``client.exists`` and ``client.authentication``, RejectedError ``client.unknown``."""

    def __init__(self, catalog: KeyCatalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._snapshot: tuple[int, Mapping[str, OAuthClient]] = (-1, {})

    @property
    def is_current(self) -> bool:
        """Whether ``find`` answers without asking the store. Raises UnavailableError as ``KeyCatalog.version``."""
        return self._snapshot[0] == self._catalog.version()

    def find(self, issuer: str, client_id: str) -> OAuthClient | None:
        """As of this moment; what another process changed, within a second."""
        version = self._catalog.version()
        if self._snapshot[0] != version:
            self._snapshot = (version, {name: _read(one) for name, one in self._catalog.documents(KIND).items()})
        return self._snapshot[1].get(_name(issuer, client_id))

    @property
    def known(self) -> Collection[OAuthClient]:
        """Those that ``find`` knew last."""
        return self._snapshot[1].values()

    def all(self, issuer: str | None = None) -> list[OAuthClient]:
        """Sorted by issuer and name."""
        found = (_read(document) for _, document in sorted(self._catalog.documents(KIND).items()))
        return [client for client in found if issuer is None or client.issuer == issuer]

    def create(self, client: OAuthClient, *, actor: str, reason: str) -> tuple[OAuthClient, str | None]:
        """The client, and the one time that its secret is seen; None where it proves itself with a key.

        Raises RejectedError ``request.malformed`` or ``key.*`` for a client that could not be meant.
        """
        client.check()
        if any(is_rehearsal(name) for name in (*client.audiences, *client.subject_audiences)):
            raise RejectedError(Reason.REQUEST_MALFORMED, "that audience is one of rehearsals")
        if self._catalog.document(KIND, _name(client.issuer, client.client_id)) is not None:
            raise RefusedError(Reason.CLIENT_EXISTS, "this issuer has such a client: remove it, or choose another name")
        secret = None
        if client.authentication == "client_secret":
            client, secret = self._with_secret(client, keep=0)
        put = Put(Document(KIND, _name(client.issuer, client.client_id), _body(client)))
        self._write(put, "client.created", client, client.facts(), actor=actor, reason=reason)
        return client, secret

    def rotate_secret(
        self, issuer: str, client_id: str, *, end_others: bool, actor: str, reason: str
    ) -> tuple[OAuthClient, str]:
        """A new secret beside the newest one there is, or in the place of all with ``end_others``."""
        stored, client = self._stored(issuer, client_id)
        if client.authentication != "client_secret":
            raise RefusedError(Reason.CLIENT_AUTHENTICATION, "this client has no secret: it has its own keys")
        client, secret = self._with_secret(client, keep=0 if end_others else MOST_SECRETS - 1)
        put = Put(replace(stored, body=_body(client), generation=stored.generation + 1))
        facts = {"client_id": client_id, "secrets": len(client.secrets)}
        self._write(put, "client.secret_rotated", client, facts, actor=actor, reason=reason)
        return client, secret

    def remove(self, issuer: str, client_id: str, *, actor: str, reason: str) -> None:
        """It gets no token any more; those that it has live on."""
        stored, client = self._stored(issuer, client_id)
        self._write(Remove(stored), "client.removed", client, {"client_id": client_id}, actor=actor, reason=reason)

    def _stored(self, issuer: str, client_id: str) -> tuple[Document, OAuthClient]:
        stored = self._catalog.document(KIND, _name(issuer, client_id))
        if stored is None:
            raise RejectedError(Reason.CLIENT_UNKNOWN, "this issuer has no such client")
        return stored, _read(stored)

    def _with_secret(self, client: OAuthClient, *, keep: int) -> tuple[OAuthClient, str]:
        secret = secrets.token_urlsafe(SECRET_BYTES)
        newest = ClientSecret(digest_of(secret), self._clock.now())
        return replace(client, secrets=(newest, *client.secrets[:keep])), secret

    def _write(
        self,
        change: Put | Remove,
        action: str,
        client: OAuthClient,
        facts: Mapping[str, Any],
        *,
        actor: str,
        reason: str,
    ) -> None:
        entry = AuditEntry(self._clock.now(), actor, action, client.issuer, None, reason, facts)
        self._catalog.commit([change], entry)


def _name(issuer: str, client_id: str) -> str:
    return f"{issuer}/{client_id}"


def _body(client: OAuthClient) -> dict[str, Any]:
    texts: dict[str, Sequence[str]] = {name: list(getattr(client, name)) for name in _LISTS}
    return {
        "issuer": client.issuer,
        "client_id": client.client_id,
        "authentication": client.authentication,
        **texts,
        "lifetime_s": client.lifetime_s,
        "jwks": None if client.jwks is None else strict_json.parse_object(client.jwks.encode()),
        "jwks_url": client.jwks_url,
        "assertion_lifetime_s": client.assertion_lifetime_s,
        "token_endpoint_audience": client.token_endpoint_audience,
        "secrets": [[one.digest, one.created_at] for one in client.secrets],
    }


def _read(document: Document) -> OAuthClient:
    facts: dict[str, Any] = dict(document.body)
    if facts["jwks"] is not None:
        facts["jwks"] = strict_json.encode_object(facts["jwks"]).decode()
    facts["secrets"] = tuple(ClientSecret(*one) for one in facts["secrets"])
    return OAuthClient(**facts | {name: tuple(facts[name]) for name in _LISTS})
