"""Options that several verbs share, and how their values are read."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sealwright.config.names import DEFAULT_ISSUER
from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json

WIDEST_TABLE = 400
MAXIMUM_INPUT_BYTES = 64 * 1024 * 1024
USUAL_WAIT = "30s"
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}

Home = Annotated[
    Path | None, typer.Option("--home", help="The data folder (SEALWRIGHT_HOME).", show_default="./sealwright-data")
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The file sealwright.toml (SEALWRIGHT_CONFIG).", show_default="beside the data folder"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Issuer = Annotated[str, typer.Option("--issuer", "-i", help="The name of the issuer.")]
Why = Annotated[str, typer.Option("--reason", help="Why; it is written to the audit.")]
Force = Annotated[bool, typer.Option("--force", help="Override a guard; needs --reason and is audited.")]
Approval = Annotated[
    str | None, typer.Option("--approval", help="The id that other people approved; it is used up.", show_default=False)
]
Must = Annotated[str, typer.Option("--reason", help="Why; it is written to the audit.", show_default=False)]
DEFAULT = DEFAULT_ISSUER


def read_bytes(source: str) -> bytes:
    """A file, or standard input for "-". Raises RejectedError ``request.malformed``."""
    try:
        if source == "-":
            data = sys.stdin.buffer.read(MAXIMUM_INPUT_BYTES + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(MAXIMUM_INPUT_BYTES + 1)
    except OSError as error:
        message = f"cannot read {source}: {error.strerror}"
        raise RejectedError(Reason.REQUEST_MALFORMED, message) from error
    if len(data) > MAXIMUM_INPUT_BYTES:
        raise RejectedError(Reason.REQUEST_TOO_LARGE, f"the input is larger than {MAXIMUM_INPUT_BYTES} bytes")
    return data


def read_token(source: str) -> bytes:
    """A token from a file or standard input, without the white space around it."""
    return read_bytes(source).strip()


def check_one_stdin(*sources: str | None) -> None:
    """Raises RejectedError ``request.malformed`` when standard input would have to be two things."""
    if sources.count("-") > 1:
        raise RejectedError(Reason.REQUEST_MALFORMED, "standard input can be one thing only: give the others as files")


def leave_out(why: str, **given: object) -> None:
    """Raises RejectedError ``request.malformed`` that names the options which do not go together with others."""
    if named := [name if name.isupper() else "--" + name.replace("_", "-") for name, value in given.items() if value]:
        raise RejectedError(Reason.REQUEST_MALFORMED, f"{why}: leave out {', '.join(named)}")


def printable(text: str | None) -> str:
    """Text of strangers for a terminal: control characters are written as JSON writes them."""
    if text is None:
        return "-"
    return escape(text if text.isprintable() else json.dumps(text))


def read_claims(text: str) -> dict[str, Any]:
    """A JSON object given in place, as @FILE, or as - for standard input."""
    data = read_bytes(text.removeprefix("@")) if text == "-" or text.startswith("@") else text.encode()
    return strict_json.parse_object(data)


def read_seconds(text: str) -> float:
    """ "90", "90s", "15m", "2h" or "1d" in seconds. Raises RejectedError ``request.malformed``."""
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text)
    if match is None:
        raise RejectedError(Reason.REQUEST_MALFORMED, "a duration is written like 90s, 15m, 2h or 1d")
    return float(match[1]) * _UNITS_S[match[2]]


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_json_line(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, stderr: bool = False) -> None:
    """Columns as wide as their content: a kid is there to be copied, so a narrow terminal wraps and never cuts."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(width=max(Console().width, WIDEST_TABLE), stderr=stderr).print(table)
