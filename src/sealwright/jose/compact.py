"""Compact serialization: limits first, then three segments (RFC 7515 §7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url, strict_json
from sealwright.jose.header import Header

MAXIMUM_TOKEN_BYTES = 1024 * 1024
MAXIMUM_HEADER_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class UnverifiedJWS:
    """A parsed token that proves nothing yet: its header and issuer hint only choose what to check it against."""

    header: Header
    signing_input: bytes
    signature: bytes
    payload_segment: bytes

    def issuer_hint(self) -> str:
        """The unverified "iss". Raises RejectedError ``issuer.missing`` or ``json.*``."""
        issuer = self.unverified_claims().get("iss")
        if not isinstance(issuer, str):
            raise RejectedError(Reason.ISSUER_MISSING, 'the token has no "iss" claim')
        return issuer

    def unverified_claims(self) -> dict[str, Any]:
        """For inspection only: anyone can write these."""
        return strict_json.parse_object(self.unverified_payload())

    def unverified_payload(self) -> bytes:
        return base64url.decode(self.payload_segment)

    def __repr__(self) -> str:
        return f"UnverifiedJWS(alg={self.header.algorithm!r}, <not verified>)"


def parse(token: str | bytes, *, max_bytes: int = MAXIMUM_TOKEN_BYTES) -> UnverifiedJWS:
    """Split and decode a token. Raises RejectedError ``token.*``, ``header.*`` or ``json.*``."""
    text = bounded(token, max_bytes)
    if text.count(b".") != 2:
        raise RejectedError(Reason.TOKEN_MALFORMED, "a compact JWS has exactly three segments")
    header, payload, signature = text.split(b".")
    if len(header) > MAXIMUM_HEADER_BYTES:
        raise RejectedError(Reason.HEADER_TOO_LARGE, f"the header is larger than {MAXIMUM_HEADER_BYTES} bytes")
    return UnverifiedJWS(
        header=Header.parse(header),
        signing_input=text[: len(header) + 1 + len(payload)],
        signature=base64url.decode(signature),
        payload_segment=payload,
    )


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
