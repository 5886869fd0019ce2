"""A change counts when its content is new and has come to rest."""

from __future__ import annotations

import os
from pathlib import Path

from sealwright.services.verifier_service.watch import Watched


def watched(*paths: Path) -> Watched:
    one = Watched()
    one.follow(paths)
    return one


def test_a_new_content_counts_at_the_second_look_and_once(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("a")
    one = watched(file)
    assert not one.has_changed()
    file.write_text("b")
    assert [one.has_changed() for _ in range(4)] == [False, True, False, False]


def test_while_somebody_writes_nothing_has_changed_yet(tmp_path: Path) -> None:
    file = tmp_path / "f"
    one = watched(file)
    seen = []
    for text in ("a", "ab", "abc"):
        file.write_text(text)
        seen.append(one.has_changed())
    assert [*seen, one.has_changed()] == [False, False, False, True]


def test_neither_a_new_time_nor_the_same_content_in_another_file_is_a_change(tmp_path: Path) -> None:
    file, other = tmp_path / "f", tmp_path / "g"
    file.write_text("a")
    one = watched(file)
    os.utime(file, (1, 1))
    assert [one.has_changed() for _ in range(3)] == [False] * 3
    other.write_text("a")
    other.replace(file)
    assert [one.has_changed() for _ in range(3)] == [False] * 3


def test_a_link_that_points_elsewhere_is_a_change_as_kubernetes_makes_them(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    (tmp_path / "data").symlink_to("old")
    one = watched(tmp_path / "data" / "f")
    (tmp_path / "next").symlink_to("new")
    (tmp_path / "next").replace(tmp_path / "data")
    assert [one.has_changed() for _ in range(3)] == [False, True, False]


def test_what_was_noted_or_was_followed_before_is_known(tmp_path: Path) -> None:
    first, second = tmp_path / "f", tmp_path / "g"
    first.write_text("a")
    one = watched(first)
    first.write_text("b")
    one.note()
    assert not any(one.has_changed() for _ in range(3))
    first.write_text("c")
    one.follow([first, second])
    assert [one.has_changed() for _ in range(3)][-2:] == [True, False]


def test_a_pipe_is_not_waited_for_and_a_file_that_is_gone_is_a_change(tmp_path: Path) -> None:
    pipe, file = tmp_path / "p", tmp_path / "f"
    os.mkfifo(pipe)
    file.write_text("a")
    one = watched(pipe, file)
    file.unlink()
    assert [one.has_changed() for _ in range(3)] == [False, True, False]


def test_what_was_noted_is_still_until_somebody_writes(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("a")
    one = watched(file)
    one.note()
    assert one.is_still()
    file.write_text("b")
    assert [one.is_still(), one.is_still()] == [False, True]
    assert not any(one.has_changed() for _ in range(3))
