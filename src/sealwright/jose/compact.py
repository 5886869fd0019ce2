"""Compact serialization: limits first, then three segments (RFC 7515 §7.1, RFC 7797 §5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url, strict_json
from sealwright.jose.header import Header

MAXIMUM_TOKEN_BYTES = 1024 * 1024


@dataclass(slots=True, repr=False)
class UnverifiedJWS:
    """A parsed token that proves nothing yet: its header and its issuer only choose what to check it against."""

    header: Header
    signing_input: bytes
    signature: bytes
    payload_segment: bytes

    def unverified_claims(self) -> dict[str, Any]:
        """The payload as a JSON object. Until the signature is verified, anyone can have written it."""
        return strict_json.parse_object(self.unverified_payload())

    def unverified_payload(self) -> bytes:
        return base64url.decode(self.payload_segment) if self.header.b64 else self.payload_segment

    def with_payload(self, payload: bytes) -> UnverifiedJWS:
        """This token with its detached content. Raises RejectedError ``payload.given_twice``."""
        if self.payload_segment:
            raise RejectedError(Reason.PAYLOAD_GIVEN_TWICE, "the token carries its payload: give it none")
        segment = base64url.encode(payload) if self.header.b64 else payload
        return UnverifiedJWS(self.header, self.signing_input + segment, self.signature, segment)

    def __repr__(self) -> str:
        return f"UnverifiedJWS(alg={self.header.algorithm!r}, <not verified>)"


def parse(token: str | bytes, *, max_bytes: int = MAXIMUM_TOKEN_BYTES) -> UnverifiedJWS:
    """Split and decode a token. Raises RejectedError ``token.*``, ``header.*``, ``json.*`` or ``payload.*``."""
    text = bounded(token, max_bytes)
    if text.count(b".") != 2:
        raise RejectedError(Reason.TOKEN_MALFORMED, "a compact JWS has exactly three segments")
    segment, payload, signature = text.split(b".")
    header = Header.parse(segment)
    if not header.b64:
        check_compact_text(payload)
    return UnverifiedJWS(header, text[: len(segment) + 1 + len(payload)], base64url.decode(signature), payload)


def bounded(token: str | bytes, max_bytes: int) -> bytes:
    """The token as bytes. Raises RejectedError ``token.missing``, ``token.too_large`` or ``token.encoding``."""
    if not token:
        raise RejectedError(Reason.TOKEN_MISSING, "there is no token")
    if len(token) > max_bytes:
        raise RejectedError(Reason.TOKEN_TOO_LARGE, f"the token is larger than {max_bytes} bytes")
    if isinstance(token, bytes):
        return token
    try:
        return token.encode("ascii")
    except UnicodeEncodeError:
        raise RejectedError(Reason.TOKEN_ENCODING, "the token has characters outside of base64url") from None


def check_compact_text(payload: bytes) -> None:
    """RFC 7797 §5.2: printable ASCII without a dot may stand in a compact JWS as it is."""
    if b"." in payload or not payload.isascii() or not payload.decode("ascii").isprintable():
        message = "an unencoded payload in a compact JWS is printable ASCII without a dot: detach it, or encode it"
        raise RejectedError(Reason.PAYLOAD_CHARACTERS, message)
