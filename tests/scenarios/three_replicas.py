"""Three replicas: services of one PostgreSQL database, one folder of sealed keys, and one public URL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from running_service import RunningService

PUBLIC_URL = "https://sign.example"


def start_replicas(folder: Path, database_urls: Sequence[str], **settings: str) -> list[RunningService]:
    """One for each URL, which may be ways to the same database. Whoever starts them kills them."""
    shared = {
        "SEALWRIGHT_PUBLIC_URL": PUBLIC_URL,
        "SEALWRIGHT_KEYS_FOLDER": str(folder / "keys"),
        "SEALWRIGHT_KEK_FILE": str(folder / "kek"),
        **settings,
    }
    (folder / "kek").write_text("ab" * 32)
    (folder / "kek").chmod(0o600)
    started: list[RunningService] = []
    try:
        for number, url in enumerate(database_urls, 1):
            own = {"SEALWRIGHT_DATABASE_URL": url, "SEALWRIGHT_REPLICA": f"replica-{number}"}
            started.append(RunningService(folder / f"home-{number}", shared | own))
    except BaseException:
        kill_all(started)
        raise
    return started


def kill_all(services: Sequence[RunningService]) -> None:
    for service in services:
        service.kill()
