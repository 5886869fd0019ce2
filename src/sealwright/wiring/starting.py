"""Starting: open the stores, repair what a crash left, and open the issuers that are new."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TextIO

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.config.policies import policy_of
from sealwright.config.tables import IssuerTable
from sealwright.errors import ConfigurationError, Reason, RefusedError
from sealwright.keys.backend import KeyBackend
from sealwright.keys.backends.catalog_secrets import CatalogSecrets
from sealwright.keys.lifecycle import KeyLifecycle
from sealwright.keys.record import Purpose
from sealwright.settings import INTERNAL_ISSUER, ServiceSettings
from sealwright.wiring.config_file import refuse_faults
from sealwright.wiring.data_folder import OwnedFolder
from sealwright.wiring.key_backends import open_backends, open_local
from sealwright.wiring.key_encryption import KeyEncryption
from sealwright.wiring.observing import build_observing
from sealwright.wiring.publishing import Publications, build_catalog, build_policies
from sealwright.wiring.signing import build_signing
from sealwright.wiring.single_process import SingleProcess


@contextlib.contextmanager
def open_single_process(
    settings: ServiceSettings,
    owned: OwnedFolder,
    *,
    logs: TextIO | None = None,
    clock: Clock = SYSTEM_CLOCK,
    open_new: bool = True,
) -> Iterator[SingleProcess]:
    """Open the stores, repair what a crash left, and open the configured issuers that are new, unless told not to.

    Raises ConfigurationError ``settings.*`` before anything is written, where it can.
    """
    if settings.config is not None:
        refuse_faults(settings.config)
    shown = {INTERNAL_ISSUER, *settings.issuers, *settings.trusted_issuers}
    observing = build_observing(shown, logs=logs, clock=clock)
    encryption = KeyEncryption(settings, owned.folder)
    local = open_local(settings.keys_folder or owned.folder.keys, encryption.sealer)
    encryption.holders.append(local.reseal)
    uris = {name: given.uri.get_secret_value() for name, given in settings.backends.items()}
    backends: dict[str, KeyBackend] = {local.name: local, **open_backends(uris)}
    catalog = build_catalog(settings, owned.folder)
    with contextlib.closing(catalog):
        secrets = CatalogSecrets(catalog, encryption.sealer, clock)
        encryption.holders.append(secrets.reseal)
        encryption.finish()
        backends[secrets.name] = secrets
        policies = build_policies(settings, catalog)
        signing = build_signing(
            settings, catalog, backends, policies, observing.observer, clock=clock, fleet=catalog.fleet
        )
        observing.metrics.watch_queues(signing.queues.values())
        publications = Publications(catalog, policies, clock)
        signing.lifecycle.recover(actor="sealwright")
        shown.update(publications.issuers())
        process = SingleProcess(
            settings, signing, publications, observing, encryption=encryption, shown=shown, policies=policies
        )
        with contextlib.closing(process):
            _open_issuers(process, settings.issuers if open_new else {})
            yield process


def _open_issuers(process: SingleProcess, tables: Mapping[str, IssuerTable]) -> None:
    """A new issuer is opened, and lives by its file from the beginning; one that is open stays as it is."""
    lifecycle, settings = process.signing.lifecycle, process.settings
    _open(lifecycle, INTERNAL_ISSUER, purpose="trust-root")
    _open(lifecycle, INTERNAL_ISSUER)
    _compare(process, INTERNAL_ISSUER, settings.internal_algorithm)
    wanted = {name: policy_of(table, settings.timings.model_dump()) for name, table in tables.items()}
    for name, policy in wanted.items():
        if settings.config is not None and name not in process.publications.issuers():
            with _already_open():
                process.applying.open(name, policy, actor="sealwright", reason="first start")
        else:
            _open(lifecycle, name)
            _compare(process, name, policy.algorithm)


def _open(lifecycle: KeyLifecycle, name: str, *, purpose: Purpose = "token") -> None:
    with _already_open():
        lifecycle.open_issuer(name, actor="sealwright", reason="first start", purpose=purpose)


@contextlib.contextmanager
def _already_open() -> Iterator[None]:
    """Maybe by another process just now."""
    try:
        yield
    except RefusedError as refused:
        if refused.reason is not Reason.GUARD_ISSUER_EXISTS:
            raise


def _compare(process: SingleProcess, name: str, algorithm: str) -> None:
    """An issuer that signs with another algorithm than the environment says stops the start.

    Where a policy was applied, or a file speaks, config plan tells the difference.
    """
    algorithms = process.signing.lifecycle.algorithms(name)
    if name in process.policies.applied() or (process.settings.config is not None and name != INTERNAL_ISSUER):
        return
    if algorithm not in algorithms:
        raise ConfigurationError(
            Reason.SETTINGS_INVALID,
            f"the issuer {name} signs with {' and '.join(algorithms)}, and the settings say {algorithm}: "
            "set it back, or name another issuer for the other algorithm",
        )
