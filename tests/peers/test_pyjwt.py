"""Ours under PyJWT and PyJWT's under ours, for every algorithm and form that both know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import jwt
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
from forms import FORMS, Form, contents, few
from hypothesis import given
from hypothesis import strategies as st

COMPACT_ONLY = "PyJWT has the compact serialization only"
DETACHED = "PyJWT detaches content exactly when it is unencoded (b64 false), and never otherwise"
TABLE = (
    *(Difference(Stands.LACKS, f"ML-DSA-{size}", "PyJWT has no ML-DSA") for size in (44, 65, 87)),
    *(Difference(Stands.LACKS, name, "PyJWT knows only the older name, EdDSA") for name in ("Ed25519", "Ed448")),
    *(
        Difference(stands, str(form), COMPACT_ONLY)
        for stands in (Stands.CANNOT_SIGN, Stands.CANNOT_VERIFY)
        for form in FORMS
        if form.serialization != "compact"
    ),
    *(
        Difference(stands, form, DETACHED)
        for stands in (Stands.CANNOT_SIGN, Stands.CANNOT_VERIFY)
        for form in ("compact-detached", "compact-unencoded")
    ),
)


class PyJWT:
    refusals = (jwt.PyJWTError, NotImplementedError)

    def sign(self, form: Form, payload: bytes, signing: Sequence[Signing]) -> str:
        if form.serialization != "compact":
            raise NotImplementedError(COMPACT_ONLY)
        (one,) = signing
        headers = {"typ": None, **one.protected}  # otherwise it writes "JWT"
        alg, detached = one.protected["alg"], form.detached
        key = imported(json.dumps(one.key))
        return jwt.PyJWS().encode(payload, key, algorithm=alg, headers=headers, is_payload_detached=detached)

    def verify(self, form: Form, text: str, payload: bytes, keys: Sequence[dict[str, Any]]) -> Seen:
        key, given = imported(json.dumps(keys[0])), payload if form.detached else None
        seen = jwt.PyJWS().decode_complete(text, key, algorithms=[keys[0]["alg"]], detached_payload=given)
        return Seen(seen["payload"], [seen["header"]])


@cache
def imported(jwk: str) -> jwt.PyJWK:
    return jwt.PyJWK.from_json(jwk)


PEER = PyJWT()


@pytest.mark.parametrize(("form", "name"), cases(TABLE, Stands.CANNOT_VERIFY))
@given(data=st.data())
@few
def test_pyjwt_verifies_ours(form: Form, name: str, data: st.DataObject) -> None:
    check_peer_verifies_ours(PEER, form, name, data.draw(contents(form)))


@pytest.mark.parametrize(("form", "name"), cases(TABLE, Stands.CANNOT_SIGN))
@given(data=st.data())
@few
def test_we_verify_pyjwts(form: Form, name: str, data: st.DataObject) -> None:
    check_we_verify_the_peers(PEER, form, name, data.draw(contents(form)))


@pytest.mark.parametrize(("form", "name"), cases(TABLE, Stands.CANNOT_VERIFY))
@given(data=st.data(), part=st.sampled_from(PARTS), place=st.integers(0, 2**16))
@few
def test_both_refuse_a_flipped_bit(form: Form, name: str, data: st.DataObject, part: Part, place: int) -> None:
    check_both_refuse_a_flipped_bit(PEER, form, name, data.draw(contents(form)), part, place)


@pytest.mark.parametrize("row", rows(TABLE, Stands.LACKS, Stands.CANNOT_SIGN, Stands.CANNOT_VERIFY))
def test_what_pyjwt_cannot_do_it_truly_cannot(row: Difference) -> None:
    check_cannot(PEER, row)
