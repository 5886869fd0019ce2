"""base64url and JSON, strict."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.jose import base64url, strict_json


@given(st.binary())
def test_property_what_is_encoded_decodes_to_itself(data: bytes) -> None:
    assert base64url.decode(base64url.encode(data)) == data


@given(st.binary(max_size=40))
def test_property_each_value_has_exactly_one_text(text: bytes) -> None:
    try:
        data = base64url.decode(text)
    except sw.RejectedError:
        return
    assert base64url.encode(data) == text


@pytest.mark.parametrize("text", [b"YQ==", b"YQ=", b"YR", b"Y", b"Y Q", b"YQ\n", b"+/8", b"YQ?", b"\xc3\xa9", b"YWJj."])
def test_padding_trailing_bits_and_foreign_characters_are_refused(text: bytes, refused: Any) -> None:
    refused("token.encoding", base64url.decode, text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "json.malformed"),
        (b"[]", "json.malformed"),
        (b"1", "json.malformed"),
        (b"{", "json.malformed"),
        (b'{"a":1}x', "json.malformed"),
        (b'{"a":NaN}', "json.malformed"),
        (b'{"a":-Infinity}', "json.malformed"),
        (b'{"a":1e400}', "json.malformed"),
        (b'{"a":' + b"9" * 5000 + b"}", "json.malformed"),
        (b'{"a":"\\ud800"}', "json.malformed"),
        (b'{"a":"\xff"}', "json.malformed"),
        (b'\xef\xbb\xbf{"a":1}', "json.malformed"),
        ('{"a":1}'.encode("utf-16"), "json.malformed"),
        ('{"a":1}'.encode("utf-32"), "json.malformed"),
        (b"{'a':1}", "json.malformed"),
        (b'{"a":1,}', "json.malformed"),
        (b'{"a":"\n"}', "json.malformed"),
        (b'{"a":1,"a":1}', "json.duplicate_name"),
        (b'{"a":1,"\\u0061":1}', "json.duplicate_name"),
        (b'{"b":{"a":1,"a":2}}', "json.duplicate_name"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "json.too_deep"),
        (b'{"a":' + b"[" * 100_000, "json.too_deep"),
    ],
)
def test_what_is_not_strict_json_is_refused(text: bytes, reason: str, refused: Any) -> None:
    refused(reason, strict_json.parse_object, text)


def test_brackets_inside_of_texts_are_not_depth() -> None:
    value = "[{" * 500 + '\\"' + "[" * 500
    text = strict_json.encode_object({"a": value})
    assert strict_json.parse_object(text) == {"a": value}


def test_the_depth_of_a_text_that_is_never_closed_is_counted_in_linear_time(refused: Any) -> None:
    opened = b'{"a":[' + b"[]," * 40 + b'"' + b'\\"' * 500_000  # took hours while the time was quadratic
    refused("json.malformed", strict_json.parse_object, opened)


def test_depth_up_to_the_limit_and_many_siblings_are_fine() -> None:
    assert strict_json.parse_object(b'{"a":' * 32 + b"1" + b"}" * 32)
    assert strict_json.parse_object(b'{"a":[' + b"[]," * 200 + b"[]]}")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1, 2}, "\ud800", object()])
def test_what_json_cannot_carry_is_refused_when_writing(value: Any, refused: Any) -> None:
    refused("json.malformed", strict_json.encode_object, {"a": value})


@given(st.binary(max_size=200))
def test_property_any_bytes_parse_or_are_refused(text: bytes) -> None:
    with contextlib.suppress(sw.RejectedError):
        strict_json.parse_object(text)
