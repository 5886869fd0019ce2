"""LastGoodKeys: the last good key set in a file, for a process that starts while the source is down.

It never counts as fresh, and no longer than the set would have counted in the process that fetched it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from sealwright.clock import Clock
from sealwright.errors import RejectedError, UnavailableError
from sealwright.jose import strict_json
from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.flight import malformed, unavailable
from sealwright.trust.key_snapshot import KeySnapshot, same_keys
from sealwright.trust.own_file import replace_whole, turn

FORMAT = "sealwright last good keys 1"
MAXIMUM_BYTES = 2 * 1024 * 1024
TOLERANCE_S = 120.0  # how far in the future a fetch may lie before the clock is said to have gone back
PAUSE_S = 60.0  # the least time between two writes of unchanged keys


class LastGoodKeys:
    """One file of one source, which several processes may share. Raises UnavailableError ``source.*``."""

    def __init__(
        self, path: Path, source: str, *, settings: CacheSettings, clock: Clock, algorithms: Collection[str] | None
    ) -> None:
        self._path, self._source = path, source
        self._settings, self._clock, self._algorithms = settings, clock, algorithms
        self._written: KeySnapshot | None = None

    def read(self) -> KeySnapshot | None:
        """What the file holds, as a stale snapshot; None when there is none, or none that still counts."""
        try:
            return self._snapshot(self._members())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unavailable("the file of the last good keys cannot be read", error.strerror) from error
        except (RejectedError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise malformed("the file of the last good keys is broken or not ours", type(error).__name__) from error

    def write(self, snapshot: KeySnapshot) -> None:
        """Keep it, unless the file is as new, or another process is writing just now."""
        last = self._written
        if last and snapshot.fetched_at < last.fetched_at + PAUSE_S and same_keys(last.keys, snapshot.keys):
            return
        try:
            with turn(self._path) as mine:
                if mine and not self._is_newer_than(snapshot):
                    replace_whole(self._path, strict_json.encode_object(self._written_as(snapshot)))
        except OSError as error:
            raise unavailable("the file of the last good keys cannot be written", error.strerror) from error
        self._written = snapshot

    def _written_as(self, snapshot: KeySnapshot) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "source": self._source,
            "fetched": snapshot.fetched_unix_s,
            "until": snapshot.fetched_unix_s + snapshot.dead_at - snapshot.fetched_at,
            "confirmed": snapshot.fetched_unix_s + snapshot.confirmed_at - snapshot.fetched_at,
            "seq": snapshot.sequence,
            "url": snapshot.url,
            "dropped": list(snapshot.dropped),
            **snapshot.keys.to_dict(),
        }

    def _members(self) -> dict[str, Any]:
        members = strict_json.parse_object(self._content())
        if members["format"] != FORMAT or members["source"] != self._source:
            raise ValueError("another source, or another format")
        return members

    def _snapshot(self, members: Mapping[str, Any]) -> KeySnapshot | None:
        wall, now = self._clock.now(), self._clock.monotonic()
        fetched, until, confirmed = (_seconds(members[name]) for name in ("fetched", "until", "confirmed"))
        if fetched > wall + TOLERANCE_S:
            raise ValueError("fetched in the future: the clock went back")
        # What it says itself is only believed within what the settings allow.
        dead_at = now + self._end(fetched, until) - wall
        keys = JWKSet.from_dict(members)
        keys = keys if self._algorithms is None else keys.bound_to(self._algorithms)
        if dead_at <= now or not len(keys):
            return None
        fetched_at = now - max(0.0, wall - fetched)
        return KeySnapshot(
            flight=0,  # it proves no kid absent
            keys=keys,
            fetched_at=fetched_at,
            refresh_at=now,
            fresh_until=fetched_at,
            dead_at=dead_at,
            confirmed_at=min(fetched_at, now + confirmed - wall),
            fetched_unix_s=fetched,
            sequence=None if members["seq"] is None else int(members["seq"]),
            url=None if members["url"] is None else str(members["url"]),
            dropped=tuple(map(str, members["dropped"])),
        )

    def _end(self, fetched: float, until: float) -> float:
        """Until when the keys count, by the clock on the wall."""
        return min(until, fetched + self._settings.freshness_s + self._settings.stale_s)

    def _content(self) -> bytes:
        """The bytes of a plain file that nobody but its owner can have written."""
        return bounded_content(self._path, _check_owner)

    def _is_newer_than(self, snapshot: KeySnapshot) -> bool:
        """Whether another process has kept what it fetched later. A time in the future proves nothing."""
        try:
            fetched = _seconds(self._members()["fetched"])
        except (OSError, RejectedError, UnavailableError, KeyError, TypeError, ValueError):
            return False
        return snapshot.fetched_unix_s < fetched <= self._clock.now() + TOLERANCE_S


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a time is a number")
    return float(value)


def bounded_content(path: Path, check: Callable[[os.stat_result], None]) -> bytes:
    """The bytes of a plain file; a pipe must not hold the thread up."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise malformed("the file of the last good keys is no plain file")
        check(found)
        content = file.read(MAXIMUM_BYTES + 1)
    if len(content) > MAXIMUM_BYTES:
        raise malformed("the file of the last good keys is too large")
    return content


def _check_owner(found: os.stat_result) -> None:
    if found.st_mode & 0o022 or found.st_uid not in (0, os.geteuid()):
        raise malformed("the file of the last good keys could have been written by others")
