"""Build the verifying side from verifier.toml. Nothing here can reach stored keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.config.verifier_file import check_file, file_of_one, refuse_both
from sealwright.config.verifier_rules import identities_of, policy_of, routes_of
from sealwright.config.verifier_tables import VerifierFile, VerifierIssuerTable
from sealwright.errors import Reason, RejectedError
from sealwright.events import Observer
from sealwright.settings import VerifierSettings
from sealwright.trust.admission import Admission
from sealwright.trust.decision import Verified
from sealwright.trust.identity import Identity
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.key_source import ReportingSource
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.replay import ReplayStore
from sealwright.trust.revocation_feeds import RevocationFeeds
from sealwright.trust.verifier import Verifier
from sealwright.wiring.issuer_checks import (
    CheckParts,
    build_binding,
    build_obeyed,
    build_proofs,
    build_store,
    later_checks,
)
from sealwright.wiring.key_sources import build_source
from sealwright.wiring.obeying import Obeying, Refreshed

_OF_SERVICE = {"host", "port", "socket", "workers"}
_FETCH = ("discovery", "jwks_url", "ca_file", "last_good_file", "keys_outage", "private_addresses")


@dataclass(frozen=True, slots=True)
class VerifyingIssuer:
    """One issuer of the file, and everything that was built for it alone."""

    table: VerifierIssuerTable
    trusted: TrustedIssuer
    source: ReportingSource
    admission: Admission
    store: ReplayStore | None  # if it cannot decide without
    feeds: RevocationFeeds | None

    @property
    def name(self) -> str:
        return self.trusted.policy.name

    def check_ready(self) -> None:
        """Ready means: it can decide. Fetches when there are no usable keys. Raises as that, feed and store do."""
        if isinstance(self.source, Refreshed) and not self.source.status().usable:
            self.source.refresh()
        if self.feeds is not None:
            self.feeds.check_current(self.name)
        if self.store is not None:
            self.store.check()

    def status(self) -> dict[str, Any]:
        """For operators: what the rules are, and how the keys are doing."""
        table, source = self.table, self.source.status()
        rules = {"required": table.required, "profile": table.profile, "audience": sorted(table.audience)}
        feed = self.feeds.status().get(self.name) if self.feeds is not None else None
        return {
            **rules,
            "can_decide": source.usable and (feed is None or feed.current or self.table.on_stale_feed == "accept"),
            "keys": asdict(source),
            "feed": None if feed is None else asdict(feed),
        }


@dataclass(frozen=True, slots=True)
class VerifyingSide:
    """The issuers of the file, and who decides over their tokens: for all audiences, and for each of them alone."""

    issuers: Mapping[str, VerifyingIssuer]
    verifier: Verifier
    by_audience: Mapping[str, Verifier]
    has_routes: bool
    store: ReplayStore | None
    obeyed: Obeying | None
    folder: Path = Path()

    def verifier_of(self, audience: str | None) -> Verifier:
        """Raises RejectedError ``request.malformed`` for an audience that is nobody's here."""
        if audience is None:
            return self.verifier
        found = self.by_audience.get(audience)
        if found is None:
            raise RejectedError(Reason.REQUEST_MALFORMED, "this verifier decides for another audience")
        return found

    def identity_of(self, verified: Verified) -> Identity:
        """Of a token that was accepted here."""
        return self.issuers[verified.issuer].admission.identities.identity_of(verified)

    def status(self) -> dict[str, Any]:
        poll = None if self.obeyed is None else self.obeyed.status()[1]
        issuers = {name: one.status() for name, one in self.issuers.items()}
        return {"issuers": issuers, "poll": None if poll is None else asdict(poll)}

    def start(self) -> None:
        """Fetch feeds, and poll the key service, from now on."""
        if self.obeyed is not None:
            self.obeyed.start(self.verifier)

    def close(self, successor: VerifyingSide | None = None) -> None:
        """All but what a successor took over stops."""
        if self.obeyed is not None:
            self.obeyed.close()
        taken = [] if successor is None else [one.source for one in successor.issuers.values()]
        for issuer in self.issuers.values():
            if not any(issuer.source is one for one in taken):
                issuer.source.close()
        if self.store is not None and (successor is None or successor.store is not self.store):
            self.store.close()


def read_settings(settings: VerifierSettings) -> tuple[VerifierFile, Path]:
    """The file, and the folder at which its paths begin. Raises ConfigurationError ``settings.invalid``."""
    service = settings.model_dump(include=_OF_SERVICE, exclude_none=True)
    issuer = settings.model_dump(exclude={"config", *_OF_SERVICE})
    if settings.config is None:
        return _served(file_of_one(issuer), service), Path()
    refuse_both(issuer)
    if "socket" in service:  # a variable is of this process, not of the folder of the file
        service["socket"] = service["socket"].absolute()
    return _served(check_file(settings.config).checked(), service), settings.config.parent


def _served(file: VerifierFile, service: Mapping[str, Any]) -> VerifierFile:
    """As variables say where it listens."""
    return file.model_copy(update={"service": file.service.model_copy(update=service)})


def build_verifying(
    file: VerifierFile,
    folder: Path,
    observer: Observer,
    clock: Clock = SYSTEM_CLOCK,
    *,
    predecessor: VerifyingSide | None = None,
) -> VerifyingSide:
    """Fetches nothing yet. Raises ConfigurationError ``settings.invalid``.

    Of a predecessor it takes over what this process remembers of tokens that were presented, and the fetched keys of
    issuers whose keys come from where they came from.
    """
    with ExitStack() as undone:
        side = _side(file, folder, observer, clock, predecessor=predecessor, undone=undone)
        undone.pop_all()
    return side


def _side(
    file: VerifierFile,
    folder: Path,
    observer: Observer,
    clock: Clock,
    *,
    predecessor: VerifyingSide | None,
    undone: ExitStack,
) -> VerifyingSide:
    routes, store = routes_of(file), _opened_store(file, folder, predecessor, undone)
    obeyed = build_obeyed(file, folder, observer, clock, predecessor.obeyed if predecessor else None)
    if obeyed is not None:
        undone.callback(obeyed.close)
    observer, proofs = observer if obeyed is None else obeyed.observer, build_proofs(file, folder)
    revocation = None if obeyed is None else obeyed.revocation
    issuers: dict[str, VerifyingIssuer] = {}
    for name, table in file.issuers.items():
        policy = policy_of(name, table)
        source = _fetched_as(predecessor, folder, table, policy)
        source = source or build_source(table, policy, folder, observer, clock, service=file.sealwright)
        admission = Admission(identities_of(file, table), routes)
        parts = CheckParts(policy, source, revocation, store, folder, observer, clock)
        trusted = TrustedIssuer(
            policy, source, build_binding(table, store, proofs), (admission, *later_checks(table, parts))
        )
        needed = store if _needs_store(table) else None
        issuers[name] = VerifyingIssuer(table, trusted, source, admission, needed, revocation)

    def verifier(trusted: Iterable[TrustedIssuer], cache_bytes: int = 0) -> Verifier:
        return Verifier(
            issuers=list(trusted), revocation=revocation, observer=observer, clock=clock, cache_bytes=cache_bytes
        )

    by_audience = {
        audience: verifier(_for(one.trusted, audience) for one in issuers.values() if audience in one.table.audience)
        for audience in sorted({audience for table in file.issuers.values() for audience in table.audience})
    }
    everyone = verifier((one.trusted for one in issuers.values()), file.service.cache_bytes)
    return VerifyingSide(issuers, everyone, by_audience, routes is not None, store, obeyed, folder)


def _opened_store(
    file: VerifierFile, folder: Path, predecessor: VerifyingSide | None, undone: ExitStack
) -> ReplayStore | None:
    before = predecessor.store if predecessor else None
    store = build_store(file, folder, before)
    if store is not None and store is not before:
        undone.callback(store.close)
    return store


def _fetched_as(
    side: VerifyingSide | None, folder: Path, table: VerifierIssuerTable, policy: VerificationPolicy
) -> ReportingSource | None:
    """The source before, where keys are fetched as they were. A file of CAs may have changed: then fetch anew."""
    before = side.issuers.get(str(policy.issuer)) if side is not None and side.folder == folder else None
    fetched = bool(table.jwks_url or table.discovery) and table.ca_file is None
    if before is None or not fetched or policy.algorithms != before.trusted.policy.algorithms:
        return None
    return before.source if all(getattr(table, name) == getattr(before.table, name) for name in _FETCH) else None


def _needs_store(table: VerifierIssuerTable) -> bool:
    return "dpop" in table.binding or (table.replay == "on" and table.on_replay_failure == "closed")


def _for(trusted: TrustedIssuer, audience: str) -> TrustedIssuer:
    return replace(trusted, policy=replace(trusted.policy, audience=audience))
