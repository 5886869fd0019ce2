"""Ours under npm jose and npm jose's under ours, for every algorithm and form that both know."""

from __future__ import annotations

from collections.abc import Iterator

import npm_jose
import pytest
from agreement import (
    PARTS,
    Difference,
    Part,
    Stands,
    cases,
    check_both_refuse_a_flipped_bit,
    check_cannot,
    check_peer_verifies_ours,
    check_we_verify_the_peers,
    rows,
)
from forms import ED448_BY_ITS_OLD_NAME, KEYS, Form, contents, few
from hypothesis import given
from hypothesis import strategies as st
from npm_jose import NpmJose

NOT_IN_WEB_CRYPTO = "npm jose 6 has what the Web Cryptography API has, and this is not in it"
TABLE = (
    *(Difference(Stands.LACKS, name, NOT_IN_WEB_CRYPTO) for name in ("ES256K", "Ed448", ED448_BY_ITS_OLD_NAME)),
    Difference(Stands.CANNOT_SIGN, "compact-unencoded", "npm jose refuses to write b64 false in compact form"),
)


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
@given(data=st.data(), part=st.sampled_from(PARTS), place=st.integers(0, 2**16))
@few
def test_both_refuse_a_flipped_bit(
    peer: NpmJose, form: Form, name: str, data: st.DataObject, part: Part, place: int
) -> None:
    check_both_refuse_a_flipped_bit(peer, form, name, data.draw(contents(form)), part, place)


@pytest.mark.parametrize("row", rows(TABLE, Stands.LACKS, Stands.CANNOT_SIGN, Stands.CANNOT_VERIFY))
def test_what_npm_jose_cannot_do_it_truly_cannot(peer: NpmJose, row: Difference) -> None:
    check_cannot(peer, row)
