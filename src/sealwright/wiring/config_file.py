"""Check a whole sealwright.toml: what its tables say, and whether that goes together on this machine."""

from __future__ import annotations

from pathlib import Path

from sealwright.config.reading import Read, examine
from sealwright.config.tables import ConfigFile
from sealwright.config.unsafe import combinations
from sealwright.wiring.key_backends import makes


def check_file(path: Path, *, strict: bool = False) -> Read[ConfigFile]:
    """Everything that is wrong with the file. Raises ConfigurationError only for one that cannot be read at all."""
    read = examine(path, ConfigFile)
    if read.file is None:
        return read
    file = read.file
    if strict:
        file = file.model_copy(update={"service": file.service.model_copy(update={"strict": True})})
    return read.with_faults(combinations(file, makes, database_is_shared=_shared(file, path.parent)))


def refuse_faults(path: Path) -> None:
    """Raises ConfigurationError ``settings.invalid`` that names every error of the file."""
    check_file(path).checked()


def _shared(file: ConfigFile, folder: Path) -> bool:
    """Whether several replicas can use the database. A secret that is not on this machine tells nothing."""
    if file.service.database_url_file is None:
        return False
    try:
        return (folder / file.service.database_url_file).read_text("utf-8").startswith("postgresql")
    except (OSError, UnicodeDecodeError):
        return False
