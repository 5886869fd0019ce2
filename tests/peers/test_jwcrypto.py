"""Ours under jwcrypto and jwcrypto's under ours, for every algorithm and form that both know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import jwcrypto.common
import jwcrypto.jwk
import jwcrypto.jws
import jwcrypto.jwt
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
from forms import CLAIMS, KEYS, Form, contents, few
from hypothesis import given
from hypothesis import strategies as st
from keys_and_claims import (
    AUDIENCE,
    ISSUER,
    KINDS,
    PASSWORDS,
    check_a_key_of_the_peers,
    check_a_secret,
    check_claims,
    check_jwk_both_ways,
    check_peer_reads_our_pem,
    check_we_read_the_peers_pem,
)
from probes import PROBES

import sealwright as sw

TABLE = (
    Difference(
        Stands.CANNOT_VERIFY,
        "compact-unencoded",
        "jwcrypto decodes the payload of a compact token as base64url whatever b64 says, its own output too",
    ),
    *laxer("crit must name what is known and present, and that is all", "crit that is empty"),
    *laxer("see the empty crit", "crit of a registered name", "crit that repeats a name"),
    *laxer("crit is asked for when signing, not when verifying", "b64 without crit", "b64 false without crit"),
    *laxer("the JSON of the standard library as it comes", "alg given twice", "NaN in the header"),
    *laxer("see the JSON", "a lone surrogate in the header", "a header deeper than 32 levels"),
    *laxer("the types of members are not looked at", "typ that is no text", "kid that is no text"),
    *laxer("a key that is given alone is used whatever the token names", "the kid of another key"),
    *laxer("RFC 7515 allows it", "alg that is not protected"),
    *laxer("signatures decides, and the other members are not looked at", "general and flattened form mixed"),
    *laxer("base64 of the standard library", "padding after the signature", "an unused bit in the signature"),
)
CLAIMED = [name for name in KEYS if name not in {row.about for row in TABLE}]


class Jwcrypto:
    refusals: tuple[type[Exception], ...] = (jwcrypto.common.JWException, ValueError)

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

    def sign_claims(self, claims: dict[str, Any], alg: str, jwk: dict[str, Any]) -> str:
        token = jwcrypto.jwt.JWT(header={"alg": alg}, claims=claims)
        token.make_signed_token(imported(json.dumps(jwk)))
        return str(token.serialize())

    def read_claims(self, token: str, alg: str, jwk: dict[str, Any]) -> dict[str, Any]:
        asked = {"iss": ISSUER, "aud": AUDIENCE}
        seen = jwcrypto.jwt.JWT(jwt=token, key=imported(json.dumps(jwk)), algs=[alg], check_claims=asked)
        return dict(json.loads(seen.claims))

    def rewritten(self, jwk: dict[str, Any], *, private: bool) -> dict[str, Any]:
        return dict(imported(json.dumps(jwk)).export(private_key=private, as_dict=True))

    def generated(self, alg: str) -> dict[str, Any]:
        members = sw.PrivateJWK.generate(alg).public.to_dict()  # for its kty and its curve
        asked = {name: members[name] for name in ("kty", "crv", "alg", "use") if name in members}
        return dict(jwcrypto.jwk.JWK.generate(**asked).export(as_dict=True))

    def thumbprint(self, jwk: dict[str, Any]) -> str:
        return str(imported(json.dumps(jwk)).thumbprint())

    def read_pem(self, pem: bytes, alg: str, *, private: bool, password: str | None) -> dict[str, Any]:
        read = jwcrypto.jwk.JWK.from_pem(pem, None if password is None else password.encode())
        return dict(read.export(private_key=private, as_dict=True))

    def write_pem(self, jwk: dict[str, Any], *, private: bool, password: str | None) -> bytes:
        secret = None if password is None else password.encode()
        return bytes(imported(json.dumps(jwk)).export_to_pem(private_key=private, password=secret))


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
@given(data=st.data(), flip=FLIPS)
@few
def test_both_refuse_a_flipped_bit(form: Form, name: str, data: st.DataObject, flip: Flip) -> None:
    check_both_refuse_a_flipped_bit(PEER, form, name, data.draw(contents(form)), flip)


@pytest.mark.parametrize("row", rows(TABLE, Stands.LACKS, Stands.CANNOT_SIGN, Stands.CANNOT_VERIFY))
def test_what_jwcrypto_cannot_do_it_truly_cannot(row: Difference) -> None:
    check_cannot(PEER, row)


@pytest.mark.parametrize("probe", PROBES)
def test_we_refuse_each_probe_and_jwcrypto_those_that_its_table_does_not_name(probe: str) -> None:
    check_probe(PEER, TABLE, probe)


@pytest.mark.parametrize("name", KINDS)
def test_a_jwk_goes_to_jwcrypto_and_comes_back(name: str) -> None:
    check_jwk_both_ways(PEER, name)


@pytest.mark.parametrize("name", KINDS)
def test_a_key_made_by_jwcrypto_is_ours_with_the_same_thumbprint(name: str) -> None:
    check_a_key_of_the_peers(PEER, name)


@pytest.mark.parametrize("name", KINDS)
@given(password=PASSWORDS)
@few
def test_jwcrypto_reads_our_pem(name: str, password: str | None) -> None:
    check_peer_reads_our_pem(PEER, name, password)


@pytest.mark.parametrize("name", KINDS)
@given(password=PASSWORDS)
@few
def test_we_read_the_pem_of_jwcrypto(name: str, password: str | None) -> None:
    check_we_read_the_peers_pem(PEER, name, password)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@given(secret=st.binary(min_size=64, max_size=128))
@few
def test_any_bytes_are_a_secret_to_jwcrypto_as_to_us(alg: str, secret: bytes) -> None:
    check_a_secret(PEER, alg, secret)


@pytest.mark.parametrize("name", CLAIMED)
@given(claims=CLAIMS)
@few
def test_claims_read_the_same_under_jwcrypto_and_under_us(name: str, claims: dict[str, Any]) -> None:
    check_claims(PEER, name, claims)
