"""What is asked about a token beyond its keys and claims, as verifier.toml says; each option has its one place here."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sealwright.clock import Clock
from sealwright.config.verifier_tables import (
    IntrospectionTable,
    StatusListsTable,
    VerifierFile,
    VerifierIssuerTable,
)
from sealwright.errors import ConfigurationError, Reason
from sealwright.events import Observer
from sealwright.trust.binding import JKT, X5T, Binding
from sealwright.trust.dpop import DpopProofs
from sealwright.trust.dpop_nonces import DpopNonces
from sealwright.trust.introspection import IntrospectionCheck
from sealwright.trust.key_source import KeySource
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.replay import ReplayStore
from sealwright.trust.replay_check import ReplayCheck
from sealwright.trust.revocation import RevocationList
from sealwright.trust.revocation_feeds import ObeyedFeed
from sealwright.trust.statement_reader import ReaderSettings
from sealwright.trust.status_list import StatusListCheck
from sealwright.trust.stores.memory import MemoryReplayStore
from sealwright.trust.token_check import UNBOUND, TokenCheck
from sealwright.wiring.key_sources import trusting
from sealwright.wiring.obeying import Obeying, build_obeying
from sealwright.wiring.replay_stores import ReplayStoreOptions, open_replay_store

_CONFIRMED_BY = {"dpop": JKT, "mtls": X5T}


def build_obeyed(
    file: VerifierFile, folder: Path, observer: Observer, clock: Clock, before: Obeying | None = None
) -> Obeying | None:
    """What is obeyed of the trust root: the feed of each issuer that has one, and the poll of the key service.

    Raises ConfigurationError, and UnavailableError where the state of an earlier run cannot be read.
    """
    table = file.sealwright
    if table is None:
        return None
    feeds = [
        ObeyedFeed(name, one.feed_url, "ignore" if one.on_stale_feed == "accept" else "refuse")
        for name, one in file.issuers.items()
        if one.feed_url is not None
    ]
    return build_obeying(
        name=table.name,
        trust_root_file=folder / table.trust_root_file,
        state_folder=folder / table.state_folder,
        feeds=feeds,
        service_url=table.url,
        credential_file=None if table.credential_file is None else folder / table.credential_file,
        public_url=table.public_url,
        settings=ReaderSettings(refresh_s=table.refresh),
        tls=None if table.ca_file is None else trusting(folder / table.ca_file),
        observer=observer,
        clock=clock,
        before=before,
    )


def build_store(file: VerifierFile, folder: Path, before: ReplayStore | None = None) -> ReplayStore | None:
    """The one store in which proofs and tokens count once, for all issuers. Raises ConfigurationError.

    The memory of this process that was used ``before`` is used on, whatever its capacity: nothing is forgotten.
    """
    table = file.replay
    if table is None:
        return None
    options = ReplayStoreOptions(
        capacity=table.capacity,
        timeout_s=table.timeout,
        window_s=table.window,
        sharers=max(table.sharers, file.service.workers),
        local_though_shared=table.local_though_shared,
    )
    store = open_replay_store("memory:" if table.url_file is None else _line(folder / table.url_file), options)
    if isinstance(store, MemoryReplayStore) and isinstance(before, MemoryReplayStore):
        store.close()
        return before
    return store


def build_proofs(file: VerifierFile, folder: Path) -> DpopProofs:
    """The rules for DPoP proofs. Raises ConfigurationError."""
    table = file.dpop
    nonces = None
    if table.nonce_secrets_file is not None:
        secrets = [line.strip().encode() for line in _line(folder / table.nonce_secrets_file).splitlines()]
        nonces = DpopNonces([secret for secret in secrets if secret], region=table.region, slot_s=table.slot)
    return DpopProofs(maximum_age_s=table.maximum_age, nonces=nonces)


def build_binding(table: VerifierIssuerTable, store: ReplayStore | None, proofs: DpopProofs) -> TokenCheck:
    """Who judges the evidence for a token that is bound to a key."""
    if not table.binding:
        return UNBOUND
    members = frozenset(_CONFIRMED_BY[way] for way in table.binding)
    by_proof = "dpop" in table.binding
    return Binding(
        dpop=proofs if by_proof else None,
        claims=store if by_proof else None,
        one_of_required=members if table.binding_required else frozenset(),
    )


@dataclass(frozen=True, slots=True)
class CheckParts:
    """What the checks of one issuer are made of."""

    policy: VerificationPolicy
    source: KeySource
    revocation: RevocationList | None
    store: ReplayStore | None
    folder: Path
    observer: Observer
    clock: Clock


def later_checks(table: VerifierIssuerTable, parts: CheckParts) -> Iterator[TokenCheck]:
    """In the order in which they run: what reads, then what writes. Raises ConfigurationError."""
    if table.status_lists is not None:
        yield _status_lists(table, table.status_lists, parts)
    if table.introspection is not None:
        yield _introspection(table, table.introspection, parts)
    if table.replay == "on" and parts.store is not None:
        yield ReplayCheck(
            parts.store,
            on_failure=table.on_replay_failure,
            maximum_entries=table.replay_entries,
            observer=parts.observer,
            clock=parts.clock,
        )


def _status_lists(table: VerifierIssuerTable, said: StatusListsTable, parts: CheckParts) -> TokenCheck:
    return StatusListCheck(
        parts.source,
        prefixes=said.prefixes,
        required=said.required,
        on_failure=said.on_failure,
        usable_s=said.usable,
        label=parts.policy.name,
        revocation=parts.revocation,
        tls=_tls(table, parts.folder),
        observer=parts.observer,
        clock=parts.clock,
    )


def _introspection(table: VerifierIssuerTable, said: IntrospectionTable, parts: CheckParts) -> TokenCheck:
    credential_file = parts.folder / said.credential_file
    _line(credential_file)
    return IntrospectionCheck(
        said.url,
        lambda: _line(credential_file),
        on_failure=said.on_failure,
        positive_s=said.positive,
        negative_s=said.negative,
        label=parts.policy.name,
        tls=_tls(table, parts.folder),
        observer=parts.observer,
        clock=parts.clock,
    )


def _tls(table: VerifierIssuerTable, folder: Path) -> ssl.SSLContext | None:
    return None if table.ca_file is None else trusting(folder / table.ca_file)


def _line(path: Path) -> str:
    """A secret that is a whole file."""
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(Reason.SETTINGS_INVALID, f"cannot read {path}") from error
