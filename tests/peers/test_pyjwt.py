"""Ours under PyJWT and PyJWT's under ours, for every algorithm and form that both know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import jwt
import pytest
from agreement import (
    FLIPS,
    Difference,
    Flip,
    Seen,
    Signing,
    Stands,
    cases,
    check_both_refuse_a_flipped_bit,
    check_cannot,
    check_peer_verifies_ours,
    check_probe,
    check_we_verify_the_peers,
    laxer,
    rows,
)
from forms import CLAIMS, FORMS, KEYS, Form, contents, few, key, private, verifying
from hypothesis import given
from hypothesis import strategies as st
from keys_and_claims import (
    AUDIENCE,
    ISSUER,
    KINDS,
    check_a_secret,
    check_claims,
    check_jwk_both_ways,
    check_peer_reads_our_pem,
)
from probes import PROBES

import sealwright as sw

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
    *laxer("crit is a list of what is known and present, and that is all", "crit that repeats a name"),
    *laxer("only b64 false must be listed in crit", "b64 without crit"),
    *laxer("whatever is not false counts as true", "b64 that is text"),
    *laxer("the JSON of the standard library as it comes", "alg given twice", "NaN in the header"),
    *laxer("see the JSON", "a lone surrogate in the header", "a header deeper than 32 levels"),
    *laxer("only kid is looked at for its type", "typ that is no text"),
    *laxer("a key that is given alone is used whatever the token names", "the kid of another key"),
    *laxer("AWS ALB pads", "padding after the signature"),
)
CLAIMED = [name for name in KEYS if name not in {row.about for row in TABLE}]
# PyJWT has neither thumbprints nor a call that makes keys or writes PEM.
KINDS_OF_PYJWT = [name for name in KINDS if name not in ("Ed25519", "Ed448") and not name.startswith("ML-DSA")]


class PyJWT:
    refusals: tuple[type[Exception], ...] = (jwt.PyJWTError, NotImplementedError)

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

    def sign_claims(self, claims: dict[str, Any], alg: str, jwk: dict[str, Any]) -> str:
        return jwt.encode(claims, imported(json.dumps(jwk)), algorithm=alg)

    def read_claims(self, token: str, alg: str, jwk: dict[str, Any]) -> dict[str, Any]:
        key = imported(json.dumps(jwk))
        return dict(jwt.decode(token, key, algorithms=[alg], audience=AUDIENCE, issuer=ISSUER))

    def rewritten(self, jwk: dict[str, Any], *, private: bool) -> dict[str, Any]:
        read = imported(json.dumps(jwk))
        return dict(read.Algorithm.to_jwk(read.key, as_dict=True))

    def read_pem(self, pem: bytes, alg: str, *, private: bool, password: str | None) -> dict[str, Any]:
        algorithm = jwt.PyJWS().get_algorithm_by_name(alg)
        return dict(algorithm.to_jwk(algorithm.prepare_key(pem), as_dict=True))


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
@given(data=st.data(), flip=FLIPS)
@few
def test_both_refuse_a_flipped_bit(form: Form, name: str, data: st.DataObject, flip: Flip) -> None:
    check_both_refuse_a_flipped_bit(PEER, form, name, data.draw(contents(form)), flip)


@pytest.mark.parametrize("row", rows(TABLE, Stands.LACKS, Stands.CANNOT_SIGN, Stands.CANNOT_VERIFY))
def test_what_pyjwt_cannot_do_it_truly_cannot(row: Difference) -> None:
    check_cannot(PEER, row)


@pytest.mark.parametrize("probe", PROBES)
def test_we_refuse_each_probe_and_pyjwt_those_that_its_table_does_not_name(probe: str) -> None:
    check_probe(PEER, TABLE, probe)


@pytest.mark.parametrize("name", KINDS_OF_PYJWT)
def test_a_jwk_goes_to_pyjwt_and_comes_back(name: str) -> None:
    check_jwk_both_ways(PEER, name)


@pytest.mark.parametrize("name", KINDS_OF_PYJWT)
def test_pyjwt_reads_our_pem(name: str) -> None:
    check_peer_reads_our_pem(PEER, name, None)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@given(secret=st.binary(min_size=64, max_size=128))
@few
def test_any_bytes_are_a_secret_to_pyjwt_as_to_us(alg: str, secret: bytes) -> None:
    check_a_secret(PEER, alg, secret)


@pytest.mark.parametrize("name", CLAIMED)
@given(claims=CLAIMS)
@few
def test_claims_read_the_same_under_pyjwt_and_under_us(name: str, claims: dict[str, Any]) -> None:
    check_claims(PEER, name, claims)


@pytest.mark.parametrize("curve", ["Ed25519", "Ed448"])
def test_a_token_of_pyjwt_under_the_older_name_is_verified_by_a_key_of_the_newer(curve: str) -> None:
    jwk = {**private(key(curve)), "alg": "EdDSA"}
    token = PEER.sign(Form("compact"), b"content", [Signing(jwk, {"alg": "EdDSA"}, {})])
    assert sw.verify_signature(token, verifying(key(curve))).payload == b"content"
