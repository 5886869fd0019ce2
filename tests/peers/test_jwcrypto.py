"""Ours under jwcrypto and jwcrypto's under ours, for every algorithm and form that both know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import jwcrypto.common
import jwcrypto.jwk
import jwcrypto.jws
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
from forms import Form, contents, few
from hypothesis import given
from hypothesis import strategies as st

TABLE = (
    Difference(
        Stands.CANNOT_VERIFY,
        "compact-unencoded",
        "jwcrypto decodes the payload of a compact token as base64url whatever b64 says, its own output too",
    ),
)


class Jwcrypto:
    refusals = (jwcrypto.common.JWException, ValueError)

    def sign(self, form: Form, payload: bytes, signing: Sequence[Signing]) -> str:
        text = not form.b64 and not form.detached  # it is written into JSON as it is given
        signed = jwcrypto.jws.JWS(payload.decode() if text else payload)
        for one in signing:
            key, alg = imported(json.dumps(one.key)), one.protected["alg"]
            signed.add_signature(key, alg, json.dumps(one.protected), json.dumps(one.unprotected) or None)
        if form.detached:
            signed.detach_payload()
        return str(signed.serialize(compact=form.serialization == "compact"))

    def verify(self, form: Form, text: str, payload: bytes, keys: Sequence[dict[str, Any]]) -> Seen:
        signed = jwcrypto.jws.JWS()
        signed.allowed_algs = [one["alg"] for one in keys]
        signed.deserialize(text)
        for index, one in enumerate(keys):
            signed.verify(imported(json.dumps(one)), detached_payload=payload if form.detached else None)
            if signed.verifylog[index] != "Success":  # it is content with any signature
                raise jwcrypto.jws.InvalidJWSSignature(signed.verifylog[index])
        content = payload if form.detached else signed.payload
        headers = signed.jose_header if form.serialization == "general" else [signed.jose_header]
        return Seen(content.encode() if isinstance(content, str) else content, headers)


@cache
def imported(jwk: str) -> jwcrypto.jwk.JWK:
    return jwcrypto.jwk.JWK.from_json(jwk)


PEER = Jwcrypto()


@pytest.mark.parametrize(("form", "name"), cases(TABLE, Stands.CANNOT_VERIFY))
@given(data=st.data())
@few
def test_jwcrypto_verifies_ours(form: Form, name: str, data: st.DataObject) -> None:
    check_peer_verifies_ours(PEER, form, name, data.draw(contents(form)))


@pytest.mark.parametrize(("form", "name"), cases(TABLE, Stands.CANNOT_SIGN))
@given(data=st.data())
@few
def test_we_verify_jwcryptos(form: Form, name: str, data: st.DataObject) -> None:
    check_we_verify_the_peers(PEER, form, name, data.draw(contents(form)))


@pytest.mark.parametrize(("form", "name"), cases(TABLE, Stands.CANNOT_VERIFY))
@given(data=st.data(), part=st.sampled_from(PARTS), place=st.integers(0, 2**16))
@few
def test_both_refuse_a_flipped_bit(form: Form, name: str, data: st.DataObject, part: Part, place: int) -> None:
    check_both_refuse_a_flipped_bit(PEER, form, name, data.draw(contents(form)), part, place)


@pytest.mark.parametrize("row", rows(TABLE, Stands.LACKS, Stands.CANNOT_SIGN, Stands.CANNOT_VERIFY))
def test_what_jwcrypto_cannot_do_it_truly_cannot(row: Difference) -> None:
    check_cannot(PEER, row)
