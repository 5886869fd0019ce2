"""Who answers a verb: the running service over HTTP, or this process under the data folder's lock."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sealwright.cli.remote import local_service, remote_service
from sealwright.client import KeyServiceClient
from sealwright.errors import ConfigurationError, Reason, UnavailableError
from sealwright.settings import ClientSettings, ServiceSettings
from sealwright.wiring.data_folder import DataFolder, OwnedFolder


class SecretCalls(Protocol):
    """What the verbs of sealwright secrets ask for."""

    def create(self, partner: str, *, algorithm: str, backend: str, reason: str) -> dict[str, Any]: ...

    def rotate(self, partner: str, *, reason: str, force: bool = False) -> dict[str, Any]: ...

    def reveal(self, key_id: str, *, reason: str) -> dict[str, Any]: ...

    def sign(self, partner: str, *, payload: bytes, typ: str) -> dict[str, Any]: ...

    def verify(self, partner: str, token: str) -> dict[str, Any]: ...


class TokenCalls(Protocol):
    """What the verbs of sealwright tokens ask for."""

    def change(
        self,
        verb: Any,
        issuer: str,
        *,
        reason: str,
        token: str | None = None,
        jti: str | None = None,
        expires_at: float | None = None,
    ) -> dict[str, Any]: ...

    def marked(self, issuer: str) -> dict[str, Any]: ...


class AccessCalls(Protocol):
    """What is asked about credentials and approvals."""

    def issue(
        self, subject: str, *, roles: Sequence[str], issuers: Sequence[str] = (), lifetime_s: float | None = None
    ) -> dict[str, Any]: ...

    def deny(self, subject: str, *, reason: str) -> dict[str, Any]: ...

    def allow(self, subject: str, *, reason: str) -> dict[str, Any]: ...

    def denied(self) -> dict[str, Any]: ...

    def approvals(self) -> dict[str, Any]: ...

    def grant(self, approval_id: str) -> dict[str, Any]: ...

    def deny_approval(self, approval_id: str, *, reason: str) -> dict[str, Any]: ...


class TrailCalls(Protocol):
    """What verbs ask of the audit."""

    def page(self, *, writer: str | None = None, after: int = 0, action: str | None = None) -> dict[str, Any]: ...

    def chains(self) -> dict[str, Any]: ...

    def trust_roots(self) -> dict[str, Any]: ...

    def checkpoint(self, *, reason: str) -> dict[str, Any]: ...

    def archive(self, segments: Sequence[Mapping[str, Any]], *, reason: str) -> dict[str, Any]: ...

    def prune(self) -> dict[str, Any]: ...


class FleetCalls(Protocol):
    """What is asked about the verifiers that report."""

    def show(self, issuer: str | None = None) -> dict[str, Any]: ...

    def rehearse(self, key_id: str, *, reason: str) -> dict[str, Any]: ...

    def rehearsal(self, key_id: str) -> dict[str, Any]: ...

    def enforcement(self, key_id: str) -> dict[str, Any]: ...


class KeyCalls(Protocol):
    """What verbs ask for; local operations and the HTTP client both have it."""

    @property
    def secrets(self) -> SecretCalls: ...

    @property
    def access(self) -> AccessCalls: ...

    @property
    def fleet(self) -> FleetCalls: ...

    @property
    def tokens(self) -> TokenCalls: ...

    def keys(self, issuer: str | None = None) -> dict[str, Any]: ...

    def canary(self, key_id: str) -> dict[str, Any]: ...

    def create(self, issuer: str, *, algorithm: str | None, reason: str) -> dict[str, Any]: ...

    def import_key(self, issuer: str, *, state: Any, reason: str, **given: Any) -> dict[str, Any]: ...

    def rotate_kek(self, *, reason: str) -> dict[str, Any]: ...

    def move(
        self, verb: str, key_id: str, *, reason: str, force: bool = False, approval: str | None = None
    ) -> dict[str, Any]: ...

    def rotate(
        self,
        issuer: str,
        *,
        reason: str,
        force: bool = False,
        algorithm: str | None = None,
        approval: str | None = None,
    ) -> dict[str, Any]: ...

    def emergency_rotate(
        self,
        issuer: str,
        *,
        key_id: str | None,
        reason: str,
        algorithm: str | None = None,
        approval: str | None = None,
        break_glass: bool = False,
    ) -> dict[str, Any]: ...

    def rollout(self, issuer: str, step: str, **asked: Any) -> dict[str, Any]: ...

    def issuers(self) -> dict[str, Any]: ...

    def plan_policies(self, wanted: Mapping[str, Any]) -> dict[str, Any]: ...

    def apply_policies(
        self, wanted: Mapping[str, Any], *, reason: str, approvals: Sequence[str] = ()
    ) -> dict[str, Any]: ...

    def plan(self, issuer: str | None = None, *, for_s: float) -> dict[str, Any]: ...

    def backends(self) -> dict[str, Any]: ...

    def orphans(self) -> dict[str, Any]: ...

    def issue_token(
        self,
        issuer: str,
        *,
        claims: Mapping[str, Any],
        audience: str | Sequence[str],
        lifetime_s: float | None = None,
        status: bool = False,
    ) -> dict[str, Any]: ...

    def issue_tokens(self, issuer: str, tokens: Sequence[Mapping[str, Any]]) -> dict[str, Any]: ...

    def sign_payload(self, issuer: str, *, payload: bytes, typ: str) -> dict[str, Any]: ...

    @property
    def trail(self) -> TrailCalls: ...

    def verify(
        self, token: str, *, audience: str, scopes: Sequence[str] = (), explain: bool = False
    ) -> dict[str, Any]: ...

    def jwks(self, issuer: str) -> dict[str, Any]: ...


@contextlib.contextmanager
def open_calls(
    home: Path | None, *, create: bool = False, settings: ServiceSettings | None = None, open_new: bool = True
) -> Iterator[KeyCalls]:
    """The service of the data folder when it runs, its stores themselves when it does not.

    Without --home, the service at SEALWRIGHT_URL if that is set. The stores open new issuers unless told not to.
    """
    elsewhere = ClientSettings.load()
    if home is None and elsewhere.url is not None:
        yield remote_service(elsewhere)
        return
    settings = settings or ServiceSettings.load(home=home)
    folder = DataFolder(settings.home)
    try:
        owned = OwnedFolder(settings.home, create=create)
    except ConfigurationError as error:
        url = folder.running_service()
        if error.reason is not Reason.SETTINGS_FOLDER_IN_USE or url is None:
            raise
        yield local_service(url, folder, elsewhere)
        return
    # Tokens issued while the service is down name the same issuer as those issued while it is up.
    settings = settings.model_copy(update={"public_url": settings.public_url or folder.noted_public_url()})
    with owned:
        yield from _own_calls(settings, owned, open_new)


def open_service(home: Path | None) -> KeyServiceClient:
    """The service that runs, for what nothing but a running one can give.

    Raises UnavailableError ``service.unreachable`` where none does.
    """
    elsewhere = ClientSettings.load()
    if home is None and elsewhere.url is not None:
        return remote_service(elsewhere)
    folder = DataFolder(ServiceSettings.load(home=home).home)
    url = folder.running_service()
    if url is None:
        message = (
            f"no service runs on the data folder {folder.home}, and verifiers need one that does: start sealwright up, "
            "or name one elsewhere with SEALWRIGHT_URL and SEALWRIGHT_CREDENTIAL_FILE"
        )
        raise UnavailableError(Reason.SERVICE_UNREACHABLE, message)
    return local_service(url, folder, elsewhere)


def _own_calls(settings: ServiceSettings, owned: OwnedFolder, open_new: bool) -> Iterator[KeyCalls]:
    # Only this path needs the database and the stored keys: other verbs start without loading either.
    from sealwright.services.key_service.operations import KeyOperations
    from sealwright.wiring.starting import open_single_process

    with open_single_process(settings, owned, open_new=open_new) as process:
        yield KeyOperations(process, actor())


def actor() -> str:
    """Who runs this command, for the audit."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"
