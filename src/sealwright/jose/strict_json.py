"""JSON objects with unique names, finite numbers, valid text and bounded depth (RFC 8259, RFC 7493).

The standard library reads and writes them, and sets the rules. Where orjson is installed it takes the plain cases,
and only when it proves that the rules could not have answered otherwise; everything else goes the thorough way.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from sealwright.errors import Reason, RejectedError

try:
    import orjson
except ImportError:  # the extra "fast"
    orjson = None  # type: ignore[assignment]

MAX_DEPTH = 32

# A text that is never closed matches up to its end: were it tried again from each of its escaped quotes, the time would
# grow with the square of the size. The decoder refuses such a text later.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_OPENING = frozenset(b"[{")
_CLOSING = frozenset(b"]}")
_SPACE = " \t\n\r"
_ATOMS = frozenset({str, int, bool, type(None)})  # floats are left out: the two libraries write some differently


def parse_object(data: bytes, *, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """The members of one JSON object. Raises RejectedError ``json.*``."""
    if data.count(b"[") + data.count(b"{") > max_depth:
        _check_depth(data, max_depth)
    if orjson is not None:
        # orjson keeps the last of two equal names; that writing gives the same bytes again proves there were none.
        try:
            value = orjson.loads(data)
        except ValueError:
            value = None
        if type(value) is dict and orjson.dumps(value) == data:
            return value
    return parse_thoroughly(data)


def parse_thoroughly(data: bytes) -> dict[str, Any]:
    """``parse_object`` without its shortcut and without its depth limit."""
    try:
        text = data.decode("utf-8")
        stripped = text.strip(_SPACE)
        value, end = _scan(stripped, 0)
        if end != len(stripped):
            raise ValueError("something follows the value")
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # refuses lone surrogates
    except (ValueError, RecursionError, StopIteration):
        raise RejectedError(Reason.JSON_MALFORMED, "not a valid JSON text") from None
    if not isinstance(value, dict):
        raise RejectedError(Reason.JSON_MALFORMED, "the JSON text is not an object")
    return value


def encode_object(members: Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON that ``parse_object`` reads. Raises RejectedError ``json.*`` for what JSON cannot carry."""
    return _encode_plain(members) or encode_thoroughly(members)


def encode_thoroughly(members: Mapping[str, Any]) -> bytes:
    """``encode_object`` without its shortcut."""
    try:
        text = json.dumps(members, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        data = text.encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        raise RejectedError(Reason.JSON_MALFORMED, "a value cannot be written as JSON") from None
    parse_object(data)  # what a reader would refuse is not written
    return data


def _encode_plain(members: Mapping[str, Any]) -> bytes | None:
    """Only what both libraries write alike, and only far from the depth limit."""
    if orjson is None or type(members) is not dict:
        return None
    try:
        data = orjson.dumps(members) if _is_plain(members) else b""
    except (TypeError, RecursionError):
        return None
    return data if data.count(b"[") + data.count(b"{") <= MAX_DEPTH else None


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind in _ATOMS:
        return True
    inner = value.values() if kind is dict else value
    return kind in (dict, list) and (_ATOMS.issuperset(map(type, inner)) or all(map(_is_plain, inner)))


def _check_depth(data: bytes, max_depth: int) -> None:
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


_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
).scan_once  # type: ignore[attr-defined]
