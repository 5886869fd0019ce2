"""StateFile: what a verifier must not forget of one issuer's statements, whole on disk before it counts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.jose import strict_json
from sealwright.trust.own_file import replace_whole, turn

FORMAT = "sealwright statements 1"
_MAXIMUM_BYTES = 8 * 1024 * 1024
_TRIES = 40  # for the turn to write, over two seconds; a worker that holds it for longer is stuck


@dataclass(frozen=True, slots=True)
class Remembered:
    """The largest sequence, -1 for none; every kid ever revoked; the largest "iat", in seconds since the epoch."""

    sequence: int = -1
    revoked: frozenset[str] = frozenset()
    issued_at: float = 0.0

    def merged(self, other: Remembered) -> Remembered:
        return Remembered(
            max(self.sequence, other.sequence),
            self.revoked | other.revoked,
            max(self.issued_at, other.issued_at),
        )


class StateFile:
    """One file, which all workers of a verifier share. ``subject`` says whose it is and is checked.

    Raises UnavailableError ``source.unavailable`` where the disk fails and ``source.malformed`` for a file that is not
    what this class wrote: nobody may forget what was revoked just because a file broke.
    """

    def __init__(self, path: Path, subject: str) -> None:
        self._path, self._subject = path, subject

    @classmethod
    def of(cls, folder: Path, kind: str, issuer: str) -> Self:
        """The file of one kind of statement of one issuer, whatever its URL is made of."""
        return cls(folder / f"{kind}-{hashlib.sha256(issuer.encode()).hexdigest()[:16]}.json", f"{kind} {issuer}")

    def read(self) -> Remembered:
        """What is remembered; nothing where there is no file yet."""
        try:
            with self._path.open("rb") as file:
                text = file.read(_MAXIMUM_BYTES + 1)
        except FileNotFoundError:
            return Remembered()
        except OSError as error:
            raise _failed(error) from error
        try:
            return self._parsed(strict_json.parse_object(text))
        except (RejectedError, KeyError, TypeError, ValueError) as error:
            message = "the file of what was revoked is broken or another's"
            raise UnavailableError(Reason.SOURCE_MALFORMED, message, detail=str(self._path)) from error

    def keep(self, seen: Remembered) -> Remembered:
        """Add what was seen to what is there, once it is on disk; the larger sequence of both stays."""
        try:
            with turn(self._path, _TRIES) as mine:
                if not mine:
                    raise TimeoutError("another worker holds the file")
                before = self.read()
                merged = before.merged(seen)
                if merged != before:
                    replace_whole(self._path, strict_json.encode_object(self._written(merged)))
                return merged
        except OSError as error:
            raise _failed(error) from error

    def _written(self, kept: Remembered) -> dict[str, Any]:
        facts = {"sequence": kept.sequence, "revoked": sorted(kept.revoked), "issued_at": kept.issued_at}
        return {"format": FORMAT, "subject": self._subject, **facts}

    def _parsed(self, members: dict[str, Any]) -> Remembered:
        sequence, revoked, issued_at = members["sequence"], members["revoked"], members["issued_at"]
        whose = (members["format"], members["subject"]) == (FORMAT, self._subject)
        if not whose or type(sequence) is not int or not all(isinstance(key_id, str) for key_id in revoked):
            raise ValueError("another file")
        return Remembered(sequence, frozenset(revoked), float(issued_at))


def _failed(error: OSError) -> UnavailableError:
    message = "the file of what was revoked cannot be read or written"
    return UnavailableError(Reason.SOURCE_UNAVAILABLE, message, detail=error.strerror)
