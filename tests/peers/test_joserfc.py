"""Ours under joserfc and joserfc's under ours, for every algorithm and form that both know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import joserfc.errors
import joserfc.jwk
import joserfc.jws
import pytest
from agreement import (
    PARTS,
    Difference,
    Part,
    Seen,
    Signing,
    Stands,
    cases,
    check_both_refuse_a_flipped_bit,
    check_cannot,
    check_peer_verifies_ours,
    check_we_verify_the_peers,
    rows,
)
from forms import TEXT, URL_SAFE, Form, contents, few
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # EdDSA is an older name

TABLE = (
    Difference(Stands.LACKS, "ML-DSA-44", "joserfc has no ML-DSA"),
    Difference(Stands.LACKS, "ML-DSA-65", "joserfc has no ML-DSA"),
    Difference(Stands.LACKS, "ML-DSA-87", "joserfc has no ML-DSA"),
    *(
        Difference(Stands.CANNOT_VERIFY, str(Form(json, True, b64)), "detached content only in the compact form")
        for json in ("flattened", "general")
        for b64 in (True, False)
    ),
)


class Joserfc:
    refusals = (joserfc.errors.JoseError, ValueError, KeyError)

    def sign(self, form: Form, payload: bytes, signing: Sequence[Signing]) -> str:
        registry = registry_of(one.protected["alg"] for one in signing)
        keys = [imported(json.dumps(one.key)) for one in signing]
        if form.serialization == "compact":
            text = joserfc.jws.serialize_compact(signing[0].protected, payload, keys[0], registry=registry)
            return joserfc.jws.detach_content(text) if form.detached else text
        members = [{"protected": one.protected, "header": one.unprotected} for one in signing]
        asked: Any = members if form.serialization == "general" else members[0]
        written = joserfc.jws.serialize_json(asked, payload, joserfc.jwk.KeySet(keys), registry=registry)
        return json.dumps(joserfc.jws.detach_content(written) if form.detached else written)

    def verify(self, form: Form, text: str, payload: bytes, keys: Sequence[dict[str, Any]]) -> Seen:
        registry = registry_of(one["alg"] for one in keys)
        known = [imported(json.dumps(one)) for one in keys]
        if form.serialization == "compact":
            given = payload if form.detached else None
            compact = joserfc.jws.deserialize_compact(text, known[0], registry=registry, payload=given)
            return Seen(compact.payload, [compact.headers()])
        signed = joserfc.jws.deserialize_json(json.loads(text), joserfc.jwk.KeySet(known), registry=registry)
        members = signed.members if form.serialization == "general" else [signed.member]
        return Seen(signed.payload, [member.headers() for member in members])


@cache
def imported(jwk: str) -> Any:
    """A key is imported once: the numbers of a private RSA key are checked each time, which is slow."""
    return joserfc.jwk.import_key(json.loads(jwk))


def registry_of(algorithms: Any) -> joserfc.jws.JWSRegistry:
    return joserfc.jws.JWSRegistry(algorithms=list(algorithms), strict_check_header=False)


PEER = Joserfc()


@pytest.mark.parametrize(("form", "name"), cases(TABLE, Stands.CANNOT_VERIFY))
@given(data=st.data())
@few
def test_joserfc_verifies_ours(form: Form, name: str, data: st.DataObject) -> None:
    check_peer_verifies_ours(PEER, form, name, data.draw(contents(form)))


@pytest.mark.parametrize(("form", "name"), cases(TABLE, Stands.CANNOT_SIGN))
@given(data=st.data())
@few
def test_we_verify_joserfcs(form: Form, name: str, data: st.DataObject) -> None:
    content = contents(form, compact=URL_SAFE, detached=TEXT.map(str.encode))
    check_we_verify_the_peers(PEER, form, name, data.draw(content))


@pytest.mark.parametrize(("form", "name"), cases(TABLE, Stands.CANNOT_VERIFY))
@given(data=st.data(), part=st.sampled_from(PARTS), place=st.integers(0, 2**16))
@few
def test_both_refuse_a_flipped_bit(form: Form, name: str, data: st.DataObject, part: Part, place: int) -> None:
    check_both_refuse_a_flipped_bit(PEER, form, name, data.draw(contents(form)), part, place)


@pytest.mark.parametrize("row", rows(TABLE, Stands.LACKS, Stands.CANNOT_SIGN, Stands.CANNOT_VERIFY))
def test_what_joserfc_cannot_do_it_truly_cannot(row: Difference) -> None:
    check_cannot(PEER, row)
