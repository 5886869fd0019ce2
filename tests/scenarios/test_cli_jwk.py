"""sealwright jwk: single keys in and out, with the real command and beside the real openssl."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from command_here import run_here
from running_service import COMMAND, clean_environment

import sealwright as sw
from sealwright.jose.key_formats import write_public


def ok(*arguments: object, stdin: str = "") -> str:
    done = run_here("jwk", *map(str, arguments), stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*arguments: object, stdin: str = "") -> str:
    """The reason that the one line on standard error ends with."""
    done = run_here("jwk", *map(str, arguments), stdin=stdin)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    found = re.fullmatch(r"error: .*\(([a-z_.]+)\)\n", done.stderr)
    assert found, done.stderr
    return found[1]


def openssl(*arguments: object) -> bytes:
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=True).stdout


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("correct horse\nsecond line\n")
    return path


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A private JWK that the command made."""
    path = tmp_path / "made.json"
    ok("generate", "--alg", "ES256", "--kid", "mine", "--out", path)
    return path


def test_a_generated_key_goes_into_a_new_file_of_its_owners_alone(made: Path) -> None:
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    key = sw.PrivateJWK.from_dict(json.loads(made.read_text()))
    assert (key.algorithm.name, key.key_id) == ("ES256", "mine")
    before = made.read_bytes()
    assert refused("generate", "--alg", "ES256", "--out", made) == "request.malformed"
    assert made.read_bytes() == before


def test_what_is_shown_of_a_private_key_is_public(made: Path) -> None:
    secret = json.loads(made.read_text())["d"]
    for verb in (["show"], ["show", "--json"], ["public"], ["thumbprint"], ["export"]):
        assert secret not in ok(*verb, made)
    assert json.loads(ok("public", made)) == json.loads(ok("import", "-", "--kid", "mine", stdin=ok("export", made)))


def test_a_private_key_reaches_standard_output_only_when_asked_to(made: Path, tmp_path: Path) -> None:
    assert refused("generate", "--alg", "Ed25519") == "request.malformed"
    assert "d" in json.loads(ok("generate", "--alg", "Ed25519", "--private"))
    pem = ok("export", made, "--private")
    assert refused("import", "-", stdin=pem) == "key.not_public"
    assert json.loads(ok("import", "-", "--private", "--kid", "mine", stdin=pem)) == json.loads(made.read_text())
    shown = ok("import", "-", "--private", "--out", tmp_path / "again.json", "--json", stdin=pem)
    assert "d" not in json.loads(shown)
    assert stat.S_IMODE((tmp_path / "again.json").stat().st_mode) == 0o600


def test_openssl_reads_what_we_write_and_we_read_what_it_writes(made: Path, password: Path, tmp_path: Path) -> None:
    sealed, public = tmp_path / "sealed.pem", ok("export", made)
    assert ok("export", made, "--private", "--password-file", password, "--out", sealed) == ""
    assert stat.S_IMODE(sealed.stat().st_mode) == 0o600
    assert openssl("pkey", "-in", sealed, "-passin", f"file:{password}", "-pubout").decode() == public

    theirs, theirs_public = tmp_path / "theirs.pem", tmp_path / "theirs-public.pem"
    openssl("genpkey", "-algorithm", "RSA", "-aes256", "-pass", f"file:{password}", "-out", theirs)
    openssl("pkey", "-in", theirs, "-passin", f"file:{password}", "-pubout", "-out", theirs_public)
    imported = ok("import", theirs, "--private", "--alg", "RS256", "--password-file", password)
    jwk, payload, signature = tmp_path / "theirs.json", tmp_path / "payload", tmp_path / "signature"
    jwk.write_text(imported)
    assert ok("export", jwk) == theirs_public.read_text()
    payload.write_bytes(b"signed by sealwright")
    signature.write_bytes(sw.PrivateJWK.from_dict(json.loads(imported)).sign(payload.read_bytes()))
    assert b"OK" in openssl("dgst", "-sha256", "-verify", theirs_public, "-signature", signature, payload)


def test_a_certificate_made_by_openssl_gives_its_key(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-subj", "/CN=test"]
    openssl(*made, "-addext", "keyUsage=digitalSignature", "-keyout", key, "-out", certificate)
    public = json.loads(ok("import", certificate))
    assert public["alg"] == "ES384"
    private = json.loads(ok("import", key, "--private"))
    assert {name: private[name] for name in public} == public


def test_every_public_form_comes_back_as_the_same_key(made: Path, tmp_path: Path) -> None:
    public = json.loads(ok("public", made))
    for form in ("pem", "der", "openssh"):
        done = subprocess.run(
            [COMMAND, "jwk", "export", str(made), "--form", form],
            capture_output=True,
            check=True,
            env=clean_environment(),
        )
        (tmp_path / form).write_bytes(done.stdout)
        assert json.loads(ok("import", tmp_path / form, "--kid", "mine")) == public
    assert (tmp_path / "der").read_bytes() == write_public(sw.PublicJWK.from_dict(public), form="der")
    if shutil.which("ssh-keygen"):
        subprocess.run(["ssh-keygen", "-l", "-f", tmp_path / "openssh"], capture_output=True, check=True)


def test_thumbprints_are_printed_plainly_as_a_uri_and_for_machines(made: Path) -> None:
    thumbprint = sw.PublicJWK.from_dict(json.loads(ok("public", made))).thumbprint()
    assert ok("thumbprint", made) == thumbprint + "\n"
    uri = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:" + thumbprint
    assert json.loads(ok("thumbprint", made, "--uri", "--json")) == {"thumbprint": uri}
    assert thumbprint in ok("show", made)
    assert json.loads(ok("show", made, "--json"))["thumbprint"] == thumbprint


def test_what_cannot_be_done_says_why(made: Path, password: Path, tmp_path: Path) -> None:
    sealed, public = tmp_path / "sealed.pem", tmp_path / "public.json"
    ok("export", made, "--private", "--password-file", password, "--out", sealed)
    public.write_text(ok("public", made))
    wrong, empty = tmp_path / "wrong", tmp_path / "empty"
    wrong.write_text("wrong\n")
    empty.write_text("\n")
    cases: list[tuple[list[Any], str]] = [
        (["import", sealed], "key.not_public"),
        (["import", sealed, "--private"], "key.password"),
        (["import", sealed, "--private", "--password-file", wrong], "key.password"),
        (["import", sealed, "--private", "--password-file", empty], "key.password"),
        (["import", public], "key.malformed"),
        (["import", tmp_path / "absent"], "request.malformed"),
        (["import", tmp_path / "absent", "--password-file", password], "request.malformed"),
        (["public", public], "key.malformed"),
        (["show", sealed], "json.malformed"),
        (["generate", "--alg", "dir", "--private"], "key.ambiguous"),
        (["generate", "--alg", "none", "--private"], "algorithm.unknown"),
    ]
    for arguments, reason in cases:
        assert refused(*arguments) == reason, arguments


def test_options_for_private_keys_are_refused_without_private(made: Path, password: Path, tmp_path: Path) -> None:
    for options in (["--out", tmp_path / "new"], ["--password-file", password]):
        assert refused("export", made, *options) == "request.malformed"
        assert refused("import", "-", *options, stdin=ok("export", made)) == "request.malformed"
    assert refused("export", made, "--private", "--form", "der", "--out", tmp_path / "new") == "request.malformed"
    assert not (tmp_path / "new").exists()
