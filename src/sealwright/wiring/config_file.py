"""Check a whole sealwright.toml: what its tables say, and whether that goes together on this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sealwright.config.reading import Read, examine
from sealwright.config.tables import ConfigFile
from sealwright.config.unsafe import combinations
from sealwright.errors import ConfigurationError, Reason
from sealwright.wiring.key_backends import makes


def check_file(path: Path, *, strict: bool = False) -> Read:
    """Everything that is wrong with the file. Raises ConfigurationError only for one that cannot be read at all."""
    read = examine(path)
    if read.file is None:
        return read
    file = read.file
    if strict:
        file = file.model_copy(update={"service": file.service.model_copy(update={"strict": True})})
    faults = combinations(file, makes, database_is_shared=_shared(file, path.parent))
    return replace(read, faults=tuple(sorted(faults, key=lambda fault: (read.place(fault), fault.warning))))


def refuse_faults(path: Path) -> None:
    """Raises ConfigurationError ``settings.invalid`` that names every error of the file."""
    read = check_file(path)
    if errors := [read.written(fault) for fault in read.faults if not fault.warning]:
        raise ConfigurationError(Reason.SETTINGS_INVALID, "; ".join(errors))


def _shared(file: ConfigFile, folder: Path) -> bool:
    """Whether several replicas can use the database. A secret that is not on this machine tells nothing."""
    if file.service.database_url_file is None:
        return False
    try:
        return (folder / file.service.database_url_file).read_text("utf-8").startswith("postgresql")
    except (OSError, UnicodeDecodeError):
        return False
