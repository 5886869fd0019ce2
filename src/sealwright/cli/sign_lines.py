"""sealwright sign --lines: claims, one JSON object a line; one token a line, signed in batches."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from sealwright.cli.options import print_json_line
from sealwright.cli.progress import open_content
from sealwright.cli.session import open_calls
from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json

BATCH = 500
LONGEST_LINE_BYTES = 64 * 1024


def sign_lines(
    source: str,
    issuer: str,
    audience: str | Sequence[str],
    lifetime_s: float | None,
    *,
    home: Path | None,
    as_json: bool,
) -> None:
    """Each batch is written as soon as it is signed. Raises RejectedError for a line that is no object of claims."""
    with open_content(source, quiet=True) as content, open_calls(home) as calls:
        lines = iter(lambda: content.stream.readline(LONGEST_LINE_BYTES), b"")
        claims = (_claims(number, line) for number, line in enumerate(lines, start=1) if line.strip())
        while batch := list(islice(claims, BATCH)):
            asked = [{"claims": one, "audience": audience, "lifetime_s": lifetime_s} for one in batch]
            for answer in calls.issue_tokens(issuer, asked)["tokens"]:
                if as_json:
                    print_json_line(answer)
                else:
                    sys.stdout.write(answer["token"] + "\n")
            sys.stdout.flush()


def _claims(number: int, line: bytes) -> dict[str, Any]:
    try:
        return strict_json.parse_object(line)
    except RejectedError as error:
        raise RejectedError(Reason.REQUEST_MALFORMED, f"line {number} is not a JSON object of claims") from error
