"""Every implementation of each protocol, in one list: a new one is tested by being listed."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ministack
import openbao
import redis_server
import softhsm
from fake_azure_key_vault import FakeAzureKeyVault
from fake_gcp_kms import FakeGcpKms
from postgresql import shared_cluster

from sealwright.clock import ManualClock
from sealwright.keys.backend import KeyBackend
from sealwright.keys.backend_uri import BackendUri
from sealwright.keys.backends.azure_key_vault.backend import AzureKeyVaultBackend
from sealwright.keys.backends.catalog_secrets import CatalogSecrets
from sealwright.keys.backends.local import LocalBackend
from sealwright.keys.backends.memory import MemoryBackend
from sealwright.keys.catalogs.memory import MemoryCatalog
from sealwright.keys.catalogs.memory_fleet import MemoryFleet
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.fleet_store import FleetStore
from sealwright.keys.observed_backend import ObservedBackend
from sealwright.keys.sealing import Sealer
from sealwright.trust.replay import ReplayStore
from sealwright.wiring.key_backends import open_backend
from sealwright.wiring.replay_stores import ReplayStoreOptions, open_replay_store

Opened = contextlib.AbstractContextManager[KeyBackend]


def opening(make: Callable[[Path], KeyBackend]) -> Callable[[Path], Opened]:
    """A backend that is all there, or whose server goes on for the other tests."""

    @contextlib.contextmanager
    def opened(folder: Path) -> Iterator[KeyBackend]:
        with contextlib.closing(make(folder)) as backend:
            yield backend

    return opened


def local(folder: Path) -> LocalBackend:
    return LocalBackend(folder / "keys", Sealer.fixed(b"k" * 32))


def on_softhsm(_: Path) -> KeyBackend:
    return open_backend("pkcs11", softhsm.new_token().uri())


def on_aws(_: Path) -> KeyBackend:
    return open_backend("awskms", ministack.backend_uri(ministack.shared().url))


def on_openbao(folder: Path) -> KeyBackend:
    token_file = openbao_token(folder, openbao.documented_policy())
    return open_backend("vault", openbao.backend_uri(openbao.shared().url, token_file))


def secrets_on_openbao(folder: Path) -> KeyBackend:
    token_file = openbao_token(folder, openbao.documented_secrets_policy())
    return open_backend("vaultkv", openbao.secrets_uri(openbao.shared().url, token_file))


def openbao_token(folder: Path, policy: str) -> Path:
    token_file = folder / f"token-{secrets.token_hex(4)}"
    token_file.write_text(openbao.shared().token(policy), "utf-8")
    return token_file


@contextlib.contextmanager
def gcpkms(_: Path) -> Iterator[KeyBackend]:
    with contextlib.closing(FakeGcpKms()) as google, contextlib.closing(open_backend("gcpkms", google.uri)) as backend:
        yield backend


@contextlib.contextmanager
def azurekv(folder: Path) -> Iterator[KeyBackend]:
    with contextlib.closing(FakeAzureKeyVault(folder)) as azure:
        opened = AzureKeyVaultBackend.open(BackendUri.parse(azure.uri), settle_s=0.0)
        with contextlib.closing(opened) as backend:
            yield backend


# By the scheme of its URI, each on its real component: a function from a folder to a backend for one test.
BACKENDS: dict[str, Callable[[Path], Opened]] = {
    "memory": opening(lambda _: MemoryBackend()),
    "local": opening(local),
    "observed": opening(lambda folder: ObservedBackend(local(folder), None)),
    "pkcs11": opening(on_softhsm),
    "awskms": opening(on_aws),
    "vault": opening(on_openbao),
    "gcpkms": gcpkms,
    "azurekv": azurekv,
}
# By the scheme, or by the name that wiring gives them: HMAC secrets.
SECRET_BACKENDS: dict[str, Callable[[Path], Opened]] = {
    "catalog": opening(lambda _: CatalogSecrets(MemoryCatalog(), Sealer.fixed(b"k" * 32), ManualClock())),
    "vaultkv": opening(secrets_on_openbao),
}
CATALOGS: dict[str, Callable[[Path], Any]] = {
    "memory": lambda _: MemoryCatalog(),
    "sql": lambda folder: SqlCatalog.open(f"sqlite:///{folder / 'catalog.db'}"),
    "postgresql": lambda _: SqlCatalog.open(shared_cluster().new_database()),
}
# By the scheme of its URL: a function to the URL of an empty store, for what several processes may share.
REPLAY_URLS: dict[str, Callable[[Path], str]] = {
    "redis": lambda _: redis_server.shared().url,
    "unix": lambda _: redis_server.shared().unix_url,
    "sqlite": lambda folder: f"sqlite:///{folder / 'replay.db'}",
    "postgresql": lambda _: shared_cluster().new_database(),
}
PATIENT = ReplayStoreOptions(timeout_s=10.0)  # a slow machine is no store that is down
REPLAY_STORES: dict[str, Callable[[Path], ReplayStore]] = {
    "memory": lambda _: open_replay_store("memory:"),
    **{name: (lambda folder, url=url: open_replay_store(url(folder), PATIENT)) for name, url in REPLAY_URLS.items()},
}


@contextlib.contextmanager
def fleet_of(catalog: SqlCatalog) -> Iterator[FleetStore]:
    with contextlib.closing(catalog):
        yield catalog.fleet


FLEETS: dict[str, Callable[[Path], contextlib.AbstractContextManager[FleetStore]]] = {
    "memory": lambda _: contextlib.nullcontext(MemoryFleet()),
    "sql": lambda folder: fleet_of(SqlCatalog.open(f"sqlite:///{folder / 'fleet.db'}")),
    "postgresql": lambda _: fleet_of(SqlCatalog.open(shared_cluster().new_database())),
}
