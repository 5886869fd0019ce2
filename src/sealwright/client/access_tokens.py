"""AccessTokens: one access token for all callers of a process, renewed ahead of its end by one fetch at a time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from secrets import SystemRandom
from typing import Protocol

from sealwright.client.origins import Origins
from sealwright.client.token_answer import AccessToken, unavailable
from sealwright.clock import SYSTEM_CLOCK, Clock, SleeplessClock
from sealwright.errors import UnavailableError
from sealwright.trust.after_fork import adopted
from sealwright.trust.backoff import Backoff
from sealwright.trust.flight import without_frames

AHEAD_RATIO, JITTER_RATIO = 0.8, 0.05  # of its life, when a token is renewed
MARGIN_RATIO, MARGIN_S = 0.1, 30.0  # before its end, when it is no longer sent: requests take time
REFUSED_PAUSE_S = 10.0  # between two renewals because a resource refused the token
_RANDOM = SystemRandom()
Landed = Future[AccessToken | UnavailableError]


class TokenFetcher(Protocol):
    """Whoever can get a token, within ``timeout_s``. Raises UnavailableError ``credential.*``."""

    @property
    def timeout_s(self) -> float: ...

    def fetch(self) -> AccessToken: ...


class AccessTokens:
    """``origins`` are all that may see the token. Nothing is fetched before the first request.

    Nobody waits while a token can be used: from 80 % of its life on, the first caller starts a fetch on a thread of
    that fetch's own. Without a usable token all wait for one fetch, ``endpoint.timeout_s`` at most. A fetch that failed
    is not repeated for 1 s, then 2 s, up to 60 s. Usable from every thread and event loop, and after a fork.

    ``token_for`` and ``renewed_for`` raise ConfigurationError ``credential.origin`` for a URL elsewhere, and
    ``token_for`` UnavailableError ``credential.unavailable`` or ``credential.refused`` while there is no token.
    """

    def __init__(self, endpoint: TokenFetcher, *, origins: Collection[str], clock: Clock = SYSTEM_CLOCK) -> None:
        self._endpoint, self._origins = endpoint, Origins(origins)
        self._clock = SleeplessClock(clock)
        self._by_process = {os.getpid(): _Holder(endpoint.fetch, self._clock)}

    def token_for(self, url: str) -> str:
        """The token for a request to ``url``."""
        self._origins.check(url)
        return _given(self._waited(self._here().look()))

    async def atoken_for(self, url: str) -> str:
        """``token_for`` for an event loop, which it never blocks."""
        self._origins.check(url)
        return _given(await self._awaited(self._here().look()))

    def renewed_for(self, url: str, refused: str) -> str | None:
        """Another token than ``refused``, to which the resource at ``url`` answered 401; None when there is none.

        For all callers together that causes one fetch every 10 s at most.
        """
        self._origins.check(url)
        found = self._here().look_beyond(refused)
        return None if found is None else _other(self._waited(found), refused)

    async def arenewed_for(self, url: str, refused: str) -> str | None:
        """``renewed_for`` for an event loop."""
        self._origins.check(url)
        found = self._here().look_beyond(refused)
        return None if found is None else _other(await self._awaited(found), refused)

    def __repr__(self) -> str:
        return f"AccessTokens({self._endpoint!r}, {self._origins!r})"

    def _here(self) -> _Holder:
        """The token is inherited over a fork; threads, locks and fetches are not."""
        return self._by_process.get(os.getpid()) or adopted(
            self._by_process, _Holder(self._endpoint.fetch, self._clock, self._by_process.copy().popitem()[1].held)
        )

    def _waited(self, found: AccessToken | UnavailableError | Landed) -> AccessToken | UnavailableError:
        if not isinstance(found, Future):
            return found
        try:
            return found.result(self._patience_s)
        except TimeoutError:
            return _late()

    async def _awaited(self, found: AccessToken | UnavailableError | Landed) -> AccessToken | UnavailableError:
        if not isinstance(found, Future):
            return found
        try:
            return await asyncio.wait_for(asyncio.wrap_future(found), self._patience_s)
        except TimeoutError:
            return _late()

    @property
    def _patience_s(self) -> float:
        return self._endpoint.timeout_s + 1.0  # a fetch that ends in time may tell so a little later


@dataclass(frozen=True, slots=True)
class _Held:
    """A token and its times, by the monotonic clock."""

    token: AccessToken
    renew_at: float
    usable_until: float


class _Holder:
    """What one process holds. The lock guards a few fields and is never held over I/O."""

    def __init__(self, fetch: Callable[[], AccessToken], clock: Clock, held: _Held | None = None) -> None:
        self._fetch, self._clock, self._lock = fetch, clock, threading.Lock()
        self.held = held
        self._flight: Landed | None = None
        self._backoff, self._failure = Backoff(1.0, 60.0, 0.25), unavailable("no access token was fetched yet")
        self._forced_at = float("-inf")

    def look(self) -> AccessToken | UnavailableError | Landed:
        """The token, or the fetch that may bring it, or why there is none."""
        with self._lock:
            now, held = self._clock.monotonic(), self.held
            if held is None or now >= held.usable_until:
                return self._board(now)
            if now >= held.renew_at:
                self._board(now)
            return held.token

    def look_beyond(self, refused: str) -> AccessToken | UnavailableError | Landed | None:
        """The same for a caller whose token was refused; None when it is too early to ask again."""
        with self._lock:
            now, held = self._clock.monotonic(), self.held
            if held is not None and held.token.text != refused and now < held.usable_until:
                return held.token
            if self._flight is None:
                if now < self._forced_at + REFUSED_PAUSE_S:
                    return None
                self._forced_at = now
            return self._board(now)

    def _board(self, now: float) -> UnavailableError | Landed:
        """The fetch that is under way, or a new one, unless the last has failed a moment ago."""
        if self._flight is not None:
            return self._flight
        if now < self._backoff.until:
            return self._failure
        landed: Landed = Future()
        landed.set_running_or_notify_cancel()  # a caller who gives up must not cancel it for the others
        try:
            threading.Thread(target=self._fly, args=(landed,), name="sealwright-token", daemon=True).start()
        except RuntimeError:
            return unavailable("no thread could be started to fetch an access token")
        self._flight = landed
        return landed

    def _fly(self, landed: Landed) -> None:
        began, brought = self._clock.monotonic(), self._attempt()
        with self._lock:
            self._flight = None
            if isinstance(brought, UnavailableError):
                self._failure = brought
                self._backoff.failed(self._clock.monotonic())
            else:
                self._keep(brought, began)
        landed.set_result(brought)

    def _keep(self, token: AccessToken, began: float) -> None:
        ratio = AHEAD_RATIO + _RANDOM.uniform(-JITTER_RATIO, JITTER_RATIO)
        margin_s = min(MARGIN_S, token.lifetime_s * MARGIN_RATIO)
        life_s = token.lifetime_s
        self.held = _Held(token, began + life_s * ratio, began + life_s - margin_s)
        self._backoff.succeeded()

    def _attempt(self) -> AccessToken | UnavailableError:
        try:
            return self._fetch()
        except UnavailableError as error:
            return without_frames(error)
        except BaseException as error:  # noqa: BLE001 - whatever a signer or a source of subject tokens raises
            failure = unavailable("the request for an access token could not be made", type(error).__name__)
            failure.__cause__ = error
            return without_frames(failure)


def _given(found: AccessToken | UnavailableError) -> str:
    """The failure is shared by all who waited, so each raises an error of its own."""
    if isinstance(found, UnavailableError):
        raise UnavailableError(found.reason, found.message, detail=found.detail) from found
    return found.text


def _other(found: AccessToken | UnavailableError, refused: str) -> str | None:
    return None if isinstance(found, UnavailableError) or found.text == refused else found.text


def _late() -> UnavailableError:
    return unavailable("the token endpoint did not answer in time")
