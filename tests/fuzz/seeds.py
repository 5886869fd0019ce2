"""What each target begins with: tokens, headers, keys and sets, made here at run time; and the words of JOSE."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

import sealwright as sw
from sealwright.jose import base64url
from sealwright.jose.algorithms import ALGORITHMS
from sealwright.jose.json_forms import sign_flattened, sign_general
from sealwright.jose.key_types import KEY_TYPES
from sealwright.statements import status_list
from sealwright.statements.verifier_reports import IssuerReport, PollAnswer, Trial, Tried, VerifierReport

NOW = 1_700_000_000.0
AUDIENCE = "orders"
URL = "https://orders.example/a"
_PLACE = status_list.Reference("https://es.example/lists/0", 3)
ES_ISSUER, HS_ISSUER = "https://es.example", "https://hs.example"

WORDS = (
    *ALGORITHMS,
    *("none", "RSA", "EC", "OKP", "AKP", "oct", "P-256", "P-384", "P-521", "secp256k1", "X25519"),
    *("alg", "kid", "typ", "cty", "crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "zip", "enc"),
    *("kty", "crv", "use", "key_ops", "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi", "oth", "k", "pub", "priv"),
    *("keys", "sig", "sign", "verify", "payload", "signatures", "protected", "header", "signature"),
    *("iss", "aud", "exp", "nbf", "iat", "sub", "jti", "scope", "client_id", "active", ES_ISSUER, HS_ISSUER, AUDIENCE),
    *("dpop+jwt", "htm", "htu", "ath", "nonce", "GET", URL, "By=", "Hash=", "Cert=", "Subject=", ":443", "%2e", "%7E"),
    *("true", "false", "null", "NaN", "Infinity", "1e400", "-0.0", "\\ud800", "\\u0061", "\\u0000", "\ufeff"),
    *("status", "status_list", "idx", "uri", "bits", "lst", "ttl"),
    *("-----BEGIN ", "-----END ", "PUBLIC KEY-----", "PRIVATE KEY-----", "ssh-ed25519 ", "\x00", ".", '"', "\\", "\n"),
)


def _fixed_es256() -> sw.PrivateJWK:
    """The same key in the campaign and in each of its processes: what the verifier trusts is known beforehand."""
    numbers = ec.derive_private_key(0x5EA1_0000_F00D, ec.SECP256R1()).private_numbers()
    named = {"x": numbers.public_numbers.x, "y": numbers.public_numbers.y, "d": numbers.private_value}
    members = {name: base64url.encode_text(number.to_bytes(32, "big")) for name, number in named.items()}
    return sw.PrivateJWK.from_dict({"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "es", **members})


ES_KEY = _fixed_es256()
HS_KEY = sw.SecretJWK.from_dict(
    {"kty": "oct", "alg": "HS256", "kid": "hs", "k": base64url.encode_text(bytes(range(32)))}
)


def claims(issuer: str, **more: Any) -> dict[str, Any]:
    return {"iss": issuer, "aud": AUDIENCE, "exp": int(NOW) + 900, "iat": int(NOW), "sub": "alice", **more}


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


PAYLOADS = [
    _compact(claims(ES_ISSUER, nbf=int(NOW), scope="read write", jti="1")),
    _compact(claims(HS_ISSUER, aud=["other", AUDIENCE])),
    _compact(claims(HS_ISSUER, nested={"a": [1, 2.5, None, True, "\u00e9\\u"]})),
]
HEADERS = [
    b'{"alg":"HS256"}',
    b'{"alg":"HS256","typ":"JWT","kid":"hs"}',
    b'{"alg":"ES256","typ":"at+jwt","kid":"es","cty":"x"}',
    b'{"alg":"HS256","crit":["exp"],"exp":1}',
    b'{"alg":"HS256","b64":false,"crit":["b64"]}',
    b'{"alg":"HS256","jwk":{"kty":"oct","k":"AA"},"x5c":["AA"],"jku":"https://a.example"}',
]
UNCLOSED = b'{"a":[' + b"[]," * 40 + b'"' + b'\\"' * 6000  # where the time grows with the square, this shows it
SIGNED = [
    *(sw.sign(payload, key, typ="JWT").encode() for payload in PAYLOADS for key in (ES_KEY, HS_KEY)),
    sw.sign(b"no JSON", HS_KEY).encode(),
]
TRUSTED_INPUTS = frozenset(token.rpartition(b".")[0] for token in SIGNED)
PROOF_HEADER = {
    "typ": "dpop+jwt",
    "alg": "ES256",
    "jwk": {name: ES_KEY.public.members[name] for name in ("kty", "crv", "x", "y")},
}
PROOF_CLAIMS = {
    "jti": "1",
    "htm": "GET",
    "htu": URL,
    "iat": int(NOW),
    "ath": base64url.encode_text(hashlib.sha256(b"a.b.c").digest()),
}
SEPARATOR = b"\n\n"  # between header, payload and signature in the inputs of ``verify_parts``


@cache
def corpora() -> dict[str, list[bytes]]:
    """The first inputs of each target, by its name."""
    signers = [sw.PrivateJWK.generate(name) for name, row in ALGORITHMS.items() if not row.symmetric]
    public = [key.public.to_dict() for key in signers]
    bare = [{name: value for name, value in one.items() if name not in ("alg", "kid", "use")} for one in public]
    documents = [_compact(one) for one in (*public, *bare)]
    sets = [{"keys": public[:2]}, {"keys": [*bare, *public]}, {"keys": [public[0], 1, public[0], {"kty": "oct"}]}]
    return {
        "base64url": [b"", b"YQ", b"YWI", b"YWJj", b"-_-_", b"YR", b"YQ==", HS_KEY.sign(b"")],
        "strict_json": [
            *HEADERS,
            *PAYLOADS,
            documents[0],
            b'{"a":' + b"[" * 31 + b"]" * 31 + b"}",
            b'{"a":1,"a":1}',
            UNCLOSED,
        ],
        "header": HEADERS,
        "compact": SIGNED,
        "public_jwk": documents,
        "private_jwk": [_compact(key.export_private_dict()) for key in signers],
        "secret_jwk": [_compact(sw.SecretJWK.generate(f"HS{n}").export_secret_dict()) for n in (256, 384, 512)],
        "jwk_set": [UNCLOSED, *(_compact(one) for one in sets)],
        "json_forms": [UNCLOSED, *_json_forms()],
        "key_file_public": [data for key in signers for data in _public_files(key.public)],
        "key_file_private": [data for key in signers for data in _private_files(key)],
        "verify": SIGNED,
        "verify_parts": [_parts(token) for token in SIGNED],
        "signed_header": HEADERS,
        "signed_claims": [*PAYLOADS, UNCLOSED],
        "client_certificate": _certificate_headers(),
        "request_path": [b"/orders/5?a", b"/a%2e/%2F/..;x//", b"/caf%C3%A9/%EF%BC%8E", b"/a\\b%25 "],
        "identity": [
            b'{"sub":"a","scope":"r w","a":{"roles":["x",5]},"g":"s","kubernetes.io":{"namespace":"n"}}',
            b'{"sub":5,"a":[],"g":[{}],"kubernetes.io":"x"}',
        ],
        "request_url": [URL.encode(), b"HTTPS://A:443/%7e/../b?c#d", b"http://[::1]:8/./%2e%2F//"],
        "dpop_proof": [_compact(PROOF_HEADER) + SEPARATOR + _compact(PROOF_CLAIMS), SIGNED[0]],
        "verifier_report": [UNCLOSED, *_reports()],
        "poll_answer": [UNCLOSED, *_answers()],
        "status_lists": [_compact(one) for one in (*_lists(), {"status": status_list.reference_claim(_PLACE)})],
        "introspection_answer": [b'{"active":false}', _compact(claims(ES_ISSUER, active=True, scope="read"))],
        "planted": HEADERS,
    }


def _lists() -> list[Any]:
    packed = [status_list.pack({3: 1}, size=64, bits=bits) for bits in (1, 2, 4, 8)]
    return [status_list.statement_claims(_PLACE.uri, one, now=NOW, lifetime_s=300, ttl_s=60) for one in packed]


def dictionary() -> str:
    """The words in libFuzzer's format."""
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"\n' for word in WORDS)


def _parts(token: bytes) -> bytes:
    return SEPARATOR.join(base64url.decode(segment) for segment in token.split(b"."))


def _reports() -> list[bytes]:
    keys = {"es": None, "hs": NOW}
    full = {ES_ISSUER: IssuerReport(7, 1.5, None, keys), HS_ISSUER: IssuerReport(None, None, 0.0, {})}
    tried = {"canary:1": Tried("rejected", "key.revoked", NOW), "rehearsal:1": Tried("accepted", None, NOW)}
    return [_compact(VerifierReport("orders", "pod-1", said, tried).to_dict()) for said in ({}, full)]


def _answers() -> list[bytes]:
    token = SIGNED[0].decode()
    trials = {"canary:1": Trial("canary", token, AUDIENCE), "rehearsal:1": Trial("rehearsal", token, AUDIENCE)}
    return [_compact(PollAnswer({"jti": token}, trials).to_dict()), _compact(PollAnswer().to_dict())]


def _json_forms() -> list[bytes]:
    texts = [sign_flattened(b"{}", HS_KEY, unprotected={"note": "x"}), sign_general(b"{}", [ES_KEY, HS_KEY])]
    texts += [sign_flattened(b"text", HS_KEY, b64=False), sign_general(b"{}", [HS_KEY], detached=True)]
    return [text.encode() for text in texts]


def _certificate_headers() -> list[bytes]:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])
    native = ec.derive_private_key(0x5EA1, ec.SECP256R1())
    times = (datetime.fromtimestamp(NOW, UTC), datetime.fromtimestamp(NOW + 900, UTC))
    built = x509.CertificateBuilder(name, name, native.public_key(), 5, *times).sign(native, hashes.SHA256())
    der, pem = (built.public_bytes(encoding) for encoding in (Encoding.DER, Encoding.PEM))
    nearest = f'By=b;Hash={hashlib.sha256(der).hexdigest()};Cert="{quote(pem)}";Subject="O=\\"c\\""'
    texts = [f":{base64.b64encode(der).decode()}:", quote(pem), f"Hash={'0' * 64},{nearest}", 'By="' + '\\"' * 3000]
    return [text.encode() for text in texts]


def _public_files(key: sw.PublicJWK) -> list[bytes]:
    native = KEY_TYPES[key.members["kty"]].load_public(key.members)
    forms: list[Any] = [(encoding, PublicFormat.SubjectPublicKeyInfo) for encoding in (Encoding.PEM, Encoding.DER)]
    forms += [(Encoding.OpenSSH, PublicFormat.OpenSSH), (Encoding.PEM, PublicFormat.PKCS1)]
    return _written(native.public_bytes, forms)


def _private_files(key: sw.PrivateJWK) -> list[bytes]:
    native = KEY_TYPES[key.algorithm.kty].load_private(key.export_private_dict())
    kinds = (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL, PrivateFormat.OpenSSH)
    forms = [(encoding, kind, NoEncryption()) for encoding in (Encoding.PEM, Encoding.DER) for kind in kinds]
    return _written(native.private_bytes, [*forms, (Encoding.PEM, kinds[0], BestAvailableEncryption(b"long enough"))])


def _written(write: Any, forms: list[Any]) -> list[bytes]:
    """The forms that this kind of key has."""
    found = []
    for form in forms:
        with contextlib.suppress(ValueError, TypeError, NotImplementedError):
            found.append(write(*form))
    return found
