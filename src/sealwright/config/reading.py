"""Find and read sealwright.toml and verifier.toml: every fault at once, with its place and what would be right."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, NoReturn, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from sealwright.config.lines import Lines, Place
from sealwright.errors import ConfigurationError, Reason

NAME = "sealwright.toml"
TOP = Place(1, 1)
LARGEST_BYTES = 1024 * 1024
File = TypeVar("File", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at a key, and what would be right. A warning stops nothing."""

    key: tuple[str, ...]
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Read(Generic[File]):
    """A file that was read: its content, unless a fault is in the way, and where its keys are."""

    path: Path
    file: File | None
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

    def checked(self) -> File:
        """The content of a file without an error. Raises ConfigurationError ``settings.invalid`` naming every one."""
        errors = [self.written(fault) for fault in self.faults if not fault.warning]
        if errors or self.file is None:
            _refuse("; ".join(errors))
        return self.file

    def with_faults(self, faults: Iterable[Fault]) -> Self:
        """With these, in the order of their places."""
        return replace(self, faults=tuple(sorted(faults, key=lambda fault: (self.place(fault), fault.warning))))


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


def read_file(path: Path, model: type[File]) -> File:
    """Raises ConfigurationError ``settings.invalid`` naming every fault."""
    return examine(path, model).checked()


def examine(path: Path, model: type[File]) -> Read[File]:
    """Raises ConfigurationError ``settings.invalid`` only for a file that cannot be read at all."""
    text = _text(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Read(path, None, (Fault((), f"not TOML: {error}"),), None, _syntax_place(text, str(error)))
    lines = Lines(text)
    try:
        return Read(path, model.model_validate(content), (), lines)
    except ValidationError as error:
        nothing: Read[File] = Read(path, None, (), lines)
        return nothing.with_faults(_faults(error, model))


def _faults(error: ValidationError, model: type[BaseModel]) -> Iterable[Fault]:
    for fault in error.errors(include_url=False, include_context=False):
        key = tuple(str(part) for part in fault["loc"] if not _of_pydantic(part))
        known = _known(model, key)
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


def _known(model: type[BaseModel], key: tuple[str, ...]) -> list[str]:
    """The keys that may stand beside the last one of ``key``."""
    here: Any = model
    for part in key[:-1]:
        here = _within(here, part)
    return list(here.model_fields) if _is_table(here) else []


def _within(table: Any, key: str) -> Any:
    """The type of what stands at a key of a table, or of a table whose keys are names."""
    if _is_table(table):
        field = table.model_fields.get(key)
        inner = field.annotation if field else None
    else:
        inner = get_args(table)[1] if get_origin(table) is dict else None
    while inner is not None and not _is_table(inner) and get_origin(inner) not in (dict, None):
        inner = next(
            (one for one in get_args(inner) if one is not type(None)), None
        )  # Annotated, or one that is left out
    return inner


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


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
