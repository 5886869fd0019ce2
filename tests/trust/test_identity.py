"""Identities: who a token speaks for, in text that is safe to hand on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.trust.claim_path import MAXIMUM_VALUE_CHARACTERS, MAXIMUM_VALUES, ClaimPath
from sealwright.trust.decision import Verified
from sealwright.trust.identity import IdentityMap


def identity(fields: dict[str, str], claims: dict[str, Any], *required: str) -> dict[str, Any]:
    verified = Verified("https://id.example", "k1", "ES256", claims)
    return IdentityMap(fields, frozenset(required)).identity_of(verified).to_dict()


def refusal(fields: dict[str, str], claims: dict[str, Any], *required: str) -> str:
    with pytest.raises(sw.RejectedError) as caught:
        identity(fields, claims, *required)
    return caught.value.reason


def test_without_a_mapping_it_is_the_subject_and_the_scopes() -> None:
    verified = Verified("i", "k", "ES256", {"sub": "alice", "scope": "read write"})
    assert IdentityMap().identity_of(verified).to_dict() == {
        "issuer": "i", "subject": "alice", "scopes": ["read", "write"],
    }  # fmt: skip


CLAIMS = {
    "sub": "system:serviceaccount:shop:cart",
    "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "cart"}},
    "https://shop.example/roles": ["admin", "reader"],
    "a/b": "slash",
    "a~b": "tilde",
    "tid": "t1",
    "oid": 42,
    "scp": ["read", "write"],
    "scope": "read  write",
    "group": "staff",
    "nothing": None,
}


@pytest.mark.parametrize(
    ("field", "claim", "value"),
    [
        ("name", "kubernetes.io/serviceaccount/name", "cart"),
        ("name", "oid", "42"),
        ("name", "a~1b", "slash"),
        ("name", "a~0b", "tilde"),
        ("tenant", "{tid}:{oid}", "t1:42"),
        ("name", "{kubernetes.io/namespace}/{kubernetes.io/serviceaccount/name}", "shop/cart"),
        ("roles", "https://shop.example/roles", ["admin", "reader"]),
        ("groups", "group", ["staff"]),
        ("scopes", "scp", ["read", "write"]),
        ("scopes", "scope", ["read", "write"]),
    ],
)
def test_a_field_is_what_its_path_or_template_finds(field: str, claim: str, value: Any) -> None:
    assert identity({field: claim}, CLAIMS) == {"issuer": "https://id.example", field: value}


@pytest.mark.parametrize("claim", ["missing", "nothing", "kubernetes.io/pod/name", "{tid}:{missing}", "{missing}"])
def test_what_a_token_lacks_is_left_out_unless_it_is_required(claim: str) -> None:
    assert identity({"name": claim}, CLAIMS) == {"issuer": "https://id.example"}
    assert refusal({"name": claim}, CLAIMS, "name") == "claims.missing"


def test_an_empty_list_is_nothing_either() -> None:
    assert refusal({"roles": "roles"}, {"roles": []}, "roles") == "claims.missing"
    assert identity({"roles": "roles"}, {"roles": []}) == {"issuer": "https://id.example"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (True, "claims.wrong_type"),
        (1.5, "claims.wrong_type"),
        (2**60, "claims.wrong_type"),
        ({"a": 1}, "claims.wrong_type"),
        ([["x"]], "claims.wrong_type"),
        ("a\r\nX-Admin: 1", "claims.malformed"),
        ("a\x00", "claims.malformed"),
        ("\u202eadmin", "claims.malformed"),
        ("a\u2028b", "claims.malformed"),
        ("x" * (MAXIMUM_VALUE_CHARACTERS + 1), "claims.malformed"),
    ],
    ids=repr,
)
def test_what_cannot_be_handed_on_is_rejected(value: Any, reason: str) -> None:
    assert refusal({"name": "n"}, {"n": value}) == ("claims.wrong_type" if isinstance(value, list) else reason)
    assert refusal({"roles": "n"}, {"n": [value]}) == reason
    assert refusal({"name": "{n}:{n}"}, {"n": value}) == ("claims.wrong_type" if isinstance(value, list) else reason)


def test_too_many_values_and_too_long_a_template_are_rejected() -> None:
    assert refusal({"groups": "g"}, {"g": ["x"] * (MAXIMUM_VALUES + 1)}) == "claims.malformed"
    assert refusal({"name": "{n}{n}"}, {"n": "x" * MAXIMUM_VALUE_CHARACTERS}) == "claims.malformed"


def test_a_path_through_what_is_no_object_is_rejected() -> None:
    assert refusal({"name": "sub/name"}, CLAIMS) == "claims.wrong_type"


@pytest.mark.parametrize(
    "fields",
    [
        {"issuer": "iss"}, {"Name": "sub"}, {"name": ""}, {"name": "a//b"}, {"name": "a/"}, {"name": "a~2"},
        {"name": "{sub"}, {"name": "{}"}, {"name": "sub}"}, {"name": "{{sub}}"}, {"roles": "{a}{b}"},
        {"name": "a/b/c/d/e/f/g/h/i"}, {"name": "a\nb"}, {"name": "{a}\n{b}"},
    ],
    ids=str,
)  # fmt: skip
def test_a_mapping_that_means_nothing_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(sw.ConfigurationError):
        IdentityMap(fields)


def test_a_required_field_is_one_of_the_mapping() -> None:
    with pytest.raises(sw.ConfigurationError):
        IdentityMap({"name": "n"}, frozenset({"subject"}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["sub", "scope", "roles", "a", "n"]), JSON))
def test_whatever_the_claims_are_only_bounded_printable_text_comes_out(claims: dict[str, Any]) -> None:
    fields = {"subject": "sub", "scopes": "scope", "roles": "roles", "name": "a/b", "other": "{n}-{sub}"}
    try:
        found = identity(fields, claims)
    except sw.RejectedError:
        return
    for value in found.values():
        for text in value if isinstance(value, list) else [value]:
            assert isinstance(text, str)
            assert text.isprintable()
            assert len(text) <= MAXIMUM_VALUE_CHARACTERS


@given(st.lists(st.text(st.characters(categories=["L", "N", "P"]), min_size=1), min_size=1, max_size=4))
def test_a_path_is_written_as_it_is_read(names: list[str]) -> None:
    path = ClaimPath(tuple(names))
    assert ClaimPath.parse(str(path)) == path or str(path).startswith("http")
