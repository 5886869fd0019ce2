"""Moving in: tokens of yesterday's library and today's service verify against one JWKS page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import jwt
from command_here import run_here
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from running_service import RunningService


def pem_key(folder: Path) -> tuple[Path, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    path = folder / "old.pem"
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*form))
    return path, key


def test_an_old_pem_key_signs_on_under_its_old_kid(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    path, key = pem_key(tmp_path)
    claims = {"iss": "https://old.example", "sub": "alice", "exp": int(time.time()) + 300}
    old = jwt.encode(claims, key, algorithm="ES256", headers={"kid": "2019-prod"})
    service = start_service()
    named = ("--issuer", "shop", "--as", "active", "--kid", "2019-prod", "--reason", "moving in")
    done = service.cli("keys", "import", str(path), *named)
    assert done.returncode == 0, done.stderr
    assert "2019-prod" in done.stdout
    page = service.request("GET", "/issuers/shop/.well-known/jwks.json", credential=None).json()
    keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(page).keys}
    assert len(keys) == 2
    new = service.token("shop")
    for token in (old, new):
        assert jwt.get_unverified_header(token)["kid"] == "2019-prod"
        checked = jwt.decode(token, keys["2019-prod"], algorithms=["ES256"], options={"verify_aud": False})
        assert checked["sub"] == "alice"
    assert path.read_text() not in "".join(service.output)
    secret = format(key.private_numbers().private_value, "x")
    assert all(secret not in line for line in service.output)


def test_a_public_key_alone_is_published_and_a_kid_comes_in_once(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path / "data"))
    path, key = pem_key(tmp_path)
    public = tmp_path / "old-public.pem"
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    wanted = ("--public", "--as", "verify_only", "--kid", "2019", *home, "--json")
    done = run_here("keys", "import", str(public), *wanted)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "verify_only"
    assert "2019" in run_here("jwks", "show", *home).stdout
    assert run_here("keys", "import", str(public), *wanted).returncode == 4
    refused = run_here("keys", "import", str(path), "--as", "active", *home)
    assert (refused.returncode, "guard.issuer_exists" in refused.stderr) == (4, True)


def test_what_is_no_key_is_refused_without_an_echo(service: RunningService) -> None:
    for body in (
        {"state": "active"},
        {"state": "active", "jwk": {"kty": "EC", "d": "c2VjcmV0"}},
        {"state": "standby", "reference": "alias/x"},
        {"state": "active", "jwk": {}, "reference": "alias/x"},
    ):
        answer = service.request("POST", "/v1/issuers/elsewhere/import", body)
        assert answer.status == 400, answer.body
        assert b"c2VjcmV0" not in answer.body
    assert "elsewhere" not in service.request("GET", "/v1/keys").body.decode()
