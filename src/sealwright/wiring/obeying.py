"""Build what makes a verifier obey: the feeds of its issuers, and the poll that tells it of changes and us of it."""

from __future__ import annotations

import os
import secrets
import socket
import ssl
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable

from sealwright.client.credential_file import credential_in
from sealwright.client.event_poll import EventPoll, PollStatus
from sealwright.client.incoming_events import IncomingEvents
from sealwright.client.poll_line import PollLine
from sealwright.client.trials import Trials
from sealwright.client.verifier_report import Reporting
from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import ConfigurationError, Reason
from sealwright.events import Observer
from sealwright.statements.security_events import KeysChanged
from sealwright.statements.verifier_reports import Trial
from sealwright.telemetry.fan_out import FanOut
from sealwright.trust.acceptance import Acceptance
from sealwright.trust.decision import Decision
from sealwright.trust.key_source import KeySource, ReportingSource
from sealwright.trust.revocation import FeedStatus
from sealwright.trust.revocation_feeds import ObeyedFeed, RevocationFeeds
from sealwright.trust.statement_reader import ReaderSettings
from sealwright.trust.trial import trial_verifier
from sealwright.trust.trust_root import TrustRoot
from sealwright.trust.verifier import Verifier
from sealwright.wiring.key_sources import make_state_folder

_REFETCH_WAIT_S = 5.0


@runtime_checkable
class Refreshed(Protocol):
    """A key source that can fetch now."""

    def refresh(self) -> object: ...


class Obeying:
    """``revocation`` and ``observer`` go into the Verifier; ``start`` takes that Verifier and sets the loop going.

    ``observer`` passes everything on, and remembers when each key was last accepted.
    """

    def __init__(
        self,
        feeds: RevocationFeeds,
        poll_parts: PollParts | None,
        observer: Observer | None,
        clock: Clock,
        before: Obeying | None = None,
    ) -> None:
        self.revocation = feeds
        self.instances: dict[int, str] = {} if before is None else before.instances  # of each process, after a fork
        self._acceptance = Acceptance(clock)
        self.observer: Observer = FanOut(*([observer] if observer else []), self._acceptance)
        self._parts, self._clock = poll_parts, clock
        self._poll: EventPoll | None = None

    def start(self, verifier: Verifier) -> None:
        """Begin to fetch the feeds, and to poll where there is a service to poll. Once."""
        self.revocation.start()
        if self._parts is not None:
            self._poll = self._parts.poll(self, verifier, self._acceptance)
            self.revocation.changed = self._poll.wake
            self._poll.start()

    def check_ready(self, timeout_s: float = 5.0) -> None:
        """Ready means: each feed is current. Raises UnavailableError ``revocation.stale``."""
        self.revocation.wait_current(timeout_s)
        self.revocation.check_current()

    def status(self) -> tuple[dict[str, FeedStatus], PollStatus | None]:
        """Of each feed by its issuer, and of the poll."""
        return self.revocation.status(), self._poll.status() if self._poll else None

    def refetch(self, verifier: Verifier, events: Sequence[KeysChanged]) -> None:
        """Fetch what the events hint at, from where it always comes from; without events what was never fetched. Waits
        for all of it at once: an issuer that hangs must not keep an emergency of another from being heard.
        """
        known = {str(one.policy.issuer): one.source for one in verifier.issuers}
        wanted: dict[str, int] = {}
        for event in events:
            if event.issuer in known:
                wanted[event.issuer] = max(event.sequence, wanted.get(event.issuer, -1))
        for issuer in wanted:
            self.revocation.ask(issuer)
        _refresh([one for name, one in known.items() if name in wanted or (not events and _was_never_fetched(one))])
        if not events:
            self.revocation.wait_current(_REFETCH_WAIT_S)
        for issuer, sequence in wanted.items():
            self.revocation.wait_for(issuer, sequence, _REFETCH_WAIT_S)

    def close(self) -> None:
        """End all threads; the poll that is open is cut."""
        self.revocation.close()
        if self._poll is not None:
            self._poll.close()


@dataclass(frozen=True, slots=True)
class PollParts:
    """What a poll is made of once the Verifier is there."""

    root: TrustRoot
    name: str
    transmitter: str
    line: PollLine
    clock: Clock

    def poll(self, obeying: Obeying, verifier: Verifier, acceptance: Acceptance) -> EventPoll:
        @lru_cache(maxsize=8)
        def trying(audience: str, typed: bool) -> Verifier:
            return trial_verifier(verifier.issuers, obeying.revocation, self.clock, audience, typed=typed)

        def decide(trial: Trial) -> Decision:
            # A canary has the type of the service's own tokens, whatever this verifier asks for.
            return trying(trial.audience, trial.kind == "rehearsal").decide(trial.token)

        def reporting() -> Reporting:
            instance = obeying.instances.setdefault(os.getpid(), _instance())
            return Reporting(self.name, instance, verifier.issuers, obeying.revocation, acceptance)

        incoming = IncomingEvents(self.root, transmitter=self.transmitter, receiver=self.name)
        return EventPoll(
            self.line,
            incoming,
            Trials(decide, self.clock),
            reporting,
            lambda events: obeying.refetch(verifier, events),
            clock=self.clock,
            observer=obeying.observer,
        )


def build_obeying(
    *,
    name: str,
    trust_root_file: Path,
    state_folder: Path,
    feeds: Sequence[ObeyedFeed],
    service_url: str | None = None,
    credential_file: Path | None = None,
    public_url: str | None = None,
    settings: ReaderSettings | None = None,
    tls: ssl.SSLContext | None = None,
    observer: Observer | None = None,
    clock: Clock = SYSTEM_CLOCK,
    before: Obeying | None = None,
) -> Obeying:
    """``name`` is that of the verifier, which all its workers share, and the subject of its credential.

    Without ``service_url`` nothing is polled. ``public_url`` is how the service calls itself in its events, where that
    is not how it is reached from here. In the place of one that was there
    ``before`` it reports under the same name of this process.

    Raises ConfigurationError ``settings.*``, and UnavailableError where the state of an earlier run cannot be read.
    """
    if (service_url is None) != (credential_file is None):
        raise _wrong("the service to poll and the credential for it go together")
    root = TrustRoot.from_file(trust_root_file)
    make_state_folder(state_folder)
    obeyed = RevocationFeeds(feeds, root, state_folder, settings=settings, tls=tls, clock=clock, observer=observer)
    parts = None
    if service_url is not None and credential_file is not None:
        base = service_url.rstrip("/")
        line = PollLine(base, credential_in(credential_file, base, tls, clock), tls)
        parts = PollParts(root, name, public_url or base, line, clock)
    return Obeying(obeyed, parts, observer, clock, before)


def _was_never_fetched(source: KeySource) -> bool:
    return isinstance(source, ReportingSource) and source.status().age_s is None


def _refresh(sources: Iterable[KeySource]) -> None:
    fetched = [one for one in sources if isinstance(one, Refreshed)]
    if not fetched:
        return
    threads = ThreadPoolExecutor(len(fetched), "sealwright-refetch")
    wait([threads.submit(one.refresh) for one in fetched], _REFETCH_WAIT_S)  # what fails is tried again by itself
    threads.shutdown(wait=False)


def _instance() -> str:
    """A name for this process that no other has had."""
    return f"{socket.gethostname()[:60]}/{os.getpid()}/{secrets.token_hex(4)}"


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
