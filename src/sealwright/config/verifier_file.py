"""verifier.toml as a whole: read, with every fault of its tables and of their combinations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from sealwright.config.reading import Read, examine
from sealwright.config.schema import json_schema
from sealwright.config.verifier_rules import combinations
from sealwright.config.verifier_tables import VerifierFile
from sealwright.errors import ConfigurationError, Reason

PREFIX = "SEALWRIGHT_VERIFIER_"
_NEEDED = ("issuer", "audience", "jwks_url")


def check_file(path: Path) -> Read[VerifierFile]:
    """Everything that is wrong with the file. Raises ConfigurationError only for one that cannot be read at all."""
    read = examine(path, VerifierFile)
    return read if read.file is None else read.with_faults(combinations(read.file))


def file_of_one(issuer: Mapping[str, Any]) -> VerifierFile:
    """The file that variables stand for, by their names in lower case; None is one that is not set.

    Raises ConfigurationError ``settings.invalid``.
    """
    if missing := [f"{PREFIX}{name.upper()}" for name in _NEEDED if issuer[name] is None]:
        _refuse(f"{PREFIX}CONFIG names no file, so these are needed: {', '.join(missing)}")
    algorithms, leeway_s = issuer["algorithms"], issuer["leeway_s"]
    table = {
        "profile": "any",
        "audience": issuer["audience"],
        "jwks_url": issuer["jwks_url"],
        "algorithms": None if algorithms is None else sorted(algorithms),
        "typ": issuer["typ"],
        "leeway": 60 if leeway_s is None else leeway_s,
    }
    try:
        return VerifierFile.model_validate({"issuers": {issuer["issuer"]: table}})
    except ValidationError as error:
        faults = [(str(one["loc"][2]), one["msg"].removeprefix("Value error, ")) for one in error.errors()]
        _refuse("; ".join(f"{PREFIX}{name.upper()}: {told}" for name, told in faults))


def refuse_both(given: Mapping[str, Any]) -> None:
    """Variables about an issuer beside a file. Raises ConfigurationError ``settings.invalid``."""
    if named := [f"{PREFIX}{name.upper()}" for name, value in given.items() if value is not None]:
        _refuse(f"{', '.join(named)} and a file ({PREFIX}CONFIG): say it in one of them")


def _refuse(message: str) -> NoReturn:
    raise ConfigurationError(Reason.SETTINGS_INVALID, message)


def schema() -> dict[str, Any]:
    return json_schema(VerifierFile, "verifier.toml")
