"""Watched: whether verifier.toml, or a file that it names and that is read once, has a new content come to rest."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable
from pathlib import Path

from sealwright.config.reading import LARGEST_BYTES
from sealwright.config.verifier_tables import VerifierFile


class Watched:
    """Looks at contents, so that neither a new time of a file counts nor how it was replaced."""

    def __init__(self) -> None:
        self._known: dict[Path, bytes] = {}
        self._seen: dict[Path, bytes] = {}

    def follow(self, paths: Iterable[Path]) -> None:
        """From now on these; one that was followed before is known as it was."""
        self._known = {path: self._known.get(path) or _digest(path) for path in paths}
        self._seen = self._known

    def note(self) -> None:
        """What is there now is known, since it is about to be read."""
        self._known = self._seen = {path: _digest(path) for path in self._known}

    def is_still(self) -> bool:
        """Whether all is as it was noted last; it is noted anew. Does I/O."""
        before = self._known
        self.note()
        return before == self._known

    def has_changed(self) -> bool:
        """Whether anything is not as it was known, and as it was at the last look: nobody is writing. Then it is known.

        Does I/O.
        """
        now = {path: _digest(path) for path in self._known}
        settled = now == self._seen and now != self._known
        self._seen = now
        if settled:
            self._known = now
        return settled


def read_once(config: Path | None, file: VerifierFile, folder: Path) -> list[Path]:
    """The files whose content counts from a reload on. Files of keys and credentials are read anew by who uses them."""
    named = [*(one.ca_file for one in file.issuers.values()), file.dpop.nonce_secrets_file]
    if file.sealwright is not None:
        named += [file.sealwright.ca_file, file.sealwright.trust_root_file]
    if file.replay is not None:
        named.append(file.replay.url_file)
    return [*([] if config is None else [config]), *(folder / one for one in named if one is not None)]


def _digest(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return b"no file"  # a pipe can be read once, and has been
        with path.open("rb") as file:
            return hashlib.sha256(file.read(LARGEST_BYTES + 1)).digest()
    except OSError as error:
        return type(error).__name__.encode()
