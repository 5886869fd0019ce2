"""HMAC secrets of partners, from the command line and with a partner's own library."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import openbao
from running_service import SHORT_TIMINGS, RunningService


def reveal(service: RunningService, kid: str) -> dict[str, Any]:
    done = service.cli("secrets", "reveal", kid, "--reason", "hand over to acme")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_partner_with_pyjwt_follows_a_rotation(start_service: Callable[..., RunningService], tmp_path: Path) -> None:
    service = start_service(**SHORT_TIMINGS)
    assert service.cli("secrets", "create", "acme", "--reason", "new partner").returncode == 0
    states = service.keys("acme")
    handed_over = {kid: jwt.PyJWK(reveal(service, kid)) for kids in states.values() for kid in kids}
    content = tmp_path / "hook.json"
    content.write_text('{"event": "paid"}')

    def signed() -> str:
        done = service.cli("secrets", "sign", "acme", "--payload", str(content), "--typ", "hook+jws")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    before = signed()
    assert service.cli("secrets", "rotate", "acme").returncode == 0
    after = signed()
    for token in (before, after):
        kid = jwt.get_unverified_header(token)["kid"]
        options = {"verify_exp": False}
        assert jwt.decode(token, handed_over[kid], algorithms=["HS256"], options=options)["event"] == "paid"
        checked = service.cli("secrets", "verify", "acme", stdin=token)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    old = jwt.get_unverified_header(before)["kid"]
    assert service.cli("keys", "revoke", old, "--reason", "acme lost it").returncode == 0
    assert json.loads(service.cli("secrets", "verify", "acme", stdin=before).stdout)["reason"] == "key.not_found"
    assert service.cli("secrets", "reveal", old, "--reason", "again").returncode == 4
    log = service.cli("audit", "list").stdout
    assert "secret.revealed" in log
    k = reveal(service, service.keys("acme")["active"][0])["k"]
    database = (service.home / "sealwright.db").read_bytes() + (service.home / "sealwright.db-wal").read_bytes()
    assert k.encode() not in database
    assert all(k not in line for line in service.output)
    assert service.request("GET", "/issuers/acme/.well-known/jwks.json", credential=None).status == 404


def test_a_new_key_encryption_key_leaves_secrets_and_keys_as_they_were(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service()
    service.cli("secrets", "create", "acme")
    kid = service.keys("acme")["active"][0]
    secret = reveal(service, kid)
    before = (service.home / "kek.key").read_text()
    done = service.cli("kek", "rotate", "--reason", "yearly", "--json")
    assert done.returncode == 0, done.stderr
    assert (
        json.loads(done.stdout)["resealed"] >= 9
    )  # six keys of two issuers and the trust root, the check, two secrets
    assert (service.home / "kek.key").read_text() != before
    assert reveal(service, kid) == secret
    token = service.token()
    service.interrupt()
    again = start_service()
    assert reveal(again, kid) == secret
    assert again.decide(again.token())["outcome"] == "accepted"
    assert again.request("GET", "/.well-known/jwks.json", credential=None).status == 200
    assert token


def test_secrets_of_a_partner_can_live_in_the_key_value_store_of_openbao(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    bao, token_file, content = openbao.shared(), tmp_path / "bao-token", tmp_path / "hook.json"
    token_file.write_text(bao.token(openbao.documented_secrets_policy().replace("sealwright", "partners")))
    content.write_text('{"event": "paid"}')
    uri = openbao.secrets_uri(bao.url, token_file, prefix="partners")
    service = start_service(**SHORT_TIMINGS, SEALWRIGHT_BACKENDS=json.dumps({"bao-secrets": uri}))
    made = service.cli("secrets", "create", "acme", "--backend", "bao-secrets", "--json")
    assert made.returncode == 0, made.stderr
    assert {key["backend"] for key in json.loads(made.stdout)["keys"]} == {"bao-secrets"}
    assert service.cli("secrets", "rotate", "acme").returncode == 0
    secret = reveal(service, service.keys("acme")["active"][0])
    signed = service.cli("secrets", "sign", "acme", "--payload", str(content), "--typ", "hook+jws")
    token = signed.stdout.strip()
    decoded = jwt.decode(token, jwt.PyJWK(secret), algorithms=["HS256"], options={"verify_exp": False})
    assert decoded == {"event": "paid"}
    assert service.cli("secrets", "verify", "acme", stdin=token).returncode == 0
    assert secret in kept(bao)
    old = service.keys("acme")["verify_only"][0]
    assert service.cli("keys", "revoke", old, "--reason", "acme lost it").returncode == 0
    assert {one["kid"] for one in kept(bao)} == {*service.keys("acme")["active"], *service.keys("acme")["standby"]}


def kept(bao: openbao.OpenBao) -> list[dict[str, Any]]:
    names = bao.ask("LIST", "secret/metadata/partners")["data"]["keys"]
    return [bao.ask("GET", f"secret/data/partners/{name}")["data"]["data"] for name in names]
