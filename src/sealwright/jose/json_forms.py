"""JSON serializations, flattened and general: what they hold, and writing them (RFC 7515 §7.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url, header, strict_json
from sealwright.jose.compact import MAXIMUM_TOKEN_BYTES
from sealwright.jose.header import Header
from sealwright.jose.signing import Signer

MAXIMUM_SIGNATURES = 32
_OF_ONE = ("protected", "header", "signature")


@dataclass(frozen=True, slots=True, repr=False)
class UnverifiedSignature:
    """One signature that proves nothing yet. ``key_id`` may come from the unprotected header: it is a hint anyway."""

    header: Header
    key_id: str | None
    signature: bytes


@dataclass(frozen=True, slots=True, repr=False)
class UnverifiedJSON:
    """A parsed JSON serialization. ``payload`` None: detached. A signature that cannot be read is its own error."""

    payload: bytes | None
    b64: bool
    signatures: tuple[UnverifiedSignature | RejectedError, ...]


def parse(text: str | bytes, *, max_bytes: int = MAXIMUM_TOKEN_BYTES) -> UnverifiedJSON:
    """Read either form. Raises RejectedError ``token.*``, ``json.*``, ``signatures.*`` for what is no JWS."""
    members = _members(text, max_bytes)
    read = tuple(_read(one) for one in _listed(members))
    encodings = {one.header.b64 for one in read if isinstance(one, UnverifiedSignature)}
    if len(encodings) > 1:  # RFC 7797 §3
        raise RejectedError(Reason.SIGNATURES_MIXED_ENCODING, 'the signatures do not agree about "b64"')
    payload = members.get("payload")
    if payload is not None and not isinstance(payload, str):
        raise RejectedError(Reason.SIGNATURES_MALFORMED, 'the member "payload" is not text')
    if not encodings:  # nothing can hold, and how the payload is to be read is not known
        return UnverifiedJSON(None if payload is None else b"", True, read)
    b64 = encodings == {True}
    if payload is not None:
        return UnverifiedJSON(base64url.decode_text(payload) if b64 else payload.encode(), b64, read)
    return UnverifiedJSON(None, b64, read)


def sign_flattened(
    payload: bytes,
    signer: Signer,
    *,
    typ: str | None = None,
    unprotected: Mapping[str, Any] | None = None,
    detached: bool = False,
    b64: bool = True,
) -> str:
    """One signature. ``unprotected`` members are carried and never trusted.

    Raises RejectedError ``payload.characters`` for an unencoded payload that is not UTF-8, and ``header.*``.
    """
    return _text(_payload(payload, detached, b64) | _signed(payload, signer, typ, unprotected or {}, b64))


def sign_general(
    payload: bytes, signers: Sequence[Signer], *, typ: str | None = None, detached: bool = False, b64: bool = True
) -> str:
    """One signature for each signer. Raises as ``sign_flattened``, and ``signatures.none`` or ``.too_many``."""
    _check_number(len(signers))
    return _text(
        _payload(payload, detached, b64)
        | {"signatures": [_signed(payload, signer, typ, {}, b64) for signer in signers]}
    )


def add_signature(text: str | bytes, signer: Signer, *, typ: str | None = None, payload: bytes | None = None) -> str:
    """The same JWS, as general form, with one more signature; the others stay as they are, and are not verified.

    ``payload`` is the content where it is detached. Raises RejectedError as ``parse``, and ``payload.*``.
    """
    parsed = parse(text)
    members = _members(text, MAXIMUM_TOKEN_BYTES)
    listed = list(_listed(members))
    _check_number(len(listed) + 1)
    content = content_of(parsed, payload)
    assert isinstance(content, bytes)
    added = _signed(content, signer, typ, {}, parsed.b64)
    kept = {name: value for name, value in members.items() if name not in _OF_ONE}
    return _text(kept | {"signatures": [*listed, added]})


def content_of(parsed: UnverifiedJSON, payload: bytes | BinaryIO | None) -> bytes | BinaryIO:
    """The signed content, carried or detached. Raises RejectedError ``payload.missing`` or ``payload.given_twice``."""
    if parsed.payload and payload is not None:
        raise RejectedError(Reason.PAYLOAD_GIVEN_TWICE, "the JWS carries its payload: give it none")
    content = parsed.payload if payload is None else payload
    if content is None:
        raise RejectedError(Reason.PAYLOAD_MISSING, "the payload is detached: give it with the JWS")
    return content


def _members(text: str | bytes, max_bytes: int) -> dict[str, Any]:
    if not text:
        raise RejectedError(Reason.TOKEN_MISSING, "there is no JWS")
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if len(data) > max_bytes:
        raise RejectedError(Reason.TOKEN_TOO_LARGE, f"the JWS is larger than {max_bytes} bytes")
    return strict_json.parse_object(data)


def _listed(members: Mapping[str, Any]) -> Sequence[Any]:
    if "signatures" not in members:
        if "signature" not in members:
            raise RejectedError(Reason.SIGNATURES_NONE, "the JSON object carries no signature")
        return [{name: members[name] for name in _OF_ONE if name in members}]
    if any(name in members for name in _OF_ONE):  # RFC 7515 §7.2.2
        raise RejectedError(Reason.SIGNATURES_MIXED_FORMS, "the JWS mixes the general and the flattened form")
    listed = members["signatures"]
    if not isinstance(listed, list):
        raise RejectedError(Reason.SIGNATURES_MALFORMED, 'the member "signatures" is not a list')
    _check_number(len(listed))
    return listed


def _check_number(number: int) -> None:
    if number == 0:
        raise RejectedError(Reason.SIGNATURES_NONE, "the list of signatures is empty")
    if number > MAXIMUM_SIGNATURES:
        raise RejectedError(Reason.SIGNATURES_TOO_MANY, f"a JWS may have {MAXIMUM_SIGNATURES} signatures at most")


def _read(one: Any) -> UnverifiedSignature | RejectedError:
    try:
        if not isinstance(one, dict):
            raise RejectedError(Reason.SIGNATURES_MALFORMED, "a signature is not an object")
        protected, signature = one.get("protected", ""), one.get("signature")
        if not isinstance(protected, str) or not isinstance(signature, str):
            raise RejectedError(Reason.SIGNATURES_MALFORMED, 'a signature lacks "protected" or "signature" as text')
        if not protected:  # RFC 7515 §10.7: an algorithm that is not protected can be exchanged
            raise RejectedError(Reason.HEADER_MALFORMED, 'the protected header has no "alg"')
        parsed = Header.parse(protected.encode("utf-8", "surrogatepass"))
        unprotected = _check_unprotected(one.get("header", {}), parsed)
        key_id = parsed.key_id if parsed.key_id is not None else unprotected.get("kid")
        return UnverifiedSignature(parsed, key_id, base64url.decode_text(signature))
    except RejectedError as error:
        return error.with_traceback(None)


def _check_unprotected(members: Any, protected: Header) -> Mapping[str, Any]:
    if not isinstance(members, dict) or not isinstance(members.get("kid", ""), str):
        raise RejectedError(Reason.HEADER_MALFORMED, "the unprotected header is malformed")
    if "crit" in members or "b64" in members:
        raise RejectedError(Reason.HEADER_CRITICAL, '"crit" and "b64" must be protected')
    if members and members.keys() & protected.members.keys():  # RFC 7515 §7.2.1
        raise RejectedError(Reason.HEADER_REPEATED, "a member is in the protected and in the unprotected header")
    return members


def _payload(payload: bytes, detached: bool, b64: bool) -> dict[str, Any]:
    if detached:
        return {}
    if b64:
        return {"payload": base64url.encode_text(payload)}
    try:
        return {"payload": payload.decode("utf-8")}
    except UnicodeDecodeError:
        message = "an unencoded payload in JSON is UTF-8 text: detach it, or encode it"
        raise RejectedError(Reason.PAYLOAD_CHARACTERS, message) from None


def _signed(
    payload: bytes, signer: Signer, typ: str | None, unprotected: Mapping[str, Any], b64: bool
) -> dict[str, Any]:
    protected = header.encode(signer.algorithm.name, signer.key_id, typ, b64)
    if unprotected:
        _check_unprotected(dict(unprotected), Header.parse(protected))
    signing_input = protected + b"." + (base64url.encode(payload) if b64 else payload)
    written = {"protected": protected.decode("ascii"), "signature": base64url.encode_text(signer.sign(signing_input))}
    return written | ({"header": dict(unprotected)} if unprotected else {})


def _text(members: Mapping[str, Any]) -> str:
    return strict_json.encode_object(members).decode("utf-8")
