"""InCallCache: a JwksCache without a thread. The call that needs a fetch makes it, and others wait for that one."""

from __future__ import annotations

import asyncio
from typing import Any

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import UnavailableError
from sealwright.jose.jwk import PublicJWK
from sealwright.trust.flight import Flight
from sealwright.trust.jwks_cache import JwksCache, check_landed


class InCallCache(JwksCache):
    """For processes that are frozen between calls: nothing happens ahead, and what has grown old is fetched before it
    counts again. While that fails, keys that are stale and not dead serve, as everywhere.

    A fetch has its own deadline, which bounds the call that makes it. In an event loop it runs on a thread of the
    loop's pool.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options, background=False)

    def find(self, key_id: str | None) -> PublicJWK:
        asked, stale = self._refresher.started, self._stale()
        if stale is not None:
            self._wait(stale, SYSTEM_CLOCK.monotonic() + self._timeout_s)
        until = self._patience_until()
        while isinstance(found := self._look(key_id, asked), Flight):
            check_landed(self._wait(found, until))
        return found

    async def afind(self, key_id: str | None) -> PublicJWK:
        asked, stale = self._refresher.started, self._stale()
        if stale is not None:
            await self._await(stale, SYSTEM_CLOCK.monotonic() + self._timeout_s)
        until = self._patience_until()
        while isinstance(found := self._look(key_id, asked), Flight):
            check_landed(await self._await(found, until))
        return found

    def _stale(self) -> Flight | None:
        """The flight that may refresh keys which are usable still, unless that has failed a moment ago."""
        held, now = self._refresher.snapshot, self._clock.monotonic()
        if held is None or held.is_fresh(now) or not held.is_usable(now):
            return None
        try:
            return self._refresher.board("expired", current=lambda: self._is_held(held))
        except UnavailableError:
            return None

    def _wait(self, flight: Flight, until: float) -> UnavailableError | None:
        if flight.is_mine():
            self._refresher.fly(flight)
        return super()._wait(flight, until)

    async def _await(self, flight: Flight, until: float) -> UnavailableError | None:
        if flight.is_mine():
            asyncio.get_running_loop().run_in_executor(None, self._refresher.fly, flight)
        return await super()._await(flight, until)
