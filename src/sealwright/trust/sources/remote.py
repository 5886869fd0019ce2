"""RemoteJWKSet: the public keys of an issuer, fetched from its JWKS URL and kept fresh."""

from __future__ import annotations

import os
import ssl
from collections.abc import Collection
from pathlib import Path
from typing import Self, TypeVar

from sealwright.clock import SYSTEM_CLOCK, Clock, SleeplessClock
from sealwright.errors import ConfigurationError, Reason
from sealwright.events import Observer
from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.after_fork import adopted
from sealwright.trust.baked_keys import BakedKeys
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.failover import Failover, Fetcher
from sealwright.trust.in_call_cache import InCallCache
from sealwright.trust.jwks_cache import JwksCache
from sealwright.trust.key_snapshot import KeySnapshot
from sealwright.trust.key_source import SourceStatus, VerificationKey
from sealwright.trust.last_good import LastGoodKeys
from sealwright.trust.sources.jwks_fetcher import JwksFetcher
from sealwright.trust.sources.key_address import KeyAddress

F = TypeVar("F", bound=LastGoodKeys)


class RemoteJWKSet:
    """A KeySource over a URL. Making one does no I/O; the first find starts a daemon thread that does it all.

    ``mirrors`` are asked, in order, when ``url`` fails. ``timeout_s`` is the deadline of one whole fetch, mirrors
    included, and the longest wait of a caller. ``algorithms`` are those of the issuer's policy: a key without "alg"
    that fits several of them is skipped. ``last_good`` is a file for the last good set. ``private_addresses`` False
    keeps every fetch to the public internet. ``tls`` replaces the machine's certificate authorities.

    ``background`` False is for functions, which are frozen between calls: no thread, the call that needs a fetch makes
    it, and ages count the time in the freezer. ``baked`` is a file that ``bake`` made when the image was built.

    Raises ConfigurationError ``settings.invalid`` for a URL that is not https (http is for loopback hosts), hides a
    user name, or leads to an address that is refused.
    """

    def __init__(
        self,
        url: str,
        *mirrors: str,
        timeout_s: float = 5.0,
        settings: CacheSettings | None = None,
        algorithms: Collection[str] | None = None,
        last_good: str | os.PathLike[str] | None = None,
        background: bool = True,
        baked: str | os.PathLike[str] | None = None,
        private_addresses: bool = True,
        tls: ssl.SSLContext | None = None,
        clock: Clock = SYSTEM_CLOCK,
        observer: Observer | None = None,
    ) -> None:
        if not 0 < timeout_s <= 60:
            raise ConfigurationError(Reason.SETTINGS_INVALID, "the timeout must lie between 0 and 60 s")
        if len({url, *mirrors}) != len(mirrors) + 1:
            raise ConfigurationError(Reason.SETTINGS_INVALID, "a key URL is named twice")
        if last_good is not None and (baked is not None or not background):
            message = "the last good keys are kept by the background thread, and not beside those of an image"
            raise ConfigurationError(Reason.SETTINGS_INVALID, message)
        self.url, self._private = url, private_addresses
        self._addresses = [KeyAddress.parse(one, private=private_addresses) for one in (url, *mirrors)]
        self._timeout_s, self._tls = timeout_s, tls
        self._settings, self._observer, self._background = settings or CacheSettings(), observer, background
        self._clock = clock if background else SleeplessClock(clock)
        self._algorithms = None if algorithms is None else frozenset(algorithms)
        self._last_good = None if last_good is None else Path(last_good)
        self._baked = None if baked is None else Path(baked)
        self._closed = False
        self._by_process: dict[int, tuple[Failover, JwksCache]] = {os.getpid(): self._made(None)}

    def find(self, key_id: str | None) -> VerificationKey:
        return self._cache.find(key_id)

    async def afind(self, key_id: str | None) -> VerificationKey:
        return await self._cache.afind(key_id)

    def known(self, key_id: str | None) -> VerificationKey | None:
        return self._cache.known(key_id)

    def refresh(self) -> SourceStatus:
        """Fetch now and wait. Raises UnavailableError, at once while a failed source is left alone."""
        self._cache.refresh()
        return self.status()

    def fetch(self) -> JWKSet:
        """Fetch now and answer with the whole set. Raises UnavailableError as ``refresh``."""
        self._cache.refresh()
        held = self._cache.snapshot
        return held.keys if held else JWKSet()

    def bake(self, path: str | os.PathLike[str]) -> JWKSet:
        """Fetch now, and write the keys to a file for ``baked``. Raises UnavailableError as ``refresh``, or OSError."""
        self._cache.refresh()
        held = self._cache.snapshot
        assert held is not None
        self._file(BakedKeys, Path(path)).bake(held)
        return held.keys

    def held(self) -> JWKSet:
        """The keys that count now, without I/O."""
        snapshot = self._cache.snapshot
        return snapshot.keys if snapshot and snapshot.is_usable(self._clock.monotonic()) else JWKSet()

    def status(self) -> SourceStatus:
        return self._cache.status()

    def close(self) -> None:
        """End the thread and any fetch; every later find that needs the network raises UnavailableError."""
        self._closed = True
        fetcher, cache = self._here()
        fetcher.close()
        cache.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RemoteJWKSet({self.url!r})"

    @property
    def _cache(self) -> JwksCache:
        return self._here()[1]

    def _here(self) -> tuple[Failover, JwksCache]:
        """The cache of this process: threads, locks and flights do not survive a fork, the keys do."""
        return self._by_process.get(os.getpid()) or self._after_fork()

    def _after_fork(self) -> tuple[Failover, JwksCache]:
        inherited = self._by_process.copy().popitem()[1][1].snapshot
        fetcher, cache = mine = adopted(self._by_process, self._made(inherited))
        if self._closed:
            fetcher.close()
            cache.close()
        elif self._background:
            cache.run()
        return mine

    def _first_fetcher(self) -> Fetcher:
        return self._fetcher(self._addresses[0])

    def _fetcher(self, address: KeyAddress) -> Fetcher:
        return JwksFetcher(address, algorithms=self._algorithms, tls=self._tls)

    def _made(self, seed: KeySnapshot | None) -> tuple[Failover, JwksCache]:
        fetchers = [self._first_fetcher(), *map(self._fetcher, self._addresses[1:])]
        failover = Failover(fetchers, timeout_s=self._timeout_s, settings=self._settings, clock=self._clock)
        cache = (JwksCache if self._background else InCallCache)(
            self.url,
            failover.fetch,
            timeout_s=self._timeout_s,
            settings=self._settings,
            clock=self._clock,
            observer=self._observer,
            seed=seed,
            last_good=self._kept(),
        )
        return failover, cache

    def _kept(self) -> LastGoodKeys | None:
        if self._baked is not None:
            return self._file(BakedKeys, self._baked)
        return None if self._last_good is None else self._file(LastGoodKeys, self._last_good)

    def _file(self, kind: type[F], path: Path) -> F:
        return kind(path, self.url, settings=self._settings, clock=self._clock, algorithms=self._algorithms)
