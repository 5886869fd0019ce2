"""Certificates for delegated keys: the key that vouches is their authority, and signs at its backend (RFC 5280)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sealwright.jose.jwk import PublicJWK
from sealwright.jose.key_types import KEY_TYPES
from sealwright.keys.backend import KeyBackend, sign_checked

ALGORITHMS = frozenset({"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_HASHES: dict[str, Any] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


@dataclass(frozen=True, slots=True)
class Authority:
    """A key of an issuer whose private half is under this handle of a key backend."""

    issuer: str
    public: PublicJWK
    backend: KeyBackend
    handle: str

    def own_certificate(self, since: float, until: float) -> bytes:
        """Self-signed, DER: the anchor that whoever needs certificates pins."""
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        return self._certificate(self.public, constraints, since, until, signs_certificates=True)

    def certify(self, child: PublicJWK, since: float, until: float) -> bytes:
        """The certificate of a delegated key, DER."""
        return self._certificate(child, x509.BasicConstraints(ca=False, path_length=None), since, until)

    def _certificate(
        self,
        subject: PublicJWK,
        constraints: x509.BasicConstraints,
        since: float,
        until: float,
        *,
        signs_certificates: bool = False,
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(self._name(subject))
            .issuer_name(self._name(self.public))
            .public_key(_native(subject))
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.fromtimestamp(since, UTC))
            .not_valid_after(datetime.fromtimestamp(until, UTC))
            .add_extension(constraints, critical=True)
            .add_extension(_usage(signs_certificates), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(_native(subject)), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(_native(self.public)), critical=False)
        )
        return self._signed(builder)

    def _name(self, key: PublicJWK) -> x509.Name:
        names = ((NameOID.ORGANIZATION_NAME, self.issuer[:64]), (NameOID.COMMON_NAME, str(key.key_id)[:64]))
        return x509.Name([x509.NameAttribute(kind, text) for kind, text in names])

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        """The library signs with keys in memory only: a key of the same kind is put in, and its signature replaced.

        What is signed does not depend on that key, and the name of the algorithm is the same.
        """
        assert self.public.algorithm is not None
        name = self.public.algorithm.name
        drawn = _draft(builder, name)
        to_sign = drawn.tbs_certificate_bytes
        made = sign_checked(self.backend, self.handle, self.public, to_sign).value
        der = drawn.public_bytes(Encoding.DER)
        begins = der.index(to_sign) + len(to_sign)
        algorithm = der[begins : begins + 2 + der[begins + 1]]  # SEQUENCE of less than 128 bytes
        signature = _ecdsa_der(made) if name.startswith("ES") else made
        return _element(0x30, to_sign + algorithm + _element(0x03, b"\0" + signature))


def x5c(*chain: bytes) -> list[str]:
    """The JWK member (RFC 7517 §4.7): base64, not base64url."""
    return [base64.b64encode(der).decode("ascii") for der in chain]


def _native(key: PublicJWK) -> Any:
    return KEY_TYPES[key.members["kty"]].load_public(key.members)


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    never = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    usage = dict.fromkeys((*never, "crl_sign", "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(digital_signature=True, key_cert_sign=signs_certificates, **usage)


def _draft(builder: x509.CertificateBuilder, name: str) -> x509.Certificate:
    digest = _HASHES[name[2:]]
    if name.startswith("ES"):
        return builder.sign(ec.generate_private_key(_CURVES[name]), digest)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pss = padding.PSS(padding.MGF1(digest), digest.digest_size)  # RFC 7518 §3.5
    return builder.sign(key, digest, rsa_padding=pss if name.startswith("PS") else padding.PKCS1v15())


def _ecdsa_der(raw: bytes) -> bytes:
    half = len(raw) // 2
    return utils.encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


def _element(tag: int, content: bytes) -> bytes:
    """DER: tag, length, content (X.690 §8.1)."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content
