"""An Azure Key Vault: the real SDK talks TLS to it and answers its challenge; its keys and signatures are real."""

from __future__ import annotations

import base64
import http.server
import json
import re
import secrets
import ssl
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from throw_away_ca import server_certificate

CURVES = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1, "P-256K": ec.SECP256K1}
_CHALLENGE = 'Bearer authorization="https://login.microsoftonline.com/tests", resource="https://vault.azure.net"'
_ROUTES = {
    "list": re.compile(r"GET /keys"),
    "versions": re.compile(r"GET /keys/(?P<name>[^/]+)/versions"),
    "get": re.compile(r"GET /keys/(?P<name>[^/]+)/(?P<version>[^/]*)"),
    "create": re.compile(r"POST /keys/(?P<name>[^/]+)/create"),
    "sign": re.compile(r"POST /keys/(?P<name>[^/]+)/(?P<version>[^/]+)/sign"),
    "update": re.compile(r"PATCH /keys/(?P<name>[^/]+)/(?P<version>[^/]*)"),
    "delete": re.compile(r"DELETE /keys/(?P<name>[^/]+)"),
}


class FakeAzureKeyVault:
    """``fail``: answer the next calls of a kind with an error. ``hold``: let nobody create before so many
    want to, and then one after the other within the same second, each with a version that sorts before the last one's.
    """

    def __init__(self, folder: Path, *, page_size: int = 2) -> None:
        self.calls: Counter[str] = Counter()
        self.challenges = 0
        self.latency_s = 0.0
        self.created_ago_s = 3600
        self.refuse_disabled_reads = False
        self.keys: dict[str, list[dict[str, Any]]] = {}  # by name, the oldest version first
        self.deleted: set[str] = set()
        self.token = secrets.token_urlsafe(16)
        self._failures: dict[str, list[tuple[int, str]]] = {}
        self._barrier: threading.Barrier | None = None
        self._page_size = page_size
        self._ca_file, certificate = server_certificate(folder)
        (folder / "azure.token").write_text(self.token)
        self._token_file = folder / "azure.token"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"vault": self}))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def uri(self) -> str:
        return f"azurekv://{urlsplit(self.url).netloc}?ca-file={self._ca_file}&token=file:{self._token_file}"

    def fail(self, kind: str, status: int, code: str, times: int = 1) -> None:
        self._failures[kind] = [(status, code)] * times

    def hold(self, creators: int) -> None:
        self._barrier = threading.Barrier(creators)
        self._held_at = int(time.time())

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, target: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        path = urlsplit(target)
        line = f"{method} {path.path.rstrip('/') if path.path.count('/') < 3 else path.path}"
        kind, match = next((kind, found) for kind, route in _ROUTES.items() if (found := route.fullmatch(line)))
        self.calls[kind] += 1
        time.sleep(self.latency_s)
        if self._failures.get(kind):
            return _error(*self._failures[kind].pop())
        return getattr(self, f"_{kind}")(**match.groupdict(), body=body, query=path.query)

    def _list(self, body: Any, query: str) -> tuple[int, dict[str, Any]]:
        items = [self._item(versions[-1], short=True) for name, versions in sorted(self.keys.items())]
        return self._page(items, f"{self.url}/keys?api-version=7.6", query)

    def _versions(self, name: str, body: Any, query: str) -> tuple[int, dict[str, Any]]:
        items = [self._item(one) for one in sorted(self.keys.get(name, ()), key=lambda one: one["version"])]
        return self._page(items, f"{self.url}/keys/{name}/versions?api-version=7.6", query)

    def _page(self, items: list[dict[str, Any]], url: str, query: str) -> tuple[int, dict[str, Any]]:
        start = int((re.search("skiptoken=([0-9]+)", query) or ["", "0"])[1])
        end = start + self._page_size
        more = f"{url}&$skiptoken={end}" if end < len(items) else None
        return 200, {"value": items[start:end], "nextLink": more}

    def _get(self, name: str, version: str, body: Any, query: str) -> tuple[int, dict[str, Any]]:
        one = self._version(name, version)
        if one is None:
            return _error(404, "KeyNotFound")
        if self.refuse_disabled_reads and not one["enabled"]:
            return _error(403, "KeyDisabled")
        return 200, self._bundle(one)

    def _create(self, name: str, body: Any, query: str) -> tuple[int, dict[str, Any]]:
        if name in self.deleted:
            return _error(409, "ObjectIsDeletedButRecoverable")
        version, now = secrets.token_hex(16), int(time.time())
        if self._barrier is not None:
            turn = self._barrier.wait(10)
            time.sleep(0.3 * turn)
            version, now = f"{15 - turn:032x}", self._held_at
        private: Any = (
            rsa.generate_private_key(65537, body["key_size"])
            if body["kty"].startswith("RSA")
            else ec.generate_private_key(CURVES[body["crv"]]())
        )
        one = {"name": name, "version": version, "private": private, "kty": body["kty"], "enabled": True}
        one |= {
            "crv": body.get("crv"),
            "tags": body.get("tags") or {},
            "created": now - self.created_ago_s,
        }
        self.keys.setdefault(name, []).append(one)
        return 200, self._bundle(one)

    def _update(self, name: str, version: str, body: Any, query: str) -> tuple[int, dict[str, Any]]:
        one = self._version(name, version)
        if one is None:
            return _error(404, "KeyNotFound")
        if "tags" in body:
            one["tags"] = body["tags"]
        one["enabled"] = body.get("attributes", {}).get("enabled", one["enabled"])
        return 200, self._bundle(one)

    def _delete(self, name: str, body: Any, query: str) -> tuple[int, dict[str, Any]]:
        if name not in self.keys:
            return _error(404, "KeyNotFound")
        self.deleted.add(name)
        bundle = self._bundle(self.keys.pop(name)[-1])
        return 200, {
            **bundle,
            "recoveryId": f"{self.url}/deletedkeys/{name}",
            "deletedDate": 1,
            "scheduledPurgeDate": 2,
        }

    def _sign(self, name: str, version: str, body: Any, query: str) -> tuple[int, dict[str, Any]]:
        one = self._version(name, version)
        if one is None:
            return _error(404, "KeyNotFound")
        if not one["enabled"]:
            return _error(403, "KeyDisabled")
        digest = base64.urlsafe_b64decode(body["value"] + "==")
        return 200, {"kid": self._kid(one), "value": _b64(_signed(one, body["alg"], digest))}

    def _version(self, name: str, version: str) -> dict[str, Any] | None:
        return next((one for one in self.keys.get(name, [])[::-1] if version in ("", one["version"])), None)

    def _kid(self, one: dict[str, Any], *, short: bool = False) -> str:
        return f"{self.url}/keys/{one['name']}" + ("" if short else f"/{one['version']}")

    def _item(self, one: dict[str, Any], *, short: bool = False) -> dict[str, Any]:
        attributes = {"enabled": one["enabled"], "created": one["created"], "updated": one["created"]}
        return {"kid": self._kid(one, short=short), "attributes": attributes, "tags": one["tags"]}

    def _bundle(self, one: dict[str, Any]) -> dict[str, Any]:
        item, numbers = self._item(one), one["private"].public_key().public_numbers()
        key = {"kid": item.pop("kid"), "kty": one["kty"], "key_ops": ["sign", "verify"]}
        if one["crv"]:
            size = (one["private"].key_size + 7) // 8
            key |= {"crv": one["crv"], **{at: _b64(getattr(numbers, at).to_bytes(size, "big")) for at in ("x", "y")}}
        else:
            key |= {"n": _b64(numbers.n.to_bytes(one["private"].key_size // 8, "big")), "e": _b64(b"\1\0\1")}
        return {"key": key, **item}


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up; that is no test's failure."""


class _Handler(http.server.BaseHTTPRequestHandler):
    vault: FakeAzureKeyVault
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # one write for each response: two would wait 40 ms for a delayed acknowledgement
    timeout = 30

    def do_GET(self) -> None:
        text = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("authorization") != f"Bearer {self.vault.token}":
            self.vault.challenges += 1
            self._send(*_error(401, "Unauthorized"), {"WWW-Authenticate": _CHALLENGE})
        else:
            self._send(*self.vault.answer(self.command, self.path, json.loads(text) if text else {}), {})

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _send(self, status: int, answer: dict[str, Any], headers: dict[str, str]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        names = {"content-type": "application/json", "content-length": str(len(data))}
        if status == 307:
            names["location"] = self.vault.url + self.path
        for name, value in {**headers, **names, "x-ms-request-id": secrets.token_hex(16)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def _error(status: int, code: str) -> tuple[int, dict[str, Any]]:
    outer = "Forbidden" if status == 403 else code
    return status, {"error": {"code": outer, "message": "secret-of-the-vendor", "innererror": {"code": code}}}


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signed(one: dict[str, Any], algorithm: str, digest: bytes) -> bytes:
    kind = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[algorithm[2:5]]()
    private, given = one["private"], utils.Prehashed(kind)
    if algorithm.startswith("ES"):
        size = (private.key_size + 7) // 8
        r, s = utils.decode_dss_signature(private.sign(digest, ec.ECDSA(given)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    pss = padding.PSS(padding.MGF1(kind), padding.PSS.DIGEST_LENGTH)
    return private.sign(digest, pss if algorithm.startswith("PS") else padding.PKCS1v15(), given)
