"""RevocationFeeds: the RevocationList that obeys the signed feed of each issuer that has one."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import ConfigurationError, Reason, UnavailableError
from sealwright.events import Observer, StaleFeedIgnored, StatementKind, tell
from sealwright.statements.revoked_keys import token_digest
from sealwright.trust.after_fork import adopted
from sealwright.trust.held_feed import HeldFeed
from sealwright.trust.revocation import FeedStatus
from sealwright.trust.sources.statement_fetcher import StatementFetcher
from sealwright.trust.state_file import StateFile
from sealwright.trust.statement_reader import ReaderSettings, StatementReader, Taken
from sealwright.trust.trust_root import TrustRoot

KIND: StatementKind = "revoked-keys"
_MOST_ASKED = 6  # after an event: another replica of the service may be a second behind


@dataclass(frozen=True, slots=True)
class ObeyedFeed:
    """The feed of one issuer. ``on_stale`` "ignore" decides without one that is too old, and says so."""

    issuer: str
    url: str
    on_stale: Literal["refuse", "ignore"] = "refuse"


class RevocationFeeds:
    """A RevocationList. Asking it does no I/O and takes no lock; threads that ``start`` begins do the rest.

    An issuer without a feed has nothing revoked. While a feed is too old, or was never had, everything of its issuer is
    undecided (``revocation.stale``), except for what is known to be revoked. After a fork the first question starts the
    threads anew. ``folder`` keeps a small file for each issuer. Raises UnavailableError ``source.*`` where one of them
    cannot be read, ConfigurationError ``settings.invalid`` for an issuer that is named twice or a URL that is refused.
    """

    def __init__(
        self,
        feeds: Iterable[ObeyedFeed],
        root: TrustRoot,
        folder: Path,
        *,
        settings: ReaderSettings | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Clock = SYSTEM_CLOCK,
        observer: Observer | None = None,
    ) -> None:
        self._settings, self._tls, self._clock, self._observer = settings or ReaderSettings(), tls, clock, observer
        listed = list(feeds)
        self._feeds = {feed.issuer: feed for feed in listed}
        if len(self._feeds) != len(listed):
            raise ConfigurationError(Reason.SETTINGS_INVALID, "an issuer has two feeds")
        self._held = {
            name: HeldFeed(name, root, StateFile.of(folder, KIND, name), clock=clock, skew_s=self._settings.skew_s)
            for name in self._feeds
        }
        self._ignoring: set[str] = set()
        self.changed: Callable[[], None] = lambda: None  # called on a thread of ours whenever a feed says something new
        self._closed = False
        self._by_process: dict[int, Mapping[str, tuple[StatementFetcher, StatementReader]]] = {
            os.getpid(): self._readers()
        }

    def key_revoked(self, issuer: str, key_id: str) -> bool:
        found = self._held.get(issuer)
        if found is None:
            return False
        held = found.now
        if key_id in held.revoked:
            return True
        if self._clock.monotonic() >= held.dead_at or os.getpid() not in self._by_process:
            self._check_current(issuer)
        return False

    def token_revoked(self, issuer: str, token_id: str) -> bool:
        found = self._held.get(issuer)
        if found is None:
            return False
        held = found.now
        if held.tokens and token_digest(token_id) in held.tokens:
            return True
        if self._clock.monotonic() >= held.dead_at:
            self._check_current(issuer)
        return False

    def start(self) -> Self:
        """Fetch from now on."""
        for _, reader in self._here().values():
            reader.start()
        return self

    @property
    def issuers(self) -> tuple[str, ...]:
        return tuple(self._feeds)

    def ask(self, issuer: str) -> None:
        """Fetch soon, as backoff and floor allow; an issuer without a feed is none of our business."""
        if (found := self._here().get(issuer)) is not None:
            found[1].ask()

    def wait_for(self, issuer: str, sequence: int, timeout_s: float) -> bool:
        """Ask until the feed has reached this sequence, a few times at most; whether it did in time."""
        found, held = self._here().get(issuer), self._held.get(issuer)
        if found is None or held is None:
            return True
        reader, seen, left = found[1], found[1].landings, _MOST_ASKED

        def settled() -> bool:
            nonlocal seen, left
            if held.now.sequence >= sequence or left == 0:
                return True
            if reader.landings > seen:
                seen, left = reader.landings, left - 1
                reader.ask()
            return False

        if held.now.sequence < sequence:
            reader.ask()
        reader.wait_until(settled, timeout_s)
        return held.now.sequence >= sequence

    def wait_current(self, timeout_s: float) -> bool:
        """Whether each feed was had in time: then everything can be decided."""
        readers = self._here()
        return all(readers[name][1].wait_until(lambda n=name: self._is_current(n), timeout_s) for name in readers)  # type: ignore[misc]

    def check_current(self, issuer: str | None = None) -> None:
        """Whether everything, or everything of one issuer, can be decided, or may be without a feed.

        Raises UnavailableError ``revocation.stale``.
        """
        for name in self._feeds:
            if issuer in (None, name):
                self._check_current(name)

    def status(self) -> dict[str, FeedStatus]:
        return {name: self._status(name, reader) for name, (_, reader) in self._here().items()}

    def revoked(self, issuer: str) -> frozenset[str]:
        """The kids that are known to be revoked."""
        found = self._held.get(issuer)
        return frozenset() if found is None else found.now.revoked

    def close(self) -> None:
        self._closed = True
        for fetcher, reader in self._here().values():
            fetcher.close()
            reader.close()

    def _take(self, issuer: str, body: bytes | None) -> Taken:
        taken = self._held[issuer].take(body)
        if taken.changed:
            self.changed()
        return taken

    def _status(self, name: str, reader: StatementReader) -> FeedStatus:
        held, at = self._held[name].now, reader.succeeded_at
        return FeedStatus(
            sequence=None if held.sequence < 0 else held.sequence,
            age_s=None if at is None else self._clock.monotonic() - at,
            current=self._is_current(name),
            revoked=len(held.revoked),
            last_error=reader.last_error,
        )

    def _is_current(self, issuer: str) -> bool:
        return self._clock.monotonic() < self._held[issuer].now.dead_at

    def _check_current(self, issuer: str) -> None:
        """Off the usual path: the feed is too old, or this process is a fork that nobody fetches for yet."""
        self._here()
        if self._is_current(issuer):
            self._ignoring.discard(issuer)
            return
        if self._feeds[issuer].on_stale == "refuse":
            message = "what is known of revoked keys is too old to decide by"
            raise UnavailableError(Reason.REVOCATION_STALE, message)
        if issuer not in self._ignoring:
            self._ignoring.add(issuer)
            tell(self._observer, StaleFeedIgnored(issuer))

    def _here(self) -> Mapping[str, tuple[StatementFetcher, StatementReader]]:
        """The readers of this process: threads and locks do not survive a fork, what is held does."""
        return self._by_process.get(os.getpid()) or self._after_fork()

    def _after_fork(self) -> Mapping[str, tuple[StatementFetcher, StatementReader]]:
        mine = adopted(self._by_process, self._readers())
        for _, reader in () if self._closed else mine.values():
            reader.start()
        return mine

    def _readers(self) -> dict[str, tuple[StatementFetcher, StatementReader]]:
        return {name: self._reader(feed) for name, feed in self._feeds.items()}

    def _reader(self, feed: ObeyedFeed) -> tuple[StatementFetcher, StatementReader]:
        fetcher = StatementFetcher(feed.url, timeout_s=self._settings.timeout_s, tls=self._tls)
        reader = StatementReader(
            KIND,
            feed.issuer,
            fetcher,
            lambda body: self._take(feed.issuer, body),
            settings=self._settings,
            clock=self._clock,
            observer=self._observer,
        )
        return fetcher, reader
