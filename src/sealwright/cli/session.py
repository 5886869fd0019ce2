"""Who answers a verb: the running service over HTTP, or this process under the data folder's lock."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sealwright.client import KeyServiceClient
from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.settings import ServiceSettings
from sealwright.wiring.data_folder import DataFolder, OwnedFolder


class KeyCalls(Protocol):
    """What verbs ask for; local operations and the HTTP client both have it."""

    def keys(self, issuer: str | None = None) -> dict[str, Any]: ...

    def create(self, issuer: str, *, algorithm: str | None, reason: str) -> dict[str, Any]: ...

    def move(self, verb: str, key_id: str, *, reason: str, force: bool = False) -> dict[str, Any]: ...

    def rotate(self, issuer: str, *, reason: str, force: bool = False) -> dict[str, Any]: ...

    def emergency_rotate(self, issuer: str, *, key_id: str | None, reason: str) -> dict[str, Any]: ...

    def issue_token(
        self, issuer: str, *, claims: Mapping[str, Any], audience: str | Sequence[str], lifetime_s: float | None = None
    ) -> dict[str, Any]: ...

    def issue_tokens(self, issuer: str, tokens: Sequence[Mapping[str, Any]]) -> dict[str, Any]: ...

    def sign_payload(self, issuer: str, *, payload: bytes, typ: str) -> dict[str, Any]: ...

    def audit(self, *, after: int = 0) -> dict[str, Any]: ...

    def verify(
        self, token: str, *, audience: str, scopes: Sequence[str] = (), explain: bool = False
    ) -> dict[str, Any]: ...

    def jwks(self, issuer: str) -> dict[str, Any]: ...


@contextlib.contextmanager
def open_calls(home: Path | None, *, create: bool = False) -> Iterator[KeyCalls]:
    """The service when it runs, the stores themselves when it does not."""
    settings = ServiceSettings.load(home=home)
    folder = DataFolder(settings.home)
    try:
        owned = OwnedFolder(settings.home, create=create)
    except ConfigurationError as error:
        url = folder.running_service()
        if error.reason is not Reason.SETTINGS_FOLDER_IN_USE or url is None:
            raise
        yield KeyServiceClient(url, lambda: _credential(folder))
        return
    # Tokens issued while the service is down name the same issuer as those issued while it is up.
    settings = settings.model_copy(update={"public_url": settings.public_url or folder.noted_public_url()})
    with owned:
        yield from _own_calls(settings, owned)


def _own_calls(settings: ServiceSettings, owned: OwnedFolder) -> Iterator[KeyCalls]:
    # Only this path needs the database and the stored keys: other verbs start without loading either.
    from sealwright.services.key_service.operations import KeyOperations
    from sealwright.wiring.single_process import open_single_process

    with open_single_process(settings, owned) as process:
        yield KeyOperations(process, _actor())


def _credential(folder: DataFolder) -> str:
    try:
        return folder.operator_credential.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read the operator credential {folder.operator_credential}: are you its owner?"
        raise RejectedError(Reason.CREDENTIAL_MISSING, message) from error


def _actor() -> str:
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"
