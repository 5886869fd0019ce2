"""A unix socket that is taken is never taken away, and one that nobody answers on is."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

import sealwright as sw
from sealwright.services.listening import listening_at


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(str(path))
        except OSError:
            return False
        return True


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_it_answers_has_its_mode_and_is_gone_at_the_end(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "run" / "sidecar.sock"
    with listening_at(path, mode):
        assert connects(path)
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert list(path.parent.iterdir()) == []


def test_what_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert not connects(path)
    with listening_at(path, 0o660):
        assert connects(path)


def test_one_in_use_is_refused_and_still_in_use(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening_at(path, 0o660):
        with pytest.raises(sw.ConfigurationError, match="another process answers there"), listening_at(path, 0o660):
            pass
        assert connects(path)
        assert [one.name for one in tmp_path.iterdir()] == ["s"]


def test_another_kind_of_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("mine")
    with pytest.raises(sw.ConfigurationError, match="something else") as raised, listening_at(path, 0o660):
        pass
    assert (raised.value.reason, path.read_text()) == ("settings.port_in_use", "mine")


def test_what_took_its_place_meanwhile_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening_at(path, 0o660):
        path.unlink()
        path.write_text("another's")
    assert path.read_text() == "another's"


def test_a_path_that_is_too_long_or_not_ours_is_a_clear_error(tmp_path: Path) -> None:
    for path in (tmp_path / ("s" * 120), Path("/proc/nowhere/s")):
        with pytest.raises(sw.ConfigurationError, match="cannot listen on"), listening_at(path, 0o660):
            pass
