"""What can be seen of a JWS or JWE of any form, of which nothing is verified."""

from __future__ import annotations

from typing import Any

from sealwright.errors import RejectedError
from sealwright.jose import compact, json_forms, strict_json
from sealwright.jose.header import Header
from sealwright.jose.json_forms import UnverifiedSignature

DETACHED = "no payload: it is detached, or empty"


def seen_in(text: bytes) -> dict[str, Any]:
    """Headers, payload and signatures, told apart by the first byte and the dots.

    Raises RejectedError ``token.*``, ``header.*``, ``json.*`` or ``signatures.*`` for what is none of the forms.
    """
    if text.startswith(b"{"):
        return _json(text)
    compact.bounded(text, compact.MAXIMUM_TOKEN_BYTES)
    if text.count(b".") == 4:
        return _encrypted(text)
    unverified = compact.parse(text)
    payload = _shown(unverified.unverified_payload()) if unverified.payload_segment else DETACHED
    facts = {"header": unverified.header.members, "payload": payload}
    return {"form": "compact", **facts, "signature_bytes": len(unverified.signature)}


def _encrypted(text: bytes) -> dict[str, Any]:
    return {
        "form": "encrypted",
        "header": Header.parse(text.split(b".", 1)[0]).members,
        "payload": "encrypted: only its recipient can see the token inside",
    }


def _json(text: bytes) -> dict[str, Any]:
    parsed = json_forms.parse(text)
    members = strict_json.parse_object(text)
    listed = members.get("signatures", [members])
    return {
        "form": "general" if "signatures" in members else "flattened",
        "payload": _shown(parsed.payload) if parsed.payload else DETACHED,
        "signatures": [_signature(*pair) for pair in zip(parsed.signatures, listed, strict=True)],
    }


def _signature(one: UnverifiedSignature | RejectedError, written: dict[str, Any]) -> dict[str, Any]:
    if isinstance(one, RejectedError):
        return {"reason": one.reason, "message": one.message}
    unprotected = {"unprotected": written["header"]} if "header" in written else {}
    return {"header": one.header.members, **unprotected, "signature_bytes": len(one.signature)}


def _shown(payload: bytes) -> dict[str, Any] | str:
    try:
        return strict_json.parse_object(payload)
    except RejectedError:
        return f"{len(payload)} bytes that are not a JSON object"
