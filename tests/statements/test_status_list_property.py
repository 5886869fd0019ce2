"""Status lists: whatever is put in comes out, and whatever arrives is read or refused in our own words."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url, strict_json
from sealwright.statements import status_list
from sealwright.statements.status_list import Reference, decode, encode, pack, parse_reference, parse_statement

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
CLAIMS = {"sub": "https://id.example/1", "iat": 1, "exp": 9, "ttl": 5}


def read_or(expected: Reason, read: Callable[..., Any], *given: Any) -> Any:
    """What was read, or None where it was refused for this reason."""
    refusal = None
    try:
        return read(*given)
    except RejectedError as error:
        refusal = error.reason
    assert refusal == expected
    return None


def compressed(data: bytes) -> str:
    return base64url.encode_text(zlib.compress(data))


@given(st.data(), st.sampled_from([1, 2, 4, 8]), st.integers(1, 100))
def test_what_is_packed_is_read_again_at_every_index(data: st.DataObject, bits: int, octets: int) -> None:
    size = octets * 8 // bits
    if size % 8:
        size += 8 - size % 8
    statuses = st.integers(0, 2**bits - 1)
    changed = data.draw(st.dictionaries(st.integers(0, size - 1), statuses, max_size=20))
    read = decode(strict_json.parse_object(strict_json.encode_object(encode(pack(changed, size=size, bits=bits)))))
    assert len(read) == size
    assert [read.status(index) for index in range(size)] == [changed.get(index, 0) for index in range(size)]
    for beyond in (-1, size, 2**53):
        with pytest.raises(RejectedError) as caught:
            read.status(beyond)
        assert caught.value.reason == Reason.CLAIMS_MALFORMED


@given(st.dictionaries(st.sampled_from(["sub", "iat", "exp", "ttl", "status_list"]), JSON))
def test_claims_of_any_kind_are_read_or_refused(claims: dict[str, Any]) -> None:
    for changed in (claims, {**CLAIMS, "status_list": encode(pack({}, size=8, bits=1)), **claims}):
        said = read_or(Reason.STATEMENT_MALFORMED, parse_statement, changed)
        assert said is None or (said.uri == changed["sub"] and said.statuses.bits in (1, 2, 4, 8))


@given(JSON, JSON, JSON)
def test_references_of_any_kind_are_read_or_refused(status: Any, idx: Any, uri: Any) -> None:
    for claim in (status, {"status_list": status}, {"status_list": {"idx": idx, "uri": uri}}):
        found = read_or(Reason.CLAIMS_WRONG_TYPE, parse_reference, {"status": claim})
        assert found is None or claim == {"status_list": {"idx": found.index, "uri": found.uri}}


def test_a_token_without_a_list_names_none() -> None:
    assert parse_reference({}) is None
    assert parse_reference({"status": {"other_mechanism": 1}}) is None
    reference = Reference("https://id.example/1", 7)
    assert parse_reference({"status": status_list.reference_claim(reference)}) == reference


@pytest.mark.parametrize(
    "lst",
    [
        compressed(b"\0" * (status_list.MAXIMUM_INFLATED_BYTES + 1)),
        base64url.encode_text(zlib.compress(b"\0" * 64)[:-3]),
        base64url.encode_text(zlib.compress(b"\0") + b"more"),
        compressed(b""),
        base64url.encode_text(b"plain"),
        compressed(b"\0") + "=",
        "",
        5,
        None,
    ],
)
def test_a_list_that_is_a_bomb_cut_short_padded_or_no_list_is_refused(lst: object) -> None:
    with pytest.raises(RejectedError) as caught:
        decode({"bits": 1, "lst": lst})
    assert caught.value.reason == Reason.STATEMENT_MALFORMED


@pytest.mark.parametrize("bits", [0, 3, 16, -1, True, 1.0, "1", None])
def test_other_sizes_than_1_2_4_and_8_bits_are_refused(bits: object) -> None:
    with pytest.raises(RejectedError):
        decode({"bits": bits, "lst": compressed(b"\0")})


def test_a_list_as_large_as_allowed_is_read() -> None:
    assert len(decode({"bits": 1, "lst": compressed(b"\1" * 1000)}, maximum_bytes=1000)) == 8000
