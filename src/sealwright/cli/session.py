"""Who answers a verb: the running service over HTTP, or this process under the data folder's lock."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from sealwright.cli.calls import KeyCalls
from sealwright.cli.remote import local_service, remote_service
from sealwright.client import KeyServiceClient
from sealwright.errors import ConfigurationError, Reason, UnavailableError
from sealwright.settings import ClientSettings, ServiceSettings
from sealwright.wiring.data_folder import DataFolder, OwnedFolder


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
