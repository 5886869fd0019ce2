"""sealwright verify --lines: one token a line, one JSON result a line, in bounded memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from sealwright.cli.options import print_json_line
from sealwright.cli.progress import open_content
from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.jose.compact import MAXIMUM_TOKEN_BYTES

Decide = Callable[[bytes], dict[str, Any]]
_PIECE_BYTES = 64 * 1024


def verify_lines(source: str, decide: Decide) -> str:
    """Answer each line as soon as it is read; blank lines count and are skipped.

    The outcome of all: rejected when any was, else undecided when any was, else accepted.
    """
    seen = set()
    with open_content(source, quiet=True) as content:
        for number, line in _lines(content.stream):
            result = _decided(line, decide)
            seen.add(result["outcome"])
            print_json_line({"line": number, **result})
            sys.stdout.flush()
    return next((outcome for outcome in ("rejected", "undecided") if outcome in seen), "accepted")


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines that are not blank, without the white space around them; None for one above the limit."""
    number = 0
    while line := stream.readline(MAXIMUM_TOKEN_BYTES + 2):
        number += 1
        if _is_cut(line):
            _skip_rest(stream)
            yield number, None
        elif token := line.strip():
            yield number, token


def _is_cut(line: bytes) -> bool:
    return len(line) == MAXIMUM_TOKEN_BYTES + 2 and not line.endswith(b"\n")


def _skip_rest(stream: BinaryIO) -> None:
    while (piece := stream.readline(_PIECE_BYTES)) and not piece.endswith(b"\n"):
        pass


def _decided(token: bytes | None, decide: Decide) -> dict[str, Any]:
    try:
        if token is None:
            raise RejectedError(Reason.TOKEN_TOO_LARGE, f"the line is larger than {MAXIMUM_TOKEN_BYTES} bytes")
        return decide(token)
    except RejectedError as error:
        return {"outcome": "rejected", "reason": error.reason, "message": error.message}
    except UnavailableError as error:
        return {"outcome": "undecided", "reason": error.reason, "message": error.message}
