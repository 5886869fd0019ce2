"""BundleKeys: the public keys of an issuer from its signed trust bundle, also for devices that are mostly offline."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path
from typing import Self

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.events import Observer, StatementKind
from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.after_fork import adopted
from sealwright.trust.held_bundle import HeldBundle
from sealwright.trust.key_source import SourceStatus, VerificationKey
from sealwright.trust.refetch_budget import RefetchBudget
from sealwright.trust.sources.statement_fetcher import StatementFetcher, StatementFile
from sealwright.trust.state_file import StateFile
from sealwright.trust.statement_reader import ReaderSettings, StatementReader
from sealwright.trust.trust_root import TrustRoot

KIND: StatementKind = "trust-bundle"
Fetcher = StatementFetcher | StatementFile


class BundleKeys:
    """A KeySource over one bundle: at a URL, in a file that is brought here, or handed over as text with ``load``.

    The end of a bundle is hard: then nothing can be decided until a newer one comes. A bundle that is older than one
    seen before is refused, over restarts too; ``folder`` keeps a small file for that. Raises UnavailableError
    ``source.*`` where it cannot be read, ConfigurationError ``settings.invalid`` for a URL that is refused.
    """

    def __init__(
        self,
        issuer: str,
        origin: str | Path | None,
        root: TrustRoot,
        folder: Path,
        *,
        settings: ReaderSettings | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Clock = SYSTEM_CLOCK,
        observer: Observer | None = None,
    ) -> None:
        self._issuer, self._origin, self._settings, self._tls = issuer, origin, settings or ReaderSettings(), tls
        self._clock, self._observer = clock, observer
        self._bundle = HeldBundle(issuer, root, StateFile.of(folder, KIND, issuer), clock=clock)
        self._budget = RefetchBudget(5, 10.0)
        self._closed = False
        self._by_process = {os.getpid(): self._reader()}

    def load(self, bundle: bytes | str) -> None:
        """Obey a bundle that came another way. Raises RejectedError, or UnavailableError when it cannot be kept."""
        self._bundle.take((bundle.encode() if isinstance(bundle, str) else bundle).strip())

    def find(self, key_id: str | None) -> VerificationKey:
        if self._must_wait():
            self._wait()
        return self._found(key_id)

    async def afind(self, key_id: str | None) -> VerificationKey:
        if self._must_wait():
            await asyncio.to_thread(self._wait)
        return self._found(key_id)

    def known(self, key_id: str | None) -> VerificationKey | None:
        return None if self._must_wait() else self._found(key_id)

    def refresh(self) -> None:
        """Fetch now and wait. Raises UnavailableError when that did not bring a bundle in time."""
        reader = self._here()[1]
        before = reader.landings
        reader.start()
        reader.ask()
        landed = reader.wait_until(lambda: reader.landings > before, self._settings.timeout_s)
        if not landed or reader.last_error is not None:
            raise UnavailableError(Reason.SOURCE_UNAVAILABLE, "the trust bundle could not be had")

    def start(self) -> Self:
        """Fetch from now on; the first ``find`` does the same."""
        self._here()[1].start()
        return self

    def held(self) -> JWKSet:
        """The keys of the bundle, without I/O."""
        return self._bundle.keys

    def status(self) -> SourceStatus:
        """How it is doing, without I/O: fresh and usable until the bundle ends."""
        reader, is_usable = self._here()[1], self._bundle.is_usable()
        at, due_s = reader.succeeded_at, reader.due_at - self._clock.monotonic()
        return SourceStatus(
            age_s=None if at is None else self._clock.monotonic() - at,
            fresh=is_usable,
            usable=is_usable,
            keys=len(self._bundle.keys),
            unusable=len(self._bundle.keys.unusable),
            last_error=reader.last_error,
            next_refresh_s=max(0.0, due_s) if reader.landings else None,
            sequence=self._bundle.sequence,
        )

    @property
    def sequence(self) -> int | None:
        return self._bundle.sequence

    def close(self) -> None:
        self._closed = True
        fetcher, reader = self._here()
        fetcher.close()
        reader.close()

    def _found(self, key_id: str | None) -> VerificationKey:
        """A kid that is not known may be new: asked for within a budget, and nobody waits for the answer."""
        try:
            return self._bundle.find(key_id)
        except RejectedError as error:
            if error.reason is Reason.KEY_NOT_FOUND and self._budget.reserve(self._clock.monotonic()):
                self._here()[1].ask()
            raise

    def _must_wait(self) -> bool:
        """Only the first bundle is waited for, and each process must have a thread of its own."""
        return self._origin is not None and (os.getpid() not in self._by_process or not self._bundle.is_held)

    def _wait(self) -> None:
        if self._closed:
            return
        reader = self.start()._here()[1]
        reader.wait_until(lambda: self._bundle.is_held or reader.landings > 0, self._settings.timeout_s)

    def _here(self) -> tuple[Fetcher, StatementReader]:
        """After a fork what is held is inherited, the thread is not."""
        return self._by_process.get(os.getpid()) or adopted(self._by_process, self._reader())

    def _reader(self) -> tuple[Fetcher, StatementReader]:
        fetcher = self._fetcher()
        reader = StatementReader(
            KIND,
            self._issuer,
            fetcher,
            self._bundle.take,
            settings=self._settings,
            clock=self._clock,
            observer=self._observer,
        )
        return fetcher, reader

    def _fetcher(self) -> Fetcher:
        if isinstance(self._origin, str):
            return StatementFetcher(self._origin, timeout_s=self._settings.timeout_s, tls=self._tls)
        return StatementFile(self._origin or Path(os.devnull))
