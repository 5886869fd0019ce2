"""Keys in files: read again when they change, and the last usable ones while they are broken."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.trust.sources.file import LOOK_EVERY_S, MAXIMUM_FILE_BYTES, FileKeys, public_keys, secrets, spiffe_keys

OLD, NEW = (sw.PrivateJWK.generate("ES256", key_id=name) for name in ("old", "new"))
SECRET = sw.SecretJWK.generate("HS256", key_id="s1")


def write(path: Path, members: Any, mode: int = 0o600) -> Path:
    """As deployments do: another file takes the place of the old one."""
    made = path.with_suffix(".new")
    made.write_text(members if isinstance(members, str) else json.dumps(members))
    made.chmod(mode)
    return made.replace(path)


def jwks(*keys: sw.PrivateJWK) -> dict[str, Any]:
    return {"keys": [key.public.to_dict() for key in keys]}


def test_a_changed_file_counts_within_seconds_and_an_unchanged_one_is_not_read(tmp_path: Path) -> None:
    clock, path = ManualClock(), write(tmp_path / "keys", jwks(OLD))
    source = FileKeys(path, public_keys, clock=clock)
    assert source.find("old").key_id == "old"
    write(path, jwks(NEW))
    assert source.find("old").key_id == "old"
    clock.advance(LOOK_EVERY_S)
    with pytest.raises(sw.RejectedError):
        source.find("old")
    assert asyncio.run(source.afind("new")).key_id == "new"
    assert source.status().age_s == 0
    clock.advance(60)
    assert (source.status().age_s, source.status().fresh) == (60, True)


@pytest.mark.parametrize(
    "broken",
    ["", "{", '{"keys": []}', "[]", '{"keys": 5}', " " * (MAXIMUM_FILE_BYTES + 1), None],
    ids=lambda x: str(x)[:10],
)
def test_while_the_file_is_broken_or_gone_the_last_usable_keys_count_and_the_status_says_so(
    tmp_path: Path, broken: str | None
) -> None:
    clock, path = ManualClock(), write(tmp_path / "keys", jwks(OLD))
    source = FileKeys(path, public_keys, clock=clock)
    path.unlink() if broken is None else write(path, broken)
    clock.advance(LOOK_EVERY_S)
    assert source.find("old").key_id == "old"
    assert (source.status().fresh, source.status().last_error) == (False, "source.malformed")
    write(path, jwks(OLD, NEW))
    clock.advance(LOOK_EVERY_S)
    assert (source.find("new").key_id, source.status().fresh, source.status().keys) == ("new", True, 2)


def test_the_status_is_well_again_when_the_same_file_is_back(tmp_path: Path) -> None:
    clock, path = ManualClock(), write(tmp_path / "keys", jwks(OLD))
    source = FileKeys(path, public_keys, clock=clock)
    path.rename(tmp_path / "away")
    clock.advance(LOOK_EVERY_S)
    assert not source.status().fresh
    (tmp_path / "away").rename(path)
    clock.advance(LOOK_EVERY_S)
    assert source.status().fresh


def test_a_file_that_others_may_write_or_a_secret_that_they_may_read_does_not_count(tmp_path: Path) -> None:
    for mode, secret in ((0o622, False), (0o660, True), (0o602, False), (0o604, True)):
        path = write(tmp_path / "keys", jwks(OLD) if not secret else SECRET.export_secret_dict(), mode)
        with pytest.raises(sw.ConfigurationError, match="open to others"):
            FileKeys(path, secrets if secret else public_keys, secret=secret)
    assert FileKeys(write(path, jwks(OLD), 0o644), public_keys).find("old")
    assert FileKeys(write(path, SECRET.export_secret_dict(), 0o640), secrets, secret=True).find("s1")


def test_a_key_set_with_a_secret_or_a_private_key_in_it_gives_neither(tmp_path: Path) -> None:
    private = OLD.export_private_dict()
    path = write(tmp_path / "keys", {"keys": [SECRET.export_secret_dict(), private, NEW.public.to_dict()]})
    source = FileKeys(path, public_keys)
    assert (source.status().keys, source.status().unusable) == (1, 2)
    with pytest.raises(sw.ConfigurationError):
        FileKeys(write(path, private), secrets)


def test_several_secrets_are_told_apart_by_kid_and_counted(tmp_path: Path) -> None:
    second = sw.SecretJWK.generate("HS256", key_id="s2")
    path = write(tmp_path / "s", {"keys": [SECRET.export_secret_dict(), second.export_secret_dict()]})
    source = FileKeys(path, secrets, secret=True)
    assert (source.find("s2").key_id, source.status().keys) == ("s2", 2)
    for wrong in ({"keys": [5]}, {"keys": 5}, {"keys": []}):
        with pytest.raises(sw.ConfigurationError):
            FileKeys(write(path, wrong), secrets, secret=True)


def test_of_a_spiffe_bundle_only_the_keys_for_tokens_count(tmp_path: Path) -> None:
    for_tokens, for_tls = OLD.public.to_dict() | {"use": "jwt-svid"}, NEW.public.to_dict() | {"use": "x509-svid"}
    source = FileKeys(write(tmp_path / "b", {"keys": [for_tls, for_tokens], "spiffe_sequence": 4}), spiffe_keys)
    assert (source.find("old").key_id, source.status().keys, source.status().unusable) == ("old", 1, 0)
    with pytest.raises(sw.RejectedError):
        source.find("new")
    with pytest.raises(sw.ConfigurationError):
        FileKeys(write(tmp_path / "b", {"keys": [for_tls]}), spiffe_keys)


def test_a_pipe_or_a_folder_is_no_key_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "missing"):
        with pytest.raises(sw.ConfigurationError):
            FileKeys(path, public_keys)
