"""Signed, then encrypted, from the command line: with keys from files and with the keys of a service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_here import run_here
from running_service import RunningService

from sealwright.jose.nested import DecryptionJWK, verify_nested


def ok(*arguments: str, stdin: str = "") -> str:
    done = run_here(*arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, alg in (("signing", "ES256"), ("reading", "ECDH-ES+A256KW"), ("shared", "A256KW")):
        ok("jwk", "generate", "--alg", alg, "--out", str(tmp_path / f"{name}.json"))
    for name in ("signing", "reading"):
        (tmp_path / f"{name}.public.json").write_text(ok("jwk", "public", str(tmp_path / f"{name}.json")))
    (tmp_path / "order.json").write_text('{"order":1}')
    return tmp_path


@pytest.mark.parametrize(
    ("reader", "writer"), [("reading.json", "reading.public.json"), ("shared.json", "shared.json")]
)
def test_a_payload_is_signed_for_one_reader(folder: Path, reader: str, writer: str) -> None:
    signing = ["sign", "--key", str(folder / "signing.json"), "--payload", str(folder / "order.json"), "--typ", "x+jws"]
    token = ok(*signing, "--encrypt-for", str(folder / writer))
    assert token.count(".") == 4
    proving = ["verify", "--keys", str(folder / "signing.public.json")]
    read = ["--decrypt-with", str(folder / reader), "--out", "-"]
    assert ok(*proving, *read, stdin=token).startswith('{"order":1}')
    sealed = run_here(*proving, "--json", stdin=token)
    assert (sealed.returncode, json.loads(sealed.stdout)["reason"]) == (1, "token.malformed")
    changed = token.strip()[:-4] + "AAAA"
    refused = run_here(*proving, *read[:2], stdin=changed)
    assert (refused.returncode, "encryption.invalid" in refused.stderr) == (1, True)


def test_a_private_key_is_not_taken_for_a_recipient(folder: Path) -> None:
    signing = ["sign", "--key", str(folder / "signing.json"), "--payload", str(folder / "order.json"), "--typ", "x+jws"]
    done = run_here(*signing, "--encrypt-for", str(folder / "reading.json"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "sealwright jwk public" in done.stderr


def test_an_access_token_is_issued_for_one_reader(service: RunningService, folder: Path) -> None:
    recipient = str(folder / "reading.public.json")
    issued = service.cli("sign", "--claims", '{"sub":"alice"}', "--audience", "orders", "--encrypt-for", recipient)
    assert issued.returncode == 0, issued.stderr
    decided = service.cli(
        "verify", "--audience", "orders", "--decrypt-with", str(folder / "reading.json"), "--json", stdin=issued.stdout
    )
    assert json.loads(decided.stdout)["claims"]["sub"] == "alice"


def test_the_library_reads_what_the_command_line_wrote(folder: Path) -> None:
    from sealwright import PublicJWK

    signing = ["sign", "--key", str(folder / "signing.json"), "--payload", str(folder / "order.json"), "--typ", "x+jws"]
    token = ok(*signing, "--encrypt-for", str(folder / "reading.public.json")).strip()
    key = PublicJWK.from_dict(json.loads((folder / "signing.public.json").read_text()))
    reader = DecryptionJWK.from_dict(json.loads((folder / "reading.json").read_text()))
    assert verify_nested(token, reader, key, typ="x+jws").payload == b'{"order":1}'
