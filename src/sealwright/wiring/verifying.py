"""Build the verifying side from verifier.toml. Nothing here can reach stored keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.config.verifier_file import check_file, file_of_one, refuse_both
from sealwright.config.verifier_rules import identities_of, policy_of, routes_of
from sealwright.config.verifier_tables import VerifierFile, VerifierIssuerTable
from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.events import Observer
from sealwright.settings import VerifierSettings
from sealwright.trust.admission import Admission
from sealwright.trust.decision import Verified
from sealwright.trust.identity import Identity
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.replay import ReplayStore
from sealwright.trust.revocation_feeds import FeedStatus, RevocationFeeds
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.verifier import Verifier
from sealwright.wiring.issuer_checks import Parts, build_binding, build_obeyed, build_store, later_checks
from sealwright.wiring.key_sources import ReportingSource, build_source
from sealwright.wiring.obeying import Obeying


@dataclass(frozen=True, slots=True)
class VerifyingIssuer:
    """One issuer of the file, and everything that was built for it alone."""

    table: VerifierIssuerTable
    trusted: TrustedIssuer
    source: ReportingSource
    admission: Admission
    store: ReplayStore | None  # if it cannot decide without
    feeds: RevocationFeeds | None  # if its own is one of them

    @property
    def name(self) -> str:
        return self.trusted.policy.name

    def check_ready(self) -> None:
        """Ready means: it can decide. Fetches when there are no usable keys. Raises UnavailableError."""
        if isinstance(self.source, RemoteJWKSet) and not self.source.status().usable:
            self.source.refresh()
        if self.store is not None:
            self.store.check()
        feed = self._feed()
        if feed is not None and not feed.current and self.table.on_stale_feed == "undecided":
            raise UnavailableError(Reason.REVOCATION_STALE, "what is known of revoked keys is too old to decide by")

    def status(self) -> dict[str, Any]:
        """For operators: what the rules are, and how the keys are doing."""
        table, source = self.table, self.source.status()
        rules = {"required": table.required, "profile": table.profile, "audience": sorted(table.audience)}
        feed = self._feed()
        return {**rules, "can_decide": source.usable, "keys": asdict(source), "feed": feed and asdict(feed)}

    def _feed(self) -> FeedStatus | None:
        return None if self.feeds is None else self.feeds.status()[self.name]


@dataclass(frozen=True, slots=True)
class VerifyingSide:
    """The issuers of the file, and who decides over their tokens: for all audiences, and for each of them alone."""

    issuers: Mapping[str, VerifyingIssuer]
    verifier: Verifier
    by_audience: Mapping[str, Verifier]
    has_routes: bool
    store: ReplayStore | None
    obeying: Obeying | None

    def start(self) -> None:
        """Begin to fetch feeds and to poll, in the process that decides. Once."""
        if self.obeying is not None:
            self.obeying.start(self.verifier)

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
        poll = None if self.obeying is None else self.obeying.status()[1]
        return {"issuers": {name: one.status() for name, one in self.issuers.items()}, "poll": poll and asdict(poll)}

    def close(self) -> None:
        self.verifier.close()
        if self.obeying is not None:
            self.obeying.close()
        if self.store is not None:
            self.store.close()


def read_settings(settings: VerifierSettings) -> tuple[VerifierFile, Path]:
    """The file, and the folder at which its paths begin. Raises ConfigurationError ``settings.invalid``."""
    issuer = settings.model_dump(exclude={"config", "host", "port"})
    if settings.config is None:
        return file_of_one(issuer), Path()
    refuse_both(issuer)
    return check_file(settings.config).checked(), settings.config.parent


def build_verifying(file: VerifierFile, folder: Path, observer: Observer, clock: Clock = SYSTEM_CLOCK) -> VerifyingSide:
    """Fetches nothing yet. Raises ConfigurationError ``settings.*``, and UnavailableError as ``build_obeying``."""
    routes, store = routes_of(file), build_store(file, folder)
    obeying = build_obeyed(file, folder, observer, clock)
    feeds, observer = (None, observer) if obeying is None else (obeying.revocation, obeying.observer)
    parts, issuers = Parts(folder, store, feeds, clock), dict[str, VerifyingIssuer]()
    for name, table in file.issuers.items():
        policy = policy_of(name, table)
        source = build_source(table, policy, folder, observer, clock)
        admission = Admission(identities_of(file, table), routes)
        checks = (admission, *later_checks(name, table, source, parts, observer))
        trusted = TrustedIssuer(policy, source, build_binding(table, store), checks)
        needed = store if _needs_store(table) else None
        own_feeds = None if table.feed_url is None else feeds
        issuers[name] = VerifyingIssuer(table, trusted, source, admission, needed, own_feeds)

    def verifier(trusted: Iterable[TrustedIssuer]) -> Verifier:
        return Verifier(issuers=list(trusted), revocation=feeds, observer=observer, clock=clock)

    audiences = sorted({audience for table in file.issuers.values() for audience in table.audience})
    by_audience = {
        audience: verifier(_for(one.trusted, audience) for one in issuers.values() if audience in one.table.audience)
        for audience in audiences
    }
    everyone = verifier(one.trusted for one in issuers.values())
    return VerifyingSide(issuers, everyone, by_audience, routes is not None, store, obeying)


def _needs_store(table: VerifierIssuerTable) -> bool:
    return "dpop" in table.binding or (table.replay == "on" and table.on_replay_failure == "closed")


def _for(trusted: TrustedIssuer, audience: str) -> TrustedIssuer:
    return replace(trusted, policy=replace(trusted.policy, audience=audience))
