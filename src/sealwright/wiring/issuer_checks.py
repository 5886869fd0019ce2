"""What is asked about a token beyond its keys and claims, as verifier.toml says; each option has its one place here.

An option that nothing here fulfils stops the start: it is never left out silently.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from sealwright.clock import Clock
from sealwright.config.verifier_tables import VerifierFile, VerifierIssuerTable
from sealwright.errors import ConfigurationError, Reason
from sealwright.events import Observer
from sealwright.trust.binding import JKT, X5T, Binding
from sealwright.trust.dpop import DpopProofs
from sealwright.trust.replay import ReplayStore
from sealwright.trust.replay_check import ReplayCheck
from sealwright.trust.revocation import RevocationList
from sealwright.trust.token_check import UNBOUND, TokenCheck
from sealwright.wiring.replay_stores import ReplayStoreOptions, open_replay_store

_CONFIRMED_BY = {"dpop": JKT, "mtls": X5T}


def build_revocation(file: VerifierFile) -> RevocationList | None:
    """What is obeyed of the trust root: ``feed_url`` and ``on_stale_feed`` of each issuer."""
    if file.sealwright is not None:
        _cannot("[sealwright]")
    return None


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
    table: VerifierIssuerTable, store: ReplayStore | None, observer: Observer, clock: Clock
) -> Iterator[TokenCheck]:
    """In the order in which they run: what reads, then what writes."""
    if table.status_lists is not None:
        _cannot("status_lists")
    if table.introspection is not None:
        _cannot("introspection")
    if table.replay == "on" and store is not None:
        yield ReplayCheck(
            store,
            on_failure=table.on_replay_failure,
            maximum_entries=table.replay_entries,
            observer=observer,
            clock=clock,
        )


def _line(path: Path) -> str:
    """A secret that is a whole file."""
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(Reason.SETTINGS_INVALID, f"cannot read {path}") from error


def _cannot(option: str) -> NoReturn:
    raise ConfigurationError(Reason.SETTINGS_INVALID, f"this build has nothing that could fulfil {option}")
