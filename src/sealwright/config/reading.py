"""Find and read sealwright.toml: every fault at once, each with its place, and what would be right."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from sealwright.config.lines import Lines, Place
from sealwright.config.tables import BackendTable, ConfigFile, IssuerTable, ServiceTable, TimingsTable
from sealwright.errors import ConfigurationError, Reason

NAME = "sealwright.toml"
TOP = Place(1, 1)
LARGEST_BYTES = 1024 * 1024
_MODELS: dict[str, type[BaseModel]] = {"service": ServiceTable, "timings": TimingsTable}
_NAMED: dict[str, type[BaseModel]] = {"backends": BackendTable, "issuers": IssuerTable}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at a key, and what would be right. A warning stops nothing."""

    key: tuple[str, ...]
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """A file that was read: its content, unless a fault is in the way, and where its keys are."""

    path: Path
    file: ConfigFile | None
    faults: tuple[Fault, ...]
    lines: Lines | None
    syntax: Place = TOP

    def place(self, fault: Fault) -> Place:
        return self.lines.place(fault.key) if self.lines else self.syntax

    def written(self, fault: Fault) -> str:
        """file:line:column: error: key: what is wrong."""
        place, kind = self.place(fault), "warning" if fault.warning else "error"
        key = f"{'.'.join(fault.key)}: " if fault.key else ""
        return f"{self.path}:{place.line}:{place.column}: {kind}: {key}{fault.message}"


def find_file(given: Path | None, home: Path) -> Path | None:
    """The file that was named, or sealwright.toml beside the data folder.

    Raises ConfigurationError ``settings.invalid`` for a file beside that somebody else could have put there.
    """
    if given is not None:
        return given
    beside = home.absolute().parent / NAME
    try:
        owner = beside.stat().st_uid
    except OSError:
        return None
    if owner not in (0, os.getuid()):
        _refuse(f"{beside} is not yours: name it with --config or SEALWRIGHT_CONFIG if you trust it")
    return beside


def read_file(path: Path) -> ConfigFile:
    """Raises ConfigurationError ``settings.invalid`` naming every fault."""
    read = examine(path)
    if read.file is None:
        _refuse("; ".join(read.written(fault) for fault in read.faults))
    return read.file


def examine(path: Path) -> Read:
    """Raises ConfigurationError ``settings.invalid`` only for a file that cannot be read at all."""
    text = _text(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Read(path, None, (Fault((), f"not TOML: {error}"),), None, _syntax_place(text, str(error)))
    lines = Lines(text)
    try:
        return Read(path, ConfigFile.model_validate(content), (), lines)
    except ValidationError as error:
        faults = sorted(_faults(error), key=lambda fault: lines.place(fault.key))
        return Read(path, None, tuple(faults), lines)


def _faults(error: ValidationError) -> Iterable[Fault]:
    for fault in error.errors(include_url=False, include_context=False):
        key = tuple(str(part) for part in fault["loc"] if not _of_pydantic(part))
        known = _known(key)
        if fault["type"] == "extra_forbidden":
            in_file = [name for name in known if name == f"{key[-1]}_file"]
            near = in_file or difflib.get_close_matches(key[-1], known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            yield Fault(key, f"there is no such key; {hint}")
        elif fault["type"] == "missing":
            yield Fault(key, "is missing")
        else:
            yield Fault(key, fault["msg"].removeprefix("Value error, "))


def _of_pydantic(part: Any) -> bool:
    """Names of validators and branches, which pydantic mixes into the place of a fault."""
    return not isinstance(part, str) or part == "[key]" or "[" in part or part.startswith("literal")


def _known(key: tuple[str, ...]) -> list[str]:
    """The keys that may stand beside the last one of ``key``."""
    model: type[BaseModel] = ConfigFile
    if len(key) == 2:
        model = _MODELS.get(key[0], ConfigFile)
    elif len(key) > 2:
        model = _NAMED.get(key[0], ConfigFile)
    return list(model.model_fields)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
        if len(data) > LARGEST_BYTES:
            _refuse(f"{path} is larger than {LARGEST_BYTES} bytes")
        return data.decode("utf-8")
    except OSError as error:
        _refuse(f"cannot read {path}: {error.strerror}")
    except UnicodeDecodeError:
        _refuse(f"{path} is not UTF-8")


def _syntax_place(text: str, message: str) -> Place:
    found = re.search(r"at line (\d+), column (\d+)", message)
    return Place(int(found[1]), int(found[2])) if found else Place(max(text.count("\n"), 1), 1)


def _refuse(message: str) -> NoReturn:
    raise ConfigurationError(Reason.SETTINGS_INVALID, message)
