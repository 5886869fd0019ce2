"""Ours under joserfc and joserfc's under ours, for every algorithm and form that both know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import joserfc.errors
import joserfc.jwk
import joserfc.jws
import joserfc.jwt
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
    signed_by,
)
from forms import CLAIMS, KEYS, TEXT, URL_SAFE, Content, Form, contents, few, key, verifying
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
    *laxer("crit is held against the members present, not against RFC 7515", "crit that is empty"),
    *laxer("see the empty crit", "crit of a registered name", "crit that repeats a name"),
    *laxer("b64 true is the default, so it is not missed in crit", "b64 without crit"),
    *laxer("the JSON of the standard library as it comes", "alg given twice", "NaN in the header"),
    *laxer("see the JSON", "a lone surrogate in the header", "a header deeper than 32 levels"),
    *laxer("a key that is given alone is used whatever the token names", "the kid of another key"),
    *laxer("RFC 7515 allows it", "alg that is not protected"),
    *laxer("the unprotected header is laid over the protected one", "a member in both headers"),
    *laxer("signatures decides, and the other members are not looked at", "general and flattened form mixed"),
    *laxer("the caller's content is ignored where the token carries its own", "payload carried and given"),
)
CLAIMED = [name for name in KEYS if name not in {row.about for row in TABLE}]
KINDS_OF_JOSERFC = [name for name in KINDS if not name.startswith("ML-DSA")]
KINDS_OF_KEYS = {"RS": "RSA", "ES": "EC", "Ed": "OKP"}


class Joserfc:
    refusals: tuple[type[Exception], ...] = (joserfc.errors.JoseError, ValueError, KeyError)

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

    def sign_claims(self, claims: dict[str, Any], alg: str, jwk: dict[str, Any]) -> str:
        return joserfc.jwt.encode({"alg": alg}, claims, imported(json.dumps(jwk)), algorithms=[alg])

    def read_claims(self, token: str, alg: str, jwk: dict[str, Any]) -> dict[str, Any]:
        decoded = joserfc.jwt.decode(token, imported(json.dumps(jwk)), algorithms=[alg])
        asked: Any = {"iss": {"essential": True, "value": ISSUER}, "aud": {"essential": True, "value": AUDIENCE}}
        joserfc.jwt.JWTClaimsRegistry(**asked).validate(decoded.claims)
        return dict(decoded.claims)

    def rewritten(self, jwk: dict[str, Any], *, private: bool) -> dict[str, Any]:
        return dict(imported(json.dumps(jwk)).as_dict(private=private))

    def generated(self, alg: str) -> dict[str, Any]:
        members = sw.PrivateJWK.generate(alg).public.to_dict()  # for its kty and its curve
        made = joserfc.jwk.generate_key(members["kty"], members.get("crv", 2048), {"use": "sig"}, auto_kid=True)
        return dict(made.as_dict(private=True))

    def thumbprint(self, jwk: dict[str, Any]) -> str:
        return str(imported(json.dumps(jwk)).thumbprint())

    def read_pem(self, pem: bytes, alg: str, *, private: bool, password: str | None) -> dict[str, Any]:
        kind = joserfc.jwk.JWKRegistry.key_types[KINDS_OF_KEYS[alg[:2]]]
        return dict(kind.import_key(pem, password=password).as_dict(private=private))

    def write_pem(self, jwk: dict[str, Any], *, private: bool, password: str | None) -> bytes:
        return bytes(imported(json.dumps(jwk)).as_pem(private=private, password=password))


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
@given(data=st.data(), flip=FLIPS)
@few
def test_both_refuse_a_flipped_bit(form: Form, name: str, data: st.DataObject, flip: Flip) -> None:
    check_both_refuse_a_flipped_bit(PEER, form, name, data.draw(contents(form)), flip)


@pytest.mark.parametrize("row", rows(TABLE, Stands.LACKS, Stands.CANNOT_SIGN, Stands.CANNOT_VERIFY))
def test_what_joserfc_cannot_do_it_truly_cannot(row: Difference) -> None:
    check_cannot(PEER, row)


@pytest.mark.parametrize("probe", PROBES)
def test_we_refuse_each_probe_and_joserfc_those_that_its_table_does_not_name(probe: str) -> None:
    check_probe(PEER, TABLE, probe)


@pytest.mark.parametrize("name", KINDS_OF_JOSERFC)
def test_a_jwk_goes_to_joserfc_and_comes_back(name: str) -> None:
    check_jwk_both_ways(PEER, name)


@pytest.mark.parametrize("name", KINDS_OF_JOSERFC)
def test_a_key_made_by_joserfc_is_ours_with_the_same_thumbprint(name: str) -> None:
    check_a_key_of_the_peers(PEER, name)


@pytest.mark.parametrize("name", KINDS_OF_JOSERFC)
@given(password=PASSWORDS)
@few
def test_joserfc_reads_our_pem(name: str, password: str | None) -> None:
    check_peer_reads_our_pem(PEER, name, password)


@pytest.mark.parametrize("name", KINDS_OF_JOSERFC)
@given(password=PASSWORDS)
@few
def test_we_read_the_pem_of_joserfc(name: str, password: str | None) -> None:
    check_we_read_the_peers_pem(PEER, name, password)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@given(secret=st.binary(min_size=64, max_size=128))
@few
def test_any_bytes_are_a_secret_to_joserfc_as_to_us(alg: str, secret: bytes) -> None:
    check_a_secret(PEER, alg, secret)


@pytest.mark.parametrize("name", CLAIMED)
@given(claims=CLAIMS)
@few
def test_claims_read_the_same_under_joserfc_and_under_us(name: str, claims: dict[str, Any]) -> None:
    check_claims(PEER, name, claims)


def test_joserfc_signs_unencoded_content_only_where_it_is_text() -> None:
    with pytest.raises(UnicodeDecodeError):
        signed_by(PEER, Form("compact", detached=True, b64=False), "HS256", Content(b"\xff"))


def test_joserfc_detaches_unencoded_content_that_is_not_url_safe_without_being_asked() -> None:
    token = signed_by(PEER, Form("compact", b64=False), "HS256", Content(b"a b"))
    assert ".." in token


def test_a_line_end_that_joserfc_lets_into_a_compact_token_is_refused() -> None:
    token = signed_by(PEER, Form("compact", b64=False), "HS256", Content(b"abc\n"))
    with pytest.raises(sw.RejectedError) as refused:
        sw.verify_signature(token, verifying(key("HS256")))
    assert refused.value.reason == sw.Reason.PAYLOAD_CHARACTERS
