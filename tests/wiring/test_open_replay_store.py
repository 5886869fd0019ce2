"""Opening a store by its URL: what is refused, and which drivers a process loads for it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from sealwright.errors import ConfigurationError, Reason, UnavailableError
from sealwright.trust.replay import ReplayStore
from sealwright.wiring.replay_stores import ReplayStoreOptions, open_replay_store


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory",
        "memory://here",
        "mysql://u:s3cret@db/x",
        "file:///tmp/x",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "postgresql+asyncpg://u:s3cret@db/x",
        "postgresql://",
        "postgresql://u:s3cret@db:port/x",
        "redis://u:s3cret@db:port/x",
        "redis://u:s3cret@db/0?retry=3",
    ],
)
def test_a_url_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_replay_store(url)
    assert caught.value.reason == Reason.SETTINGS_INVALID
    assert "s3cret" not in f"{caught.value!r}{caught.value.detail}{caught.value.__cause__}{caught.value.__context__}"


@pytest.mark.parametrize("wrong", [{"capacity": 0}, {"timeout_s": -1.0}, {"window_s": float("nan")}, {"sharers": 0}])
def test_amounts_that_are_none_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        open_replay_store("memory:", ReplayStoreOptions(**wrong))  # type: ignore[arg-type]


def test_a_memory_of_each_process_is_refused_where_several_share_the_tokens() -> None:
    with pytest.raises(ConfigurationError, match="each of 3 processes would accept a token once"):
        open_replay_store("memory:", ReplayStoreOptions(sharers=3))
    chosen = ReplayStoreOptions(sharers=3, local_though_shared=True, capacity=5)
    with closing(open_replay_store("memory:", chosen)) as store:
        assert store.claim(b"k" * 16, 5)


def test_a_relative_sqlite_file_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(open_replay_store("sqlite:///claims.db")) as store:
        assert store.claim(b"k" * 16, 5)
    assert (tmp_path / "claims.db").exists()


def test_a_sqlite_file_in_a_folder_that_is_not_there_claims_nothing(tmp_path: Path) -> None:
    with closing(open_replay_store(f"sqlite:///{tmp_path}/none/claims.db")) as store:
        with pytest.raises(UnavailableError) as caught:
            store.claim(b"k" * 16, 5)
        assert caught.value.reason == Reason.REPLAY_UNAVAILABLE


@pytest.mark.parametrize(
    ("url", "loaded"),
    [("memory:", set()), ("redis://127.0.0.1:1/0", {"redis"}), ("sqlite:///claims.db", {"sqlalchemy"})],
)
def test_only_the_driver_that_a_url_names_is_loaded(url: str, loaded: set[str], tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from sealwright.wiring.replay_stores import open_replay_store\n"
        "open_replay_store(sys.argv[1]).close()\n"
        "print(*{name.split('.')[0] for name in sys.modules} & {'redis', 'sqlalchemy', 'psycopg', 'alembic'})\n"
        "print(*[name for name in sys.modules if name.startswith('sealwright.keys')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, url], capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path
    )
    drivers, keys = done.stdout.split("\n")[:2]
    assert (set(drivers.split()), keys) == (loaded, "")


def test_a_store_whose_driver_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("redis", "sqlalchemy"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("redis", "sql"):
        monkeypatch.delitem(sys.modules, f"sealwright.trust.stores.{name}", raising=False)
    for url, extra in [("redis://db/0", "redis"), ("sqlite:///x", "sql"), ("postgresql://db/x", "postgresql")]:
        with pytest.raises(ConfigurationError, match=rf"sealwright\[{extra}\]"):
            open_replay_store(url)


def test_a_store_is_a_replay_store() -> None:
    store: ReplayStore = open_replay_store("memory:")
    store.close()
