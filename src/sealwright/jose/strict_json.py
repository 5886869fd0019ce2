"""JSON objects with unique names, finite numbers, valid text and bounded depth (RFC 8259, RFC 7493).

The standard library reads and writes them, and sets the rules. Where orjson is installed it takes the plain cases,
and only when it proves that the rules could not have answered otherwise; everything else goes the thorough way.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from sealwright.errors import Reason, RejectedError

try:
    import orjson
except ImportError:  # without the extra "fast" nothing is plain
    _loads: Callable[[bytes], Any] | None = None
else:
    _loads, _dumps = orjson.loads, orjson.dumps

MAX_DEPTH = 32
ANSWER_DEPTH = MAX_DEPTH + 2  # what was read may stand in an answer about it

# A text that is never closed matches up to its end: were it tried again from each of its escaped quotes, the time would
# grow with the square of the size. The decoder refuses such a text later.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_OPENING = frozenset(b"[{")
_CLOSING = frozenset(b"]}")
_SPACE = " \t\n\r"
_PLAIN_DEPTH = 4
_CONTAINERS = frozenset({list, dict})
_ATOMS = frozenset({str, int, bool, type(None)})  # floats are left out: the two libraries write some differently


def parse_object(data: bytes, *, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """The members of one JSON object. Raises RejectedError ``json.*``."""
    if data.count(b"[") + data.count(b"{") > max_depth:
        _check_depth(data, max_depth)
    try:
        value = _loads(data) if _loads is not None else None
        # orjson keeps the last of two equal names; that writing gives the same bytes again proves there were none.
        if type(value) is dict and _dumps(value) == data:
            return value
    except ValueError:
        pass
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


def encode_object(members: Mapping[str, Any], *, max_depth: int = MAX_DEPTH) -> bytes:
    """Compact UTF-8 JSON that ``parse_object`` reads. Raises RejectedError ``json.*`` for what JSON cannot carry."""
    return _encode_plain(members) or encode_thoroughly(members, max_depth=max_depth)


def encode_thoroughly(members: Mapping[str, Any], *, max_depth: int = MAX_DEPTH) -> bytes:
    """``encode_object`` without its shortcut."""
    try:
        _check_names(members)
        text = json.dumps(members, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        data = text.encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        raise RejectedError(Reason.JSON_MALFORMED, "a value cannot be written as JSON") from None
    parse_object(data, max_depth=max_depth)  # what a reader would refuse is not written
    return data


def _encode_plain(members: Mapping[str, Any]) -> bytes | None:
    """Only what both libraries write alike."""
    if _loads is None or type(members) is not dict or not _is_plain(members.values(), _PLAIN_DEPTH):
        return None
    try:
        return _dumps(members)
    except TypeError:  # a name that is no text, or an integer of more than 64 bits
        return None


def _is_plain(inner: Iterable[Any], depth: int) -> bool:
    for value in inner:
        kind = type(value)
        if kind in _ATOMS:
            continue
        if depth == 0 or kind not in _CONTAINERS:
            return False
        if not _is_plain(value if kind is list else value.values(), depth - 1):
            return False
    return True


def _check_names(value: Any) -> None:
    """The library would write the name 1 as "1"."""
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("a name is not text")
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for inner in value:
        _check_names(inner)


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
