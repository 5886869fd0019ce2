"""The sidecar of examples/gateway with an issuer of its own, and the application that it stands before."""

from __future__ import annotations

import http.client
import io
import json
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import urllib3
from echo_app import EchoApp
from gateways import EXAMPLES
from running_service import HTTP, clean_environment
from servers import Server, free_port

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.jose import strict_json
from sealwright.statements.revoked_keys import TYP, RevokedKey, feed_claims

ISSUER, BOUND_ISSUER, DOWN_ISSUER = (f"https://{name}.example.com" for name in ("id", "bound", "down"))
PUBLIC_URL = "https://orders.example.com"
LONGEST_S = 40  # more than any proxy waits for the sidecar
_MORE = f"""
[issuers."{BOUND_ISSUER}"]
profile = "jwt"
audience = "orders"
keys_file = "keys.json"
binding = ["dpop", "mtls"]

[issuers."{DOWN_ISSUER}"]
profile = "jwt"
audience = "orders"
jwks_url = "http://127.0.0.1:9/nobody-listens"
required = false

[replay]

[sealwright]
name = "orders"
trust_root_file = "root.json"
state_folder = "state"
"""
Lines = Sequence[tuple[str, str]]


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return ", ".join(value for one, value in self.headers if one.lower() == name)

    def seen(self) -> dict[str, Any]:
        """What the application saw of the request."""
        return dict(json.loads(self.body))


class EdgeWorld:
    """One issuer, one sidecar that can be stopped and frozen, one application."""

    def __init__(self, folder: Path, edge: str = "") -> None:
        self.key, self.revoked = sw.PrivateJWK.generate("ES256"), sw.PrivateJWK.generate("ES256")
        self.client, root = sw.PrivateJWK.generate("ES256"), sw.PrivateJWK.generate("Ed25519", key_id="root")
        self.app = EchoApp()
        (folder / "keys.json").write_text(json.dumps(sw.JWKSet([self.key.public, self.revoked.public]).to_dict()))
        (folder / "root.json").write_text(json.dumps(sw.JWKSet([root.public]).to_dict()))
        revoked = RevokedKey(self.revoked.public.key_id or "", time.time() - 60, "compromised")
        feed = feed_claims(ISSUER, [revoked], sequence=1, now=time.time())
        self.app.pages["/feed"] = sw.sign(strict_json.encode_object(feed), root, typ=TYP).encode()
        (folder / "state").mkdir()
        (folder / "verifier.toml").write_text(self._settings(edge))
        self.sidecar_port, self._folder = free_port(), folder
        self.sidecar = self._start()

    def stop(self) -> None:
        self.sidecar.stop()
        self.app.stop()

    def token(self, key: sw.PrivateJWK | None = None, *, age_s: float = 0, **claims: Any) -> str:
        given = {"sub": "alice", "scope": "orders:read", **claims}
        issuer, audience = str(given.pop("iss", ISSUER)), str(given.pop("aud", "orders"))
        clock = ManualClock(time.time() - age_s)
        return sw.sign_claims(given, key or self.key, issuer=issuer, audience=audience, lifetime_s=600, clock=clock)

    def refusals(self) -> dict[str, float]:
        """How often each reason was counted."""
        found: dict[str, float] = {}
        for line in HTTP.request("GET", f"http://127.0.0.1:{self.sidecar_port}/metrics").data.decode().splitlines():
            if line.startswith("jws_verify_total{"):
                reason = line.partition('reason="')[2].partition('"')[0]
                found[reason] = found.get(reason, 0) + float(line.rpartition(" ")[2])
        return found

    def _settings(self, edge: str) -> str:
        text = (EXAMPLES / "verifier.toml").read_text("utf-8")
        own = f'keys_file = "keys.json"\nfeed_url = "http://127.0.0.1:{self.app.port}/feed"'
        jwks = f'jwks_url = "{ISSUER}/.well-known/jwks.json"'
        assert jwks in text
        return text.replace(jwks, own).replace("[edge]", f"[edge]\n{edge}") + _MORE

    def _start(self) -> Server:
        program = Path(sys.executable).with_name("sealwright-verifier")
        environment = {**clean_environment(), "SEALWRIGHT_VERIFIER_PORT": str(self.sidecar_port)}
        return Server([str(program), "--config", str(self._folder / "verifier.toml")], environment, self._ready)

    def _ready(self) -> bool:
        try:
            return HTTP.request("GET", f"http://127.0.0.1:{self.sidecar_port}/readyz").status == 200
        except urllib3.exceptions.HTTPError:
            return False


class _Stream(io.BufferedReader):
    """A connection from which several answers are read: none of them closes it, or keeps bytes of the next."""

    def makefile(self, _: str) -> Self:
        return self

    def close(self) -> None:
        pass


def _connected(port: int, tls: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=LONGEST_S)
    return connection if tls is None else tls.wrap_socket(connection)


def exchange(
    port: int, raw: bytes, methods: Sequence[str] = ("GET",), *, tls: ssl.SSLContext | None = None
) -> list[Answer]:
    """Send bytes as they are, all at once, and read an answer for each method until the connection closes."""
    answers = []
    with _connected(port, tls) as connection:
        connection.sendall(raw)
        stream = _Stream(connection.makefile("rb", buffering=0))
        for method in methods:
            response = http.client.HTTPResponse(stream, method=method)  # type: ignore[arg-type]
            try:
                response.begin()
            except (http.client.HTTPException, ConnectionError):
                break
            body = b"" if response.status == 101 else response.read()
            answers.append(Answer(response.status, response.getheaders(), body))
            if response.will_close:
                break
    return answers


def head(method: str, target: str, lines: Lines = (), *, host: str = "orders.example.com") -> bytes:
    fields = [("Host", host), *lines] if host else list(lines)
    return "".join(
        [f"{method} {target} HTTP/1.1\r\n", *(f"{one}: {value}\r\n" for one, value in fields), "\r\n"]
    ).encode("latin-1")


def ask(port: int, target: str, lines: Lines = (), *, method: str = "GET", host: str = "orders.example.com") -> Answer:
    """One request and its answer; no answer at all is none that lets anybody in, but not a clean one."""
    answers = exchange(port, head(method, target, lines, host=host), (method,))
    assert answers, "the connection was closed without an answer"
    return answers[0]
