"""What is asked about a token beyond its keys and claims, as verifier.toml says; each option has its one place here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sealwright.clock import Clock
from sealwright.config.verifier_tables import IntrospectionTable, VerifierFile, VerifierIssuerTable
from sealwright.errors import ConfigurationError, Reason
from sealwright.events import Observer
from sealwright.trust.binding import JKT, X5T, Binding
from sealwright.trust.dpop import DpopProofs
from sealwright.trust.introspection import IntrospectionCheck
from sealwright.trust.key_source import KeySource
from sealwright.trust.replay import ReplayStore
from sealwright.trust.replay_check import ReplayCheck
from sealwright.trust.revocation_feeds import ObeyedFeed, RevocationFeeds
from sealwright.trust.status_list import StatusListCheck
from sealwright.trust.token_check import UNBOUND, TokenCheck
from sealwright.wiring.key_sources import trusting
from sealwright.wiring.obeying import Obeying, build_obeying
from sealwright.wiring.replay_stores import ReplayStoreOptions, open_replay_store

_ON_STALE: Mapping[str, Literal["refuse", "ignore"]] = {"undecided": "refuse", "accept": "ignore"}
_CONFIRMED_BY = {"dpop": JKT, "mtls": X5T}


class Parts(NamedTuple):
    """What the checks of all issuers have in common."""

    folder: Path
    store: ReplayStore | None
    feeds: RevocationFeeds | None
    clock: Clock


def build_obeyed(file: VerifierFile, folder: Path, observer: Observer, clock: Clock) -> Obeying | None:
    """What is obeyed of the trust root: the feeds of the issuers, and the service that is polled."""
    table = file.sealwright
    if table is None:
        return None
    return build_obeying(
        name=table.name,
        trust_root_file=folder / table.trust_root_file,
        state_folder=folder / table.state_folder,
        feeds=[
            ObeyedFeed(name, one.feed_url, _ON_STALE[one.on_stale_feed])
            for name, one in file.issuers.items()
            if one.feed_url is not None
        ],
        service_url=table.url,
        credential_file=None if table.credential_file is None else folder / table.credential_file,
        public_url=table.public_url,
        tls=None if table.ca_file is None else trusting(folder / table.ca_file),
        observer=observer,
        clock=clock,
    )


def build_store(file: VerifierFile, folder: Path) -> ReplayStore | None:
    """The one store in which proofs and tokens count once, for all issuers. Raises ConfigurationError."""
    table = file.replay
    if table is None:
        return None
    options = ReplayStoreOptions(
        capacity=table.capacity,
        timeout_s=table.timeout,
        window_s=table.window,
        sharers=table.sharers,
        local_though_shared=table.local_though_shared,
    )
    return open_replay_store("memory:" if table.url_file is None else _line(folder / table.url_file), options)


def build_binding(table: VerifierIssuerTable, store: ReplayStore | None) -> TokenCheck:
    """Who judges the evidence for a token that is bound to a key."""
    if not table.binding:
        return UNBOUND
    members = frozenset(_CONFIRMED_BY[way] for way in table.binding)
    proofs = DpopProofs() if "dpop" in table.binding else None
    return Binding(
        dpop=proofs,
        claims=None if proofs is None else store,
        one_of_required=members if table.binding_required else frozenset(),
    )


def later_checks(
    name: str, table: VerifierIssuerTable, source: KeySource, parts: Parts, observer: Observer
) -> Iterator[TokenCheck]:
    """In the order in which they run: what reads, then what writes."""
    tls = None if table.ca_file is None else trusting(parts.folder / table.ca_file)
    usual: dict[str, Any] = {"observer": observer, "clock": parts.clock}
    if (lists := table.status_lists) is not None:
        yield StatusListCheck(
            source,
            prefixes=lists.prefixes,
            required=lists.required,
            on_failure=lists.on_failure,
            usable_s=lists.usable,
            revocation=parts.feeds,
            **usual | {"label": name, "tls": tls},
        )
    if table.introspection is not None:
        yield _introspection(table.introspection, parts.folder, **usual | {"label": name, "tls": tls})
    if table.replay == "on" and parts.store is not None:
        open_or_closed, most = table.on_replay_failure, table.replay_entries
        yield ReplayCheck(parts.store, on_failure=open_or_closed, maximum_entries=most, **usual)


def _introspection(asked: IntrospectionTable, folder: Path, **usual: Any) -> TokenCheck:
    credential = partial(_line, folder / asked.credential_file)
    credential()  # read anew at each question, and there from the start
    return IntrospectionCheck(
        asked.url,
        credential,
        on_failure=asked.on_failure,
        positive_s=asked.positive,
        negative_s=asked.negative,
        **usual,
    )


def _line(path: Path) -> str:
    """A secret that is a whole file."""
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(Reason.SETTINGS_INVALID, f"cannot read {path}") from error
