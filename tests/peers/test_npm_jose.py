"""Ours under npm jose and npm jose's under ours, for every algorithm and form that both know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import npm_jose
import pytest
from agreement import (
    FLIPS,
    Difference,
    Flip,
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
from forms import CLAIMS, ED448_BY_ITS_OLD_NAME, KEYS, Content, Form, contents, few, key, public, sign_ours, verify_ours
from hypothesis import given
from hypothesis import strategies as st
from keys_and_claims import (
    KINDS,
    check_a_key_of_the_peers,
    check_a_secret,
    check_claims,
    check_jwk_both_ways,
    check_peer_reads_our_pem,
    check_we_read_the_peers_pem,
)
from npm_jose import NodeRefusedError, NpmJose
from probes import PROBES

NOT_IN_WEB_CRYPTO = "npm jose 6 has what the Web Cryptography API has, and this is not in it"
TABLE = (
    *(Difference(Stands.LACKS, name, NOT_IN_WEB_CRYPTO) for name in ("ES256K", "Ed448", ED448_BY_ITS_OLD_NAME)),
    Difference(Stands.CANNOT_SIGN, "compact-unencoded", "npm jose refuses to write b64 false in compact form"),
    *laxer("crit is a list of what is known and present, and that is all", "crit that repeats a name"),
    *laxer("b64 counts only where crit names it", "b64 without crit", "b64 false without crit, over encoded content"),
    *laxer("the JSON of the language as it comes", "alg given twice", "a lone surrogate in the header"),
    *laxer("see the JSON", "a header deeper than 32 levels"),
    *laxer("the types of members are looked at where they are used", "typ that is no text", "kid that is no text"),
    *laxer("a key that is given alone is used whatever the token names", "the kid of another key"),
    *laxer("RFC 7515 allows it", "alg that is not protected"),
    *laxer("the caller chooses the form, and its other members are not looked at", "general and flattened form mixed"),
    *laxer("the caller puts detached content in the place of whatever is carried", "payload carried and given"),
    *laxer("base64 of the language", "padding after the signature", "an unused bit in the signature"),
    *laxer("see base64", "a line end after the signature"),
)
CLAIMED = [name for name in KEYS if name not in {row.about for row in TABLE}]
KINDS_OF_NPM_JOSE = [name for name in KINDS if name in CLAIMED]


@pytest.fixture(scope="module")
def peer() -> Iterator[NpmJose]:
    if reason := npm_jose.missing():
        pytest.skip(reason)
    started = NpmJose()
    yield started
    started.close()


@pytest.fixture(scope="module")
def known(peer: NpmJose) -> frozenset[str]:
    """The algorithms that jose has on this Node: ML-DSA needs Node 24.7 or later."""
    return frozenset(peer.ask("algorithms", names=KEYS)["known"])


@pytest.fixture
def skip_unknown(known: frozenset[str], name: str) -> None:
    if name not in known:
        assert name.startswith("ML-DSA"), "only these may be missing: whatever else npm jose lacks is in the table"
        pytest.skip(f"this Node has no {name}: 24.7 and later have ML-DSA")


@pytest.mark.usefixtures("skip_unknown")
@pytest.mark.parametrize(("form", "name"), cases(TABLE, Stands.CANNOT_VERIFY))
@given(data=st.data())
@few
def test_npm_jose_verifies_ours(peer: NpmJose, form: Form, name: str, data: st.DataObject) -> None:
    check_peer_verifies_ours(peer, form, name, data.draw(contents(form)))


@pytest.mark.usefixtures("skip_unknown")
@pytest.mark.parametrize(("form", "name"), cases(TABLE, Stands.CANNOT_SIGN))
@given(data=st.data())
@few
def test_we_verify_npm_joses(peer: NpmJose, form: Form, name: str, data: st.DataObject) -> None:
    check_we_verify_the_peers(peer, form, name, data.draw(contents(form)))


@pytest.mark.usefixtures("skip_unknown")
@pytest.mark.parametrize(("form", "name"), cases(TABLE, Stands.CANNOT_VERIFY))
@given(data=st.data(), flip=FLIPS)
@few
def test_both_refuse_a_flipped_bit(peer: NpmJose, form: Form, name: str, data: st.DataObject, flip: Flip) -> None:
    check_both_refuse_a_flipped_bit(peer, form, name, data.draw(contents(form)), flip)


@pytest.mark.parametrize("row", rows(TABLE, Stands.LACKS, Stands.CANNOT_SIGN, Stands.CANNOT_VERIFY))
def test_what_npm_jose_cannot_do_it_truly_cannot(peer: NpmJose, row: Difference) -> None:
    check_cannot(peer, row)


@pytest.mark.parametrize("probe", PROBES)
def test_we_refuse_each_probe_and_npm_jose_those_that_its_table_does_not_name(peer: NpmJose, probe: str) -> None:
    check_probe(peer, TABLE, probe)


@pytest.mark.usefixtures("skip_unknown")
@pytest.mark.parametrize("name", KINDS_OF_NPM_JOSE)
def test_a_jwk_goes_to_npm_jose_and_comes_back(peer: NpmJose, name: str) -> None:
    check_jwk_both_ways(peer, name)


@pytest.mark.usefixtures("skip_unknown")
@pytest.mark.parametrize("name", KINDS_OF_NPM_JOSE)
def test_a_key_made_by_npm_jose_is_ours_with_the_same_thumbprint(peer: NpmJose, name: str) -> None:
    check_a_key_of_the_peers(peer, name)


@pytest.mark.usefixtures("skip_unknown")
@pytest.mark.parametrize("name", KINDS_OF_NPM_JOSE)
def test_npm_jose_reads_our_pem(peer: NpmJose, name: str) -> None:
    check_peer_reads_our_pem(peer, name, None)


@pytest.mark.usefixtures("skip_unknown")
@pytest.mark.parametrize("name", KINDS_OF_NPM_JOSE)
def test_we_read_the_pem_of_npm_jose(peer: NpmJose, name: str) -> None:
    check_we_read_the_peers_pem(peer, name, None)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@given(secret=st.binary(min_size=64, max_size=128))
@few
def test_any_bytes_are_a_secret_to_npm_jose_as_to_us(peer: NpmJose, alg: str, secret: bytes) -> None:
    check_a_secret(peer, alg, secret)


@pytest.mark.usefixtures("skip_unknown")
@pytest.mark.parametrize("name", CLAIMED)
@given(claims=CLAIMS)
@few
def test_claims_read_the_same_under_npm_jose_and_under_us(peer: NpmJose, name: str, claims: dict[str, Any]) -> None:
    check_claims(peer, name, claims)


def test_npm_jose_refuses_an_unassigned_character_in_unencoded_json(peer: NpmJose) -> None:
    form, content = Form("flattened", b64=False), Content("\u0378".encode())
    text = sign_ours(form, content, [key("HS256")])
    assert verify_ours(form, text, b"", [key("HS256")]) == content.payload
    with pytest.raises(NodeRefusedError, match="unassigned"):
        peer.verify(form, text, b"", [public(key("HS256"))])
