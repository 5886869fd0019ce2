"""The OpenAPI description of the routes that sign."""

from __future__ import annotations

from typing import Any

from sealwright.services.key_service.signing_operations import MOST_IN_BATCH

_TOKEN = {
    "claims": {"type": "object", "description": "At least sub; iss, aud, iat, exp and jti are written for you."},
    "audience": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "lifetime_s": {"type": "number", "description": "Seconds; the longest allowed when left out."},
    "status": {
        "type": "boolean",
        "description": "Give the token a place in a status list, so that it can be suspended.",
    },
}
_REUSE = {
    "reuse": {
        "type": "boolean",
        "description": "A token that was signed for the same question may be given again, with its jti, up to half of "
        "its life.",
    }
}
_PAYLOAD = {
    "payload": {"type": "string", "format": "base64url"},
    "typ": {"type": "string", "description": "The type of what is signed, such as order+jws; never a JWT."},
}
_PROBLEMS = {
    "400": "malformed",
    "401": "no acceptable credential",
    "403": "scope too narrow",
    "404": "no such issuer",
    "503": "too many wait, or it was not ready in time: see Retry-After",
}


def openapi_paths() -> dict[str, Any]:
    token, payload = _object(_TOKEN, ["claims", "audience"]), _object(_PAYLOAD, ["payload", "typ"])
    one_token = _object({**_TOKEN, **_REUSE}, ["claims", "audience"])
    path = "/v1/issuers/{issuer}"
    return {
        f"{path}/tokens": {"post": _described("Issue an access token", one_token)},
        f"{path}/tokens/batch": {"post": _described("Issue access tokens, all or none", _batch("tokens", token))},
        f"{path}/sign": {"post": _described("Sign any bytes", payload)},
        f"{path}/sign/batch": {"post": _described("Sign payloads, all or none", _batch("payloads", payload))},
    }


def _object(members: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": members, "additionalProperties": False}


def _batch(name: str, item: dict[str, Any]) -> dict[str, Any]:
    return _object({name: {"type": "array", "items": item, "minItems": 1, "maxItems": MOST_IN_BATCH}}, [name])


def _described(summary: str, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": summary,
        "security": [{"bearer": []}],
        "parameters": [{"name": "issuer", "in": "path", "required": True, "schema": {"type": "string"}}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "201": {"description": "Signed."},
            **{code: {"description": f"{text} (problem+json)"} for code, text in _PROBLEMS.items()},
        },
    }
