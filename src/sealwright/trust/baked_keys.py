"""BakedKeys: a key set that was fetched when an image was built, for the first calls of a process without a fetch."""

from __future__ import annotations

import os
from dataclasses import replace

from sealwright.jose import strict_json
from sealwright.trust.flight import unavailable
from sealwright.trust.key_snapshot import KeySnapshot
from sealwright.trust.last_good import LastGoodKeys, bounded_content
from sealwright.trust.own_file import replace_whole

_READABLE = 0o644  # a function runs under another user than its build


class BakedKeys(LastGoodKeys):
    """The file of LastGoodKeys under other rules. Its keys count for ``baked_s`` since their fetch, and not a moment
    longer; a process takes them for fresh as long as if it had fetched them itself, and asks before it calls a kid
    unknown. Whoever can write to the image can change the code as well, so nobody asks whose file it is.
    """

    def read(self) -> KeySnapshot:
        """Raises UnavailableError ``source.*`` for a file that is not there, or holds no keys that still count."""
        found = super().read()
        if found is None:
            raise unavailable("the image holds no keys that still count")
        fresh_s = min(self._settings.freshness_for(None), found.dead_at - found.refresh_at)
        ahead_s = fresh_s * self._settings.refresh_ahead_ratio
        return replace(
            found,
            refresh_at=found.refresh_at + ahead_s,
            fresh_until=found.refresh_at + fresh_s,
            is_confirmed=False,
        )

    def write(self, _: KeySnapshot) -> None:
        """An image does not change."""

    def bake(self, snapshot: KeySnapshot) -> None:
        """Raises OSError."""
        replace_whole(self._path, strict_json.encode_object(self._written_as(snapshot)))
        self._path.chmod(_READABLE)

    def _end(self, fetched: float, _: float) -> float:
        return fetched + self._settings.baked_s

    def _content(self) -> bytes:
        return bounded_content(self._path, _anybodys)


def _anybodys(_: os.stat_result) -> None:
    pass
