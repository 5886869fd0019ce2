"""What we refuse: each correctly MACed, so that only the rule under test can be the cause."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from forms import Form, key, private

from sealwright import Reason
from sealwright.jose import base64url

CONTENT = b"content"
COMPACT, FLATTENED, GENERAL = Form("compact"), Form("flattened"), Form("general")
_RAW = Form("compact", detached=True, b64=False)
SIGNED_WITH = "HS256"
Probe = tuple[Form, str]
_LAST = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def parts(header: bytes, payload: bytes = CONTENT, *, b64: bool = True) -> tuple[str, str, str]:
    secret = base64url.decode_text(private(key(SIGNED_WITH))["k"])
    head, content = base64url.encode(header), base64url.encode(payload) if b64 else payload
    mac = hmac.digest(secret, head + b"." + content, hashlib.sha256)
    return head.decode(), content.decode(), base64url.encode_text(mac)


def compact(**members: Any) -> Probe:
    return COMPACT, ".".join(parts(json.dumps({"alg": SIGNED_WITH, **members}).encode()))


def unencoded(**members: Any) -> Probe:
    """Content that is signed as it is, and detached: what b64 false asks for."""
    header, _, mac = parts(json.dumps({"alg": SIGNED_WITH, **members}).encode(), b64=False)
    return _RAW, f"{header}..{mac}"


def of_header(header: bytes) -> Probe:
    return COMPACT, ".".join(parts(header))


def flattened(protected: dict[str, Any], unprotected: dict[str, Any]) -> Probe:
    head, payload, mac = parts(json.dumps(protected).encode() if protected else b"")
    members = {"payload": payload, "header": unprotected, "signature": mac}
    return FLATTENED, json.dumps(members | ({"protected": head} if protected else {}))


def mixed_forms() -> Probe:
    head, payload, mac = parts(b'{"alg":"HS256"}')
    one = {"protected": head, "signature": mac}
    return GENERAL, json.dumps({"payload": payload, "signatures": [one], "protected": head, "signature": "AAAA"})


def changed_signature(change: Callable[[str], str]) -> Probe:
    _, token = compact()
    return COMPACT, change(token)


def _unused_bit(token: str) -> str:
    return token[:-1] + _LAST[_LAST.index(token[-1]) + 1]


def given_twice() -> Probe:
    """The form asks for detached content, which the caller gives; the token carries the same."""
    return Form("compact", detached=True), compact()[1]


# By name: how it is made, and why we refuse it.
PROBES: dict[str, tuple[Callable[[], Probe], Reason]] = {
    "crit of an unknown extension": (lambda: compact(crit=["exp"], exp=1), Reason.HEADER_CRITICAL),
    "crit of an absent member": (lambda: compact(crit=["b64"]), Reason.HEADER_CRITICAL),
    "crit that is text": (lambda: compact(crit="b64", b64=True), Reason.HEADER_CRITICAL),
    "crit that is empty": (lambda: compact(crit=[]), Reason.HEADER_CRITICAL),
    "crit of a registered name": (lambda: compact(crit=["alg"]), Reason.HEADER_CRITICAL),
    "crit that repeats a name": (lambda: compact(crit=["b64", "b64"], b64=True), Reason.HEADER_CRITICAL),
    "crit that is not protected": (lambda: flattened({"alg": "HS256"}, {"crit": ["b64"]}), Reason.HEADER_CRITICAL),
    "b64 without crit": (lambda: compact(b64=True), Reason.HEADER_CRITICAL),
    "b64 false without crit": (lambda: unencoded(b64=False), Reason.HEADER_CRITICAL),
    "b64 false without crit, over encoded content": (lambda: compact(b64=False), Reason.HEADER_CRITICAL),
    "b64 that is text": (lambda: compact(crit=["b64"], b64="false"), Reason.HEADER_CRITICAL),
    "b64 that is a number": (lambda: unencoded(crit=["b64"], b64=0), Reason.HEADER_CRITICAL),
    "alg given twice": (lambda: of_header(b'{"alg":"none","alg":"HS256"}'), Reason.JSON_DUPLICATE_NAME),
    "NaN in the header": (lambda: of_header(b'{"alg":"HS256","x":NaN}'), Reason.JSON_MALFORMED),
    "a lone surrogate in the header": (lambda: of_header(b'{"alg":"HS256","typ":"\\ud800"}'), Reason.JSON_MALFORMED),
    "a header deeper than 32 levels": (
        lambda: of_header(b'{"alg":"HS256","x":' + b"[" * 40 + b"]" * 40 + b"}"),
        Reason.JSON_TOO_DEEP,
    ),
    "typ that is no text": (lambda: compact(typ=1), Reason.HEADER_MALFORMED),
    "kid that is no text": (lambda: compact(kid=1), Reason.HEADER_MALFORMED),
    "the kid of another key": (lambda: compact(kid="another"), Reason.KEY_NOT_FOUND),
    "alg that is not protected": (lambda: flattened({}, {"alg": "HS256"}), Reason.HEADER_MALFORMED),
    "a member in both headers": (
        lambda: flattened({"alg": "HS256", "cty": "a"}, {"cty": "b"}),
        Reason.HEADER_REPEATED,
    ),
    "general and flattened form mixed": (mixed_forms, Reason.SIGNATURES_MIXED_FORMS),
    "payload carried and given": (given_twice, Reason.PAYLOAD_GIVEN_TWICE),
    "padding after the signature": (lambda: changed_signature(lambda token: token + "="), Reason.TOKEN_ENCODING),
    "an unused bit in the signature": (lambda: changed_signature(_unused_bit), Reason.TOKEN_ENCODING),
    "a line end after the signature": (lambda: changed_signature(lambda token: token + "\n"), Reason.TOKEN_ENCODING),
    "four segments": (lambda: changed_signature(lambda token: token + ".AAAA"), Reason.TOKEN_MALFORMED),
    "no algorithm": (lambda: of_header(b'{"alg":"none"}'), Reason.ALGORITHM_KEY_MISMATCH),
}
