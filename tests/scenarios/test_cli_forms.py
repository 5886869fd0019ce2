"""Every form of JWS from the command line, with keys from files: signed, verified, inspected, and line by line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_here import run_here
from running_service import COMMAND, RunningService, clean_environment

import sealwright as sw
from sealwright.cli.unverified import DETACHED, seen_in
from sealwright.jose import detached, json_forms
from sealwright.jose.key_formats import export_private_pem, write_public
from sealwright.jose.nested import DecryptionJWK, EncryptionJWK, sign_nested

ISSUER, AUDIENCE = "https://id.example", "orders"
HOLDS = "signature holds; claims were not checked"
# A child of this small process, not of pytest: a child's peak begins with its parent's.
MEASURED = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Keys:
    """Private keys and their public halves in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.by_name = {name: sw.PrivateJWK.generate(alg, key_id=name) for name, alg in ALGORITHMS.items()}
        for name, key in self.by_name.items():
            self.private(name).write_text(json.dumps(key.export_private_dict()))
            self.public(name).write_text(json.dumps(key.public.to_dict()))

    def __getitem__(self, name: str) -> sw.PrivateJWK:
        return self.by_name[name]

    def private(self, name: str) -> Path:
        return self.folder / f"{name}.private.json"

    def public(self, name: str) -> Path:
        return self.folder / f"{name}.public.json"


ALGORITHMS = {"alice": "ES256", "bob": "Ed25519", "post-quantum": "ML-DSA-65"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    path = tmp_path / "payload"
    path.write_text('{"order":1}')
    return path


def run(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return run_here(*map(str, arguments), stdin=stdin)


def ok(*arguments: object, stdin: str = "") -> str:
    done = run(*arguments, stdin=stdin)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(*arguments: object, stdin: str = "") -> tuple[str, str]:
    """The reason and the text of the one line on standard error."""
    done = run(*arguments, stdin=stdin)
    assert (done.returncode, done.stdout) == (1, ""), done.stdout + done.stderr
    found = re.fullmatch(r"error: (.*) \(([a-z_.]+)\)\n", done.stderr)
    assert found, done.stderr
    return found[2], found[1]


def report(*arguments: object, stdin: str = "") -> dict[str, Any]:
    """What ``verify --json`` prints, and that the exit code agrees with it."""
    done = run("verify", *arguments, "--json", stdin=stdin)
    answer = dict(json.loads(done.stdout))
    assert done.returncode == {"accepted": 0, "rejected": 1, "undecided": 3}[answer["outcome"]]
    assert answer["claims_checked"] is False
    return answer


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (["alice"], []),
        (["alice"], ["--unencoded"]),
        (["alice"], ["--form", "flattened"]),
        (["alice", "post-quantum"], []),
        (["bob"], ["--detached"]),
        (["alice", "bob"], ["--detached", "--unencoded"]),
    ],
)
def test_every_form_is_signed_from_a_pipe_and_verified(
    keys: Keys, payload: Path, tmp_path: Path, names: list[str], options: list[str]
) -> None:
    payload.write_text("order 1")
    private = [argument for name in names for argument in ("--key", keys.private(name))]
    text = ok("sign", *private, "--payload", "-", "--typ", "order+jws", *options, stdin="order 1")
    public = [argument for name in names for argument in ("--keys", keys.public(name))]
    content = ["--content", payload] if "--detached" in options else []
    out = tmp_path / "verified"
    answer = report(*public, "--policy", "every", "--out", out, *content, stdin=text)
    assert (answer["outcome"], answer["message"]) == ("accepted", HOLDS)
    assert [(one["key_id"], one["verified"]) for one in answer["signatures"]] == [(name, True) for name in names]
    assert out.read_text() == "order 1"
    seen = seen_in(text.strip().encode())
    assert seen["form"] == ("general" if len(names) > 1 else "flattened" if "flattened" in options else "compact")
    assert (seen["payload"] == DETACHED) == ("--detached" in options)


def test_keys_from_files_touch_no_data_folder(keys: Keys, payload: Path, tmp_path: Path) -> None:
    environment = clean_environment() | {"SEALWRIGHT_HOME": str(tmp_path / "data")}
    key = ("--key", str(keys.private("alice")))
    done = run_here("sign", *key, "--payload", str(payload), "--json", environment=environment)
    answer = json.loads(done.stdout)
    assert answer["signed_by"] == [{"key_id": "alice", "algorithm": "ES256"}]
    assert sw.verify_signature(answer["token"], keys["alice"].public).payload == payload.read_bytes()
    assert not (tmp_path / "data").exists()


def test_a_pem_key_that_fits_several_algorithms_is_told_which_on_both_sides(tmp_path: Path, payload: Path) -> None:
    key = sw.PrivateJWK.generate("PS256")
    private, public, password = tmp_path / "rsa.pem", tmp_path / "rsa.pub", tmp_path / "password"
    password.write_text("correct horse\n")
    private.write_bytes(export_private_pem(key, password=b"correct horse"))
    public.write_bytes(write_public(key.public))
    sign = ("sign", "--key", private, "--password-file", password, "--payload", payload)
    assert refused(*sign)[0] == "key.ambiguous"
    token = ok(*sign, "--alg", "PS256")
    reason, message = refused("verify", "--keys", public, stdin=token)
    assert (reason, "--algorithm" in message) == ("key.ambiguous", True)
    assert report("--keys", public, "--algorithm", "PS256", stdin=token)["outcome"] == "accepted"


def test_a_signature_is_added_and_the_others_stay_as_they_are(keys: Keys, payload: Path, tmp_path: Path) -> None:
    jws = tmp_path / "order.json"
    jws.write_text(json_forms.sign_flattened(b"order 1", keys["alice"], unprotected={"note": "kept"}))
    before = json.loads(jws.read_text())
    assert ok("sign", "--key", keys.private("bob"), "--add-to", jws, "--out", jws) == ""
    first, second = json.loads(jws.read_text())["signatures"]
    assert first == {name: before[name] for name in ("protected", "header", "signature")}
    assert list(tmp_path.glob(".*")) == []
    public = ("--keys", keys.public("alice"), "--keys", keys.public("bob"))
    assert report(*public, "--policy", "2", jws)["outcome"] == "accepted"
    assert second["protected"] != first["protected"]
    compact = sw.sign(b"order 1", keys["alice"])
    reason, message = refused("sign", "--key", keys.private("bob"), "--add-to", "-", stdin=compact)
    assert (reason, "--form general" in message) == ("request.malformed", True)


def test_several_signatures_need_a_policy_and_each_policy_is_obeyed(keys: Keys, tmp_path: Path) -> None:
    jws = tmp_path / "order.json"
    jws.write_text(json_forms.sign_general(b"order 1", [keys[name] for name in ALGORITHMS]))
    two = ("verify", "--keys", keys.public("alice"), "--keys", keys.public("bob"), jws)
    reason, message = refused(*two)
    assert reason == "request.malformed"
    assert all(option in message for option in ("--policy", "--signer", "--hybrid"))
    table = ok(*two, "--policy", "2").splitlines()
    assert [line.split() for line in table[:4]] == [
        ["INDEX", "KID", "ALG", "VERDICT", "REASON"],
        ["0", "alice", "ES256", "holds", "-"],
        ["1", "bob", "Ed25519", "holds", "-"],
        ["2", "post-quantum", "ML-DSA-65", "does", "not", "hold", "key.not_found"],
    ]
    assert table[4] == f"accepted  {HOLDS}"
    for policy, why in [
        (("--policy", "every"), "key.not_found"),
        (("--signer", "alice", "--signer", "post-quantum"), "signatures.signer_missing"),
        (("--hybrid",), "signatures.signer_missing"),
    ]:
        assert report(*two[1:], *policy)["reason"] == why


def test_what_is_not_verified_is_never_written(keys: Keys, payload: Path, tmp_path: Path) -> None:
    out, jws = tmp_path / "out", tmp_path / "jws"
    out.write_text("what was there before")
    jws.write_text(ok("sign", "--key", keys.private("alice"), "--payload", payload, "--detached"))
    verify = ("--keys", keys.public("alice"), jws, "--out", out)
    assert report(*verify)["reason"] == "payload.missing"
    assert report(*verify, "--content", "-", stdin='{"order":2}')["reason"] == "signature.invalid"
    assert out.read_text() == "what was there before"
    assert report(*verify, "--content", "-", stdin='{"order":1}')["outcome"] == "accepted"
    assert out.read_text() == '{"order":1}'
    assert {path.name for path in tmp_path.iterdir()} == {"out", "jws", "payload"}
    forged = sw.sign(b"order 1", sw.PrivateJWK.generate("ES256", key_id="alice"))
    done = run("verify", "--keys", keys.public("alice"), "--out", "-", stdin=forged)
    assert (done.returncode, done.stdout) == (1, "")
    done = run("verify", "--keys", keys.public("alice"), "--out", "-", stdin=sw.sign(b"order 1", keys["alice"]))
    assert (done.returncode, done.stdout, HOLDS in done.stderr) == (0, "order 1", True)


def measured(*arguments: object, stdin: Path | None = None) -> tuple[int, str, int]:
    """Exit code, standard output and peak memory in MiB of the command."""
    with (stdin or Path(os.devnull)).open("rb") as source:
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, COMMAND, *map(str, arguments)],
            stdin=source,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=clean_environment(),
        )
    return done.returncode, done.stdout, int(done.stderr) // 1024  # and nothing else on standard error


def test_two_hundred_mebibytes_are_signed_and_verified_in_the_memory_of_a_few(keys: Keys, tmp_path: Path) -> None:
    large, jws, small = tmp_path / "large", tmp_path / "jws", tmp_path / "small"
    with large.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    small.write_bytes(b"small")
    sign = ("sign", "--key", keys.private("alice"), "--detached", "--payload")
    _, _, usual = measured(*sign, small)
    code, token, peak = measured(*sign, "-", stdin=large)
    assert (code, peak < usual + 32) == (0, True), (peak, usual)
    jws.write_text(token)
    verify = ("verify", "--keys", keys.public("alice"), jws, "--content", large)
    code, _, peak = measured(*verify)
    assert (code, peak < usual + 32) == (0, True), (peak, usual)
    with large.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    code, answer, peak = measured(*verify, "--json")
    assert (code, json.loads(answer)["reason"], peak < usual + 32) == (1, "signature.invalid", True)


def test_a_progress_bar_is_shown_for_large_content_on_a_terminal_alone(keys: Keys, tmp_path: Path) -> None:
    large, token = tmp_path / "large", tmp_path / "jws"
    with large.open("wb") as file:
        file.truncate(40 * 1024 * 1024)
    with large.open("rb") as content:
        token.write_text(detached.sign_stream(content, keys["alice"]))
    verify = ["verify", "--keys", keys.public("alice"), token, "--content", large]
    assert "40.0 MiB" in on_a_terminal(*verify)
    assert on_a_terminal(*verify, "--json") == ""


def on_a_terminal(*arguments: object) -> str:
    """What the command writes to a terminal as standard error."""
    ours, theirs = os.openpty()
    environment = clean_environment() | {"TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(
        [COMMAND, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=theirs, env=environment
    )
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 4096):
            seen += piece
    except OSError:  # how a terminal ends
        pass
    os.close(ours)
    assert process.wait(60) == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())


def results(done: subprocess.CompletedProcess[str]) -> dict[int, tuple[str, str | None]]:
    """Outcome and reason by the number of the line."""
    read = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["line"]: (one["outcome"], one["reason"]) for one in read}


def test_lines_are_answered_one_by_one_whatever_is_among_them(keys: Keys) -> None:
    good = sw.sign(b"order 1", keys["alice"])
    flattened = json_forms.sign_flattened(b"order 1", keys["alice"])
    general = json_forms.sign_general(b"order 1", [keys["alice"], keys["bob"]])
    lines = [good + "\r", "", flattened, "garbage", "A" * 3_000_000, general, good[:-8] + "AAAAAAAA", good]
    done = run("verify", "--keys", keys.public("alice"), "--lines", "-", stdin="\n".join(lines))
    assert done.returncode == 1
    assert results(done) == {
        1: ("accepted", None),
        3: ("accepted", None),
        4: ("rejected", "token.malformed"),
        5: ("rejected", "token.too_large"),
        6: ("rejected", "request.malformed"),
        7: ("rejected", "signature.invalid"),
        8: ("accepted", None),
    }


def test_lines_with_claims_are_accepted_rejected_or_undecided(keys: Keys, tmp_path: Path) -> None:
    def token(audience: str) -> str:
        return sw.sign_claims({"sub": "alice"}, keys["alice"], issuer=ISSUER, audience=audience, lifetime_s=300)

    tokens, jwks = tmp_path / "tokens", tmp_path / "jwks.json"
    tokens.write_text(f"{token(AUDIENCE)}\n{token('elsewhere')}\n")
    jwks.write_text(json.dumps(sw.JWKSet([keys["alice"].public]).to_dict()))
    verify = ("verify", "--issuer", ISSUER, "--audience", AUDIENCE, "--jwks")
    done = run(*verify, jwks, "--lines", tokens)
    assert (done.returncode, results(done)) == (1, {1: ("accepted", None), 2: ("rejected", "claims.audience")})
    assert json.loads(done.stdout.splitlines()[0])["claims"]["sub"] == "alice"
    tokens.write_text(token(AUDIENCE))
    done = run(*verify, "http://127.0.0.1:1/jwks.json", "--lines", tokens)
    assert (done.returncode, results(done)) == (3, {1: ("undecided", "source.unavailable")})


def test_lines_are_decided_by_the_running_service(service: RunningService) -> None:
    tokens = f"{service.token()}\n{service.token(audience='elsewhere')}\ngarbage\n"
    done = service.cli("verify", "--audience", "orders", "--lines", "-", stdin=tokens)
    assert done.returncode == 1
    assert [outcome for outcome, _ in results(done).values()] == ["accepted", "rejected", "rejected"]


def test_a_reader_of_lines_may_leave_early(keys: Keys) -> None:
    good = sw.sign(b"order 1", keys["alice"])
    with subprocess.Popen(
        [COMMAND, "verify", "--keys", str(keys.public("alice")), "--lines", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, complaints = process.communicate(f"{good}\n" * 100, timeout=60)
    assert complaints == ""


def test_a_line_is_answered_before_the_next_one_is_there(keys: Keys) -> None:
    with subprocess.Popen(
        [COMMAND, "verify", "--keys", str(keys.public("alice")), "--lines", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in (1, 2):
            process.stdin.write(sw.sign(b"order 1", keys["alice"]) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["line"] == number
        process.stdin.close()
        assert process.wait(60) == 0


def test_an_hmac_secret_signs_and_verifies(payload: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps(sw.SecretJWK.generate("HS256").export_secret_dict()))
    token = ok("sign", "--key", secret, "--payload", payload)
    assert report("--keys", secret, stdin=token)["outcome"] == "accepted"


def test_a_revoked_key_is_skipped_and_said_so(keys: Keys, tmp_path: Path) -> None:
    revoked = {**keys["alice"].public.to_dict(), "revoked": {"revoked_at": 1}}
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [revoked, keys["bob"].public.to_dict()]}))
    done = run("verify", "--keys", tmp_path / "jwks.json", stdin=sw.sign(b"order 1", keys["alice"]))
    assert (done.returncode, done.stderr) == (1, "skipped the key alice: key.revoked\n")
    assert "key.not_found" in done.stdout


def test_inspect_shows_every_form_and_of_a_nested_token_the_outer_header(keys: Keys) -> None:
    general = json_forms.sign_general(b'{"order":1}', [keys["alice"], keys["bob"]])
    seen = json.loads(ok("inspect", "--json", stdin=general))
    assert (seen["verified"], seen["form"], seen["payload"]) == (False, "general", {"order": 1})
    assert [one["header"]["kid"] for one in seen["signatures"]] == ["alice", "bob"]
    flattened = json_forms.sign_flattened(b"", keys["alice"], unprotected={"note": "\x1b[2J"}, detached=True)
    shown = ok("inspect", stdin=flattened)
    assert all(text in shown for text in ("NOT VERIFIED", '"note": "\\u001b[2J"', "detached"))
    recipient = EncryptionJWK.from_dict(DecryptionJWK.generate("ECDH-ES+A256KW").public.to_dict())
    nested = sign_nested(b'{"order":1}', keys["alice"], recipient, typ="order+jws")
    seen = json.loads(ok("inspect", "--json", stdin=nested))
    assert (seen["form"], seen["header"]["cty"]) == ("encrypted", "order+jws")
    assert "order" not in seen["payload"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("verify", "--keys", "{alice}", "--policy", "0"), "request.malformed"),
        (("sign", "--key", "{alice}", "--audience", "orders", "--payload", "-"), "request.malformed"),
        (("sign", "--key", "{alice}", "--key", "{bob}", "--form", "flattened", "--payload", "-"), "request.malformed"),
        (("sign", "--key", "-", "--payload", "-"), "request.malformed"),
        (("sign", "--key", "{alice}", "--payload", "-", "--out", "/nowhere/at/all"), "request.malformed"),
        (("verify", "--keys", "{alice}"), "key.not_public"),
        (("verify", "--keys", "{alice}", "--audience", "orders"), "request.malformed"),
        (("verify", "--lines", "-", "--keys", "{alice}", "--out", "x"), "request.malformed"),
    ],
)
def test_wrong_use_is_one_line_with_its_reason(keys: Keys, arguments: tuple[str, ...], reason: str) -> None:
    named = {name: keys.private(name) for name in ("alice", "bob")}
    assert refused(*(argument.format(**named) for argument in arguments), stdin="x.y.z")[0] == reason
