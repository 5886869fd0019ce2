"""Nested tokens: a JWS of ours inside of a JWE, signed first and then encrypted (RFC 7519 §11.2, RFC 8725 §3.11).

Needs the extra ``nested``; nothing else in this package imports joserfc, or this module. The limits, the header and
the choice of the key are decided here, before joserfc sees anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.jose import base64url, compact
from sealwright.jose.algorithms import algorithm
from sealwright.jose.compact import MAXIMUM_TOKEN_BYTES, UnverifiedJWS
from sealwright.jose.encryption_keys import (
    CONTENT_ALGORITHMS,
    KEY_ALGORITHMS,
    DecryptionJWK,
    DecryptionKey,
    EncryptionJWK,
    EncryptionKey,
    SharedEncryptionJWK,
    find,
)
from sealwright.jose.header import MAXIMUM_HEADER_BYTES, Header
from sealwright.jose.signing import Signer, sign
from sealwright.jose.verification import Keys, VerifiedJWS, verify_signature

try:
    from joserfc import jwe
    from joserfc.jwk import ECKey, OctKey, RSAKey
except ImportError as missing:
    raise ConfigurationError(Reason.ENCRYPTION_NOT_INSTALLED, "pip install 'sealwright[nested]'") from missing

__all__ = [
    "DecryptionJWK",
    "DecryptionKey",
    "EncryptionJWK",
    "EncryptionKey",
    "SharedEncryptionJWK",
    "decrypt",
    "encrypt",
    "sign_nested",
    "verify_nested",
]


class _Registry(jwe.JWERegistry):
    """joserfc's own limits, raised to those that are checked here first."""

    max_protected_header_length = MAXIMUM_HEADER_BYTES
    max_encrypted_key_length = MAXIMUM_TOKEN_BYTES
    max_ciphertext_length = MAXIMUM_TOKEN_BYTES


# Members that are not known must be ignored (RFC 7516 §4), which joserfc calls not strict.
_REGISTRY = _Registry(algorithms=[*KEY_ALGORITHMS, *CONTENT_ALGORITHMS], strict_check_header=False)


def sign_nested(payload: bytes, signer: Signer, recipient: EncryptionKey, *, typ: str, enc: str = "A256GCM") -> str:
    """Sign any bytes as ``typ``, and encrypt the signed token for one recipient."""
    return encrypt(sign(payload, signer, typ=typ), recipient, enc=enc)


def verify_nested(
    text: str | bytes,
    decryption_keys: DecryptionKey | Iterable[DecryptionKey],
    verification_keys: Keys,
    *,
    typ: str,
) -> VerifiedJWS:
    """Decrypt, check the inner type, and prove the inner signature; no claim is looked at.

    Raises RejectedError as ``decrypt`` and ``verify_signature`` do, and ``header.type``.
    """
    verified = verify_signature(decrypt(text, decryption_keys), verification_keys)
    verified.header.check_type(typ)
    return verified


def encrypt(token: str, recipient: EncryptionKey, *, enc: str = "A256GCM") -> str:
    """A signed token with an explicit "typ", encrypted for one recipient. The key chooses "alg" and "kid"."""
    inner = _check_inner(token)
    if not isinstance(recipient, EncryptionKey):
        raise RejectedError(Reason.KEY_UNSUITABLE, "this key is not for encryption")
    _check_content_algorithm(enc)
    recipient.check_content(enc)
    members = {"alg": recipient.algorithm, "enc": enc, "kid": recipient.key_id, "cty": _content_type(inner)}
    protected = {name: value for name, value in members.items() if value is not None}
    text = jwe.encrypt_compact(protected, token, _as_joserfc(recipient._native), registry=_REGISTRY)
    compact.bounded(text, MAXIMUM_TOKEN_BYTES)  # what decrypt would refuse is never handed out
    return text


def decrypt(text: str | bytes, keys: DecryptionKey | Iterable[DecryptionKey]) -> str:
    """The signed token inside. It is not verified: hand it to a Verifier, or call ``verify_nested``.

    Raises RejectedError ``token.*``, ``header.*``, ``algorithm.*`` or ``key.*`` for what the header shows,
    ``encryption.invalid`` for whatever fails after that, and ``encryption.content`` for what is not a token of ours.
    """
    header, plaintext = _open(text, keys)
    inner = _check_inner(plaintext)
    if _bare(header.members.get("cty", "")) != _bare(_content_type(inner)):
        raise RejectedError(Reason.ENCRYPTION_CONTENT, 'the outer "cty" does not name the type of the inner token')
    return plaintext.decode("ascii")


def _open(text: str | bytes, keys: DecryptionKey | Iterable[DecryptionKey]) -> tuple[Header, bytes]:
    data = compact.bounded(text, MAXIMUM_TOKEN_BYTES)
    if data.count(b".") != 4:
        raise RejectedError(Reason.TOKEN_MALFORMED, "a compact JWE has exactly five segments")
    segments = data.split(b".")
    if len(segments[0]) > MAXIMUM_HEADER_BYTES:
        raise RejectedError(Reason.HEADER_TOO_LARGE, f"the header is larger than {MAXIMUM_HEADER_BYTES} bytes")
    header = Header.parse(segments[0])
    enc = _check_outer(header)
    key = find(header.key_id, keys)
    if header.algorithm != key.algorithm:
        raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, "the token's algorithm is not its key's")
    key.check_content(enc)
    _, iv, _, tag = (base64url.decode(segment) for segment in segments[1:])
    content = CONTENT_ALGORITHMS[enc]
    try:
        # joserfc leaves the length of a GCM tag to a default of cryptography; a short tag would be forgeable.
        if (len(iv), len(tag)) != (content.iv_bytes, content.tag_bytes):
            raise ValueError("the initialization vector or the tag has the wrong length")
        if KEY_ALGORITHMS[key.algorithm] == "EC":
            EncryptionJWK.from_dict({**header.members["epk"], "alg": key.algorithm})
        plaintext = jwe.decrypt_compact(data, _as_joserfc(key._native), registry=_REGISTRY).plaintext
    except Exception as error:  # one reason for every failure, so that none can be told from another
        raise RejectedError(Reason.ENCRYPTION_INVALID, "the token cannot be decrypted") from error
    return header, plaintext or b""


def _check_outer(header: Header) -> str:
    """The "enc" of a header with nothing in it that is refused by policy."""
    if header.algorithm not in KEY_ALGORITHMS:
        raise RejectedError(Reason.ALGORITHM_UNKNOWN, "the algorithm is not one that this package knows")
    members = header.members
    if "crit" in members:  # what JWS understands there says nothing about JWE
        raise RejectedError(Reason.HEADER_CRITICAL, "the token needs an extension that is not understood here")
    if "zip" in members:
        raise RejectedError(Reason.ENCRYPTION_COMPRESSED, "compressed content is not accepted")
    enc = members.get("enc")
    if not isinstance(enc, str):
        raise RejectedError(Reason.HEADER_MALFORMED, 'the header has no "enc"')
    _check_content_algorithm(enc)
    return enc


def _check_content_algorithm(enc: str) -> None:
    if enc not in CONTENT_ALGORITHMS:
        raise RejectedError(Reason.ALGORITHM_UNKNOWN, "the content algorithm is not one that this package knows")


def _check_inner(token: str | bytes) -> UnverifiedJWS:
    """A compact JWS with a known algorithm and a type; never plain text, unsigned, or encrypted again."""
    try:
        inner = compact.parse(token)
        algorithm(inner.header.algorithm)
        inner.unverified_payload()
    except RejectedError as error:
        raise RejectedError(
            Reason.ENCRYPTION_CONTENT, "what is encrypted must be a signed token", detail=str(error.reason)
        ) from error
    if not inner.header.b64:
        raise RejectedError(Reason.ENCRYPTION_CONTENT, "what is encrypted must be encoded")
    if not inner.header.type:
        raise RejectedError(Reason.ENCRYPTION_CONTENT, 'what is encrypted must say its "typ"')
    return inner


def _content_type(inner: UnverifiedJWS) -> str:
    """RFC 7519 §5.2: "JWT" in capitals around any kind of JWT; else the type of the inner token."""
    typ = inner.header.type or ""
    return "JWT" if _bare(typ) == "jwt" or _bare(typ).endswith("+jwt") else typ


def _bare(media_type: str) -> str:
    return media_type.lower().removeprefix("application/")


def _as_joserfc(native: Any) -> Any:
    if isinstance(native, bytes):
        return OctKey(native, native)
    return (ECKey if hasattr(native, "curve") else RSAKey).import_key(native)
