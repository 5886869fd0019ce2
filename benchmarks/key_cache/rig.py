"""The rig: keys, tokens, the key server, and the realms in which experiments take place."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import sealwright as sw
from benchmarks.work import AUDIENCE, ISSUER
from sealwright.jose import base64url

UNKNOWN = 400
BAD_KEYS = ({"kty": "RSA", "n": "!!", "e": "AQAB", "kid": "b1"}, {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"})
_NUMBERS = count(1)


@dataclass(frozen=True)
class Tokens:
    """Two keys, one good token of each, and good signatures of k1 under kids that nobody publishes."""

    k1: sw.PrivateJWK = field(default_factory=lambda: sw.PrivateJWK.generate("RS256", key_id="k1"))
    k2: sw.PrivateJWK = field(default_factory=lambda: sw.PrivateJWK.generate("RS256", key_id="k2"))

    @cached_property
    def known(self) -> str:
        return _token(self.k1)

    @cached_property
    def new(self) -> str:
        return _token(self.k2)

    @cached_property
    def unknown(self) -> list[str]:
        return [_under(self.k1, f"unk-{number}") for number in range(UNKNOWN)]


def _token(key: sw.PrivateJWK) -> str:
    return sw.sign(_claims(), key, typ="JWT")


def _under(key: sw.PrivateJWK, key_id: str) -> str:
    """By hand, since no key of ours signs under the name of another."""
    header = json.dumps({"alg": key.algorithm.name, "kid": key_id, "typ": "JWT"}).encode()
    signed = base64url.encode(header) + b"." + base64url.encode(_claims())
    return (signed + b"." + base64url.encode(key.sign(signed))).decode()


def _claims() -> bytes:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u", "iat": now, "exp": now + 86_400, "jti": f"{next(_NUMBERS)}"}
    return json.dumps(claims).encode()


class Realm:
    """One experiment's key set on the server."""

    def __init__(self, origin: str, secure_origin: str) -> None:
        self._name = f"r{next(_NUMBERS)}"
        self._control = f"{origin}/control/{self._name}"
        self.url, self.secure_url = (f"{one}/{self._name}/jwks.json" for one in (origin, secure_origin))
        self.elsewhere = f"{origin}/{self._name}/elsewhere.json"
        self._before: dict[str, int] = {}

    def set(self, *keys: sw.PrivateJWK, **manners: Any) -> None:
        """Publish these keys, or only change the manners."""
        if keys:
            manners["keys"] = [key.public.to_dict() for key in keys]
        urllib.request.urlopen(self._control, json.dumps(manners).encode()).read()

    def counts(self) -> dict[str, int]:
        return dict(json.load(urllib.request.urlopen(self._control)))

    def forget(self) -> None:
        """Count from here."""
        self._before = self.counts()

    def since(self, name: str = "fetches") -> int:
        return self.counts()[name] - self._before.get(name, 0)


@dataclass
class Rig:
    tokens: Tokens
    origin: str
    secure_origin: str
    certificate: str

    def realm(self, *keys: sw.PrivateJWK, **manners: Any) -> Realm:
        realm = Realm(self.origin, self.secure_origin)
        realm.set(*(keys or (self.tokens.k1,)), **manners)
        return realm


@contextmanager
def running_rig() -> Iterator[Rig]:
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder) / "server.pem"
        certificate.write_bytes(_certificate())
        command = [sys.executable, "-m", "benchmarks.key_cache.server", str(certificate)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            plain, secure = json.loads(server.stdout.readline())
            try:
                yield Rig(Tokens(), f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{secure}", str(certificate))
            finally:
                server.communicate(timeout=30)


def _certificate() -> bytes:
    """For 127.0.0.1, its own authority; the clients are told of it by the variables that their platforms read."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pkcs8, nothing = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, pkcs8, nothing) + built.public_bytes(
        serialization.Encoding.PEM
    )
