"""Certificates that come with keys: "x5c", "x5t" and "x5t#S256" are read and compared, and trusted by nobody here.

RFC 7517 §4.7 to §4.9. Trust is ``x509.verify_chain``, with anchors of the caller's own.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url
from sealwright.jose.key_types import KeyType, kind_of, member_bytes

MAXIMUM_CHAIN = 10
MAXIMUM_CERTIFICATE_BYTES = 16 * 1024
_THUMBPRINTS = ("x5t", "x5t#S256")
# Not all of what the library raises for a strange certificate is a ValueError; what it warns of, some programs raise.
UNREADABLE = (
    ValueError, TypeError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType,
    CryptographyDeprecationWarning,
)  # fmt: skip


def certificate_chain(x5c: Sequence[str]) -> tuple[x509.Certificate, ...]:
    """The certificates of an "x5c" member, the key's own first; nothing about them is verified.

    Raises RejectedError ``key.malformed``, or ``key.unsupported`` above 10 certificates or 16 KiB for one.
    """
    if not isinstance(x5c, list | tuple) or not x5c or not all(isinstance(text, str) for text in x5c):
        raise RejectedError(Reason.KEY_MALFORMED, 'the key member "x5c" is not a list of texts')
    if len(x5c) > MAXIMUM_CHAIN or any(len(text) > MAXIMUM_CERTIFICATE_BYTES * 4 // 3 + 4 for text in x5c):
        raise RejectedError(Reason.KEY_UNSUPPORTED, "the certificate chain is too long, or a certificate too large")
    return tuple(load_certificate(_decoded(text)) for text in x5c)


def load_certificate(data: bytes) -> x509.Certificate:
    """One certificate, PEM or DER. Raises RejectedError ``key.malformed``."""
    load = x509.load_pem_x509_certificate if data.startswith(b"-----BEGIN ") else x509.load_der_x509_certificate
    try:
        certificate = load(data)
    except UNREADABLE:
        raise _malformed() from None
    if certificate.serial_number <= 0:  # RFC 5280 §4.1.2.2
        raise _malformed()
    return certificate


def thumbprint_sha256(der: bytes) -> str:
    """What "x5t#S256" says of a certificate."""
    return base64url.encode_text(hashlib.sha256(der).digest())


def certificate_thumbprint(data: bytes) -> str:
    """``thumbprint_sha256`` of one certificate, PEM or DER. Raises RejectedError ``key.malformed``."""
    if len(data) > 2 * MAXIMUM_CERTIFICATE_BYTES:  # PEM is a third longer, and has lines
        raise _malformed()
    return thumbprint_sha256(load_certificate(data).public_bytes(Encoding.DER))


def signing_key(certificate: x509.Certificate) -> Any:
    """The native public key. Raises RejectedError ``key.unsuitable`` when the certificate may not sign data."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    except UNREADABLE:
        raise _malformed() from None
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise RejectedError(Reason.KEY_UNSUITABLE, "the certificate's key usage does not allow signatures")
    if certificate.public_key_algorithm_oid == x509.oid.PublicKeyAlgorithmOID.RSASSA_PSS:
        raise RejectedError(Reason.KEY_UNSUPPORTED, "RSA keys that are limited to PSS are not accepted")
    return _native_key(certificate)


def check_certificate_members(members: Mapping[str, Any], kind: KeyType) -> None:
    """RFC 7517 §4.7: the first certificate is the key's own, and the thumbprints are that certificate's.

    Raises RejectedError ``key.malformed`` for what cannot be read, ``key.certificate`` for what does not match.
    """
    given = {name: member_bytes(members, name) for name in _THUMBPRINTS if name in members}
    if "x5c" not in members:
        return
    leaf = certificate_chain(members["x5c"])[0]
    native = _native_key(leaf)
    if kind_of(native) is not kind or any(members.get(n) != value for n, value in kind.public_members(native).items()):
        raise RejectedError(Reason.KEY_CERTIFICATE, "the first certificate is of another key")
    der = leaf.public_bytes(Encoding.DER)
    digests = {"x5t": hashlib.sha1(der, usedforsecurity=False), "x5t#S256": hashlib.sha256(der)}
    for name, value in given.items():
        # Some well-known identity providers write the digest's hexadecimal text where its bytes belong.
        if value != digests[name].digest() and value.lower() != digests[name].hexdigest().encode():
            raise RejectedError(Reason.KEY_CERTIFICATE, "a certificate thumbprint is of another certificate")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)  # RFC 7515 §4.1.6: with padding, and not base64url
    except ValueError:
        raise _malformed() from None


def _native_key(certificate: x509.Certificate) -> Any:
    try:
        return certificate.public_key()
    except UnsupportedAlgorithm:
        raise RejectedError(Reason.KEY_UNSUPPORTED, "the certificate's key is of an unknown kind") from None
    except UNREADABLE:
        raise _malformed() from None


def _malformed() -> RejectedError:
    return RejectedError(Reason.KEY_MALFORMED, "the data do not form a certificate")
