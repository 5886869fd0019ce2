"""Other people's verifiers and signers, each behind the same two calls."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joserfc.jwk
import joserfc.jwt
import jwcrypto.jwk
import jwcrypto.jws
import jwt

ROOT = Path(__file__).parents[2]
NODE_MODULES = ROOT / ".tools" / "node" / "node_modules"

NODE_VERIFY = """
import { createRemoteJWKSet, jwtVerify } from 'jose'
const [url, issuer, audience] = process.argv.slice(2)
let token = ''
for await (const part of process.stdin) token += part
const { payload } = await jwtVerify(token.trim(), createRemoteJWKSet(new URL(url)), { issuer, audience, typ: 'at+jwt' })
console.log(JSON.stringify(payload))
"""
NODE_SIGN = """
import { generateKeyPair, exportJWK, SignJWT } from 'jose'
const [alg] = process.argv.slice(2)
let claims = ''
for await (const part of process.stdin) claims += part
const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
const jwk = { ...(await exportJWK(publicKey)), alg, kid: 'peer-key', use: 'sig' }
const header = { alg, kid: 'peer-key', typ: 'JWT' }
const token = await new SignJWT(JSON.parse(claims)).setProtectedHeader(header).sign(privateKey)
console.log(JSON.stringify({ token, jwks: { keys: [jwk] } }))
"""


@dataclass(frozen=True)
class Peer:
    """``verify(token, jwks_url, issuer, audience)`` gives claims; ``sign(alg, claims)`` gives (token, JWK Set)."""

    name: str
    algorithms: tuple[str, ...]
    verify: Callable[[str, str, str, str], dict[str, Any]]
    sign: Callable[[str, dict[str, Any]], tuple[str, dict[str, Any]]]
    missing: Callable[[], str | None] = lambda: None


def fetch(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as page:
        return dict(json.load(page))


def pyjwt_verify(token: str, url: str, issuer: str, audience: str) -> dict[str, Any]:
    key = jwt.PyJWKClient(url).get_signing_key_from_jwt(token)
    algorithm = jwt.get_unverified_header(token)["alg"]
    return dict(jwt.decode(token, key, algorithms=[algorithm], audience=audience, issuer=issuer))


def pyjwt_sign(alg: str, claims: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    private = joserfc_key(alg)
    token = jwt.encode(claims, private.as_pem(private=True), algorithm=alg, headers={"kid": "peer-key"})
    return token, {"keys": [private.as_dict(private=False)]}


def joserfc_key(alg: str) -> Any:
    kind, parameter = {"R": ("RSA", 2048), "P": ("RSA", 2048), "E": ("EC", "P-256")}[alg[0]]
    if alg in ("EdDSA", "Ed25519"):
        kind, parameter = "OKP", "Ed25519"
    return joserfc.jwk.generate_key(kind, parameter, {"alg": alg, "kid": "peer-key", "use": "sig"}, private=True)


def joserfc_verify(token: str, url: str, issuer: str, audience: str) -> dict[str, Any]:
    keys = joserfc.jwk.KeySet.import_key_set(fetch(url))
    algorithms = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
    decoded = joserfc.jwt.decode(token, keys, algorithms=algorithms)
    registry = joserfc.jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer}, aud={"essential": True, "value": audience}
    )
    registry.validate(decoded.claims)
    return dict(decoded.claims)


def joserfc_sign(alg: str, claims: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    key = joserfc_key(alg)
    token = joserfc.jwt.encode({"alg": alg, "kid": "peer-key"}, claims, key, algorithms=[alg])
    return token, {"keys": [key.as_dict(private=False)]}


def jwcrypto_verify(token: str, url: str, issuer: str, audience: str) -> dict[str, Any]:
    signed = jwcrypto.jws.JWS()
    signed.allowed_algs = ["ML-DSA-65"]
    signed.deserialize(token)
    keys = jwcrypto.jwk.JWKSet.from_json(json.dumps(fetch(url)))
    signed.verify(keys.get_key(signed.jose_header["kid"]))
    claims = json.loads(signed.payload)
    assert (claims["iss"], claims["aud"]) == (issuer, audience)
    return dict(claims)


def jwcrypto_sign(alg: str, claims: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    key = jwcrypto.jwk.JWK.generate(kty="AKP", alg=alg, kid="peer-key", use="sig")
    signed = jwcrypto.jws.JWS(json.dumps(claims))
    signed.allowed_algs = [alg]
    signed.add_signature(key, alg, json.dumps({"alg": alg, "kid": "peer-key"}))
    return signed.serialize(compact=True), {"keys": [key.export_public(as_dict=True)]}


def run(arguments: list[str], stdin: str) -> str:
    done = subprocess.run(arguments, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def node(script: str, arguments: tuple[str, ...], stdin: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "node_modules").symlink_to(NODE_MODULES)
        path = Path(folder) / "peer.mjs"
        path.write_text(script)
        return dict(json.loads(run(["node", str(path), *arguments], stdin)))


def npm_verify(token: str, url: str, issuer: str, audience: str) -> dict[str, Any]:
    return node(NODE_VERIFY, (url, issuer, audience), token)


def npm_sign(alg: str, claims: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    made = node(NODE_SIGN, (alg,), json.dumps(claims))
    return made["token"], made["jwks"]


def npm_missing() -> str | None:
    if shutil.which("node") is None:
        return "node is not installed"
    return None if (NODE_MODULES / "jose").is_dir() else "npm jose is not installed: make test installs it"


def debian_verify(token: str, url: str, issuer: str, audience: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "jwks.json"
        keys.write_text(json.dumps(fetch(url)))
        payload = run(["jose", "jws", "ver", "-i", "-", "-k", str(keys), "-O", "-"], token)
    claims = json.loads(payload)
    assert (claims["iss"], claims["aud"]) == (issuer, audience)
    return dict(claims)


def debian_sign(alg: str, claims: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        key, payload = Path(folder) / "key.jwk", Path(folder) / "payload"
        template = {"alg": alg, "kid": "peer-key", "use": "sig"}
        run(["jose", "jwk", "gen", "-i", json.dumps(template), "-o", str(key)], "")
        payload.write_text(json.dumps(claims))
        header = json.dumps({"protected": {"alg": alg, "kid": "peer-key"}})
        token = run(["jose", "jws", "sig", "-I", str(payload), "-k", str(key), "-s", header, "-c", "-o", "-"], "")
        public = json.loads(run(["jose", "jwk", "pub", "-i", str(key), "-o", "-"], ""))
    public.pop("key_ops", None)
    return token.strip(), {"keys": [public]}


def debian_missing() -> str | None:
    return None if shutil.which("jose") else "Debian's jose is not installed: apt-get install jose"


RSA_AND_EC = ("RS256", "PS256", "ES256")
PEERS = (
    Peer("pyjwt", (*RSA_AND_EC, "EdDSA"), pyjwt_verify, pyjwt_sign),
    Peer("joserfc", (*RSA_AND_EC, "EdDSA", "Ed25519"), joserfc_verify, joserfc_sign),
    Peer("npm-jose", (*RSA_AND_EC, "EdDSA", "Ed25519"), npm_verify, npm_sign, npm_missing),
    Peer("debian-jose", RSA_AND_EC, debian_verify, debian_sign, debian_missing),
    Peer("jwcrypto", ("ML-DSA-65",), jwcrypto_verify, jwcrypto_sign),
)
