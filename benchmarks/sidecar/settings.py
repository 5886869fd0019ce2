"""The configurations: each checks signature, alg, iss, aud, exp and nbf, and hands on who the token is from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.sidecar.tokens import ALGORITHMS
from benchmarks.work import AUDIENCE, ISSUER, Work, native

CACHE_BYTES = 16 * 1024 * 1024
_ENVOY_CACHED_TOKENS = 5000


def sidecar_settings(folder: Path, works: Mapping[str, Work], port: int, workers: int) -> Path:
    """All three algorithms, and the defaults of the sidecar in everything else."""
    _write_keys(folder / "keys.json", works)
    return _written(
        folder / f"verifier-{workers}.toml",
        f"""[service]
port = {port}
cache_bytes = {CACHE_BYTES}
workers = {workers}
[issuers."{ISSUER}"]
profile = "jwt"
audience = "{AUDIENCE}"
keys_file = "keys.json"
algorithms = {json.dumps(ALGORITHMS)}
""",
    )


def envoy_settings(folder: Path, works: Mapping[str, Work], port: int, *, cached: bool) -> Path:
    """jwt_authn and direct_response; JSON is YAML. With ``cached`` it keeps what it has verified, as it can."""
    cache = {"jwt_cache_config": {"jwt_cache_size": _ENVOY_CACHED_TOKENS}} if cached else {}
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": json.dumps(_keys(works))},
        "claim_to_headers": [{"header_name": "x-subject", "claim_name": "sub"}],
        **cache,
    }
    filters = [
        _extension(
            "http.jwt_authn",
            "filters.http.jwt_authn.v3.JwtAuthentication",
            providers={"one": provider},
            rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": "one"}}],
        ),
        _extension("http.router", "filters.http.router.v3.Router"),
    ]
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
    manager = _extension(
        "network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="one",
        route_config={"virtual_hosts": [{"name": "one", "domains": ["*"], "routes": [route]}]},
        http_filters=filters,
    )
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    listener = {"name": "one", "address": address, "filter_chains": [{"filters": [manager]}]}
    text = json.dumps({"static_resources": {"listeners": [listener]}})
    return _written(folder / f"envoy-{port}.yaml", text)


def haproxy_settings(folder: Path, works: Mapping[str, Work], ports: Mapping[str, int], workers: int) -> Path:
    """jwt_verify and return, a frontend for each algorithm; it does not know the third."""
    frontends = "".join(_haproxy_frontend(folder, works[alg], port) for alg, port in ports.items())
    return _written(
        folder / f"haproxy-{workers}.cfg",
        f"""global
    maxconn 2000
    nbthread {workers}
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
{frontends}""",
    )


def _haproxy_frontend(folder: Path, work: Work, port: int) -> str:
    public = folder / f"{work.alg}.pem"
    public.write_bytes(native(work.key).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    refuse = 'http-request deny deny_status 401 hdr WWW-Authenticate "Bearer"'
    return f"""frontend {work.alg}
    bind 127.0.0.1:{port}
    http-request set-var(txn.token) http_auth_bearer
    http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
    {refuse} unless {{ var(txn.alg) -m str {work.alg} }}
    {refuse} unless {{ var(txn.token),jwt_verify(txn.alg,"{public}") -m int 1 }}
    {refuse} unless {{ var(txn.token),jwt_payload_query('$.iss') -m str {ISSUER} }}
    {refuse} unless {{ var(txn.token),jwt_payload_query('$.aud') -m str {AUDIENCE} }}
    http-request set-var(txn.now) date()
    http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
    http-request set-var(txn.nbf) var(txn.token),jwt_payload_query('$.nbf','int')
    {refuse} unless {{ var(txn.exp),sub(txn.now) -m int gt 0 }}
    {refuse} unless {{ var(txn.nbf),sub(txn.now) -m int le 0 }}
    http-request return status 200 hdr x-subject %[var(txn.token),jwt_payload_query('$.sub')]
"""


def _extension(name: str, kind: str, **members: object) -> dict[str, object]:
    typed = {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **members}
    return {"name": f"envoy.filters.{name}", "typed_config": typed}


def _keys(works: Mapping[str, Work]) -> dict[str, object]:
    return {"keys": [key for work in works.values() for key in work.public_members()]}


def _write_keys(path: Path, works: Mapping[str, Work]) -> None:
    _written(path, json.dumps(_keys(works)))


def _written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path
