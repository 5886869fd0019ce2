"""Where the keys of one issuer come from, as verifier.toml says."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.config.verifier_tables import KeyServiceTable, VerifierIssuerTable
from sealwright.errors import ConfigurationError, Reason
from sealwright.events import Observer
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.key_source import ReportingSource
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.sources.bundle import BundleKeys
from sealwright.trust.sources.discovered import DiscoveredJWKSet
from sealwright.trust.sources.file import FileKeys, public_keys, secrets, spiffe_keys
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.trust_root import TrustRoot


def make_state_folder(folder: Path) -> None:
    """Where a verifier keeps what it must not forget. Raises ConfigurationError ``settings.invalid``."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        message = f"the folder of what a verifier must not forget cannot be made: {error.strerror}"
        raise ConfigurationError(Reason.SETTINGS_INVALID, message) from error


def build_source(
    table: VerifierIssuerTable,
    policy: VerificationPolicy,
    folder: Path,
    observer: Observer | None,
    clock: Clock = SYSTEM_CLOCK,
    *,
    service: KeyServiceTable | None = None,
) -> ReportingSource:
    """The one source that the table names; paths are below ``folder``. Raises ConfigurationError."""
    if table.keys_file is not None:
        read = spiffe_keys if table.profile == "spiffe" else public_keys
        return FileKeys(folder / table.keys_file, read, clock=clock)
    if table.secret_file is not None:
        return FileKeys(folder / table.secret_file, secrets, secret=True, clock=clock)
    if table.bundle_file is not None or table.bundle_url is not None:
        return _bundle(table, policy, service, folder, observer=observer, clock=clock)
    options = _options(table, policy, folder) | {"observer": observer, "clock": clock}
    urls = table.jwks_url or ()
    return DiscoveredJWKSet(str(policy.issuer), *urls, **options) if table.discovery else RemoteJWKSet(*urls, **options)


def _bundle(
    table: VerifierIssuerTable,
    policy: VerificationPolicy,
    service: KeyServiceTable | None,
    folder: Path,
    **observed: Any,
) -> BundleKeys:
    if service is None:
        raise ConfigurationError(Reason.SETTINGS_INVALID, "a trust bundle needs the trust root of [sealwright]")
    origin = table.bundle_url if table.bundle_file is None else folder / table.bundle_file
    root, state = TrustRoot.from_file(folder / service.trust_root_file), folder / service.state_folder
    make_state_folder(state)
    tls = None if table.ca_file is None else trusting(folder / table.ca_file)
    return BundleKeys(str(policy.issuer), origin, root, state, tls=tls, **observed)


def _options(table: VerifierIssuerTable, policy: VerificationPolicy, folder: Path) -> dict[str, Any]:
    return {
        "settings": CacheSettings(stale_s=table.keys_outage),
        "algorithms": policy.algorithms,
        "last_good": None if table.last_good_file is None else folder / table.last_good_file,
        "private_addresses": table.private_addresses,
        "tls": None if table.ca_file is None else trusting(folder / table.ca_file),
    }


def trusting(ca_file: Path) -> ssl.SSLContext:
    """TLS with these certificate authorities and no others. Raises ConfigurationError ``settings.invalid``."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(Reason.SETTINGS_INVALID, f"{ca_file} has no certificates of CAs") from error
