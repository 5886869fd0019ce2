"""JSON objects with unique names, finite numbers, valid text and bounded depth (RFC 8259, RFC 7493)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from sealwright.errors import Reason, RejectedError

MAX_DEPTH = 32

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_OPENING = frozenset(b"[{")
_CLOSING = frozenset(b"]}")


def parse_object(data: bytes, *, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """The members of one JSON object. Raises RejectedError ``json.*``."""
    _check_depth(data, max_depth)
    try:
        text = data.decode("utf-8")
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # refuses lone surrogates
    except (ValueError, RecursionError):
        raise RejectedError(Reason.JSON_MALFORMED, "not a valid JSON text") from None
    if not isinstance(value, dict):
        raise RejectedError(Reason.JSON_MALFORMED, "the JSON text is not an object")
    return value


def encode_object(members: Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON. Raises RejectedError ``json.malformed`` for what JSON cannot carry."""
    try:
        text = json.dumps(members, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        raise RejectedError(Reason.JSON_MALFORMED, "a value cannot be written as JSON") from None


def _check_depth(data: bytes, max_depth: int) -> None:
    if data.count(b"[") + data.count(b"{") <= max_depth:
        return
    depth = 0
    for byte in _STRING.sub(b"", data):
        if byte in _OPENING:
            depth += 1
            if depth > max_depth:
                raise RejectedError(Reason.JSON_TOO_DEEP, f"JSON is nested deeper than {max_depth} levels")
        elif byte in _CLOSING:
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise RejectedError(Reason.JSON_DUPLICATE_NAME, "a JSON object names a member twice")
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("the number is out of range")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
