"""The checks that every peer is put through: theirs under ours, ours under theirs, and what both must refuse."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

import pytest
from forms import FORMS, KEYS, Content, Form, Key, key, private, public, sign_ours, signers, verify_ours
from hypothesis import strategies as st
from probes import CONTENT, PROBES, SIGNED_WITH

import sealwright as sw
from sealwright import Reason
from sealwright.jose import base64url

Part = Literal["protected", "payload", "signature"]
PARTS: tuple[Part, ...] = ("protected", "payload", "signature")
Flip = tuple[Part, int]  # and which of its bits, or of its characters
FLIPS: st.SearchStrategy[Flip] = st.tuples(st.sampled_from(PARTS), st.integers(0, 2**16))
_OF_HEADERS = {
    Reason.JSON_MALFORMED,
    Reason.JSON_DUPLICATE_NAME,
    Reason.HEADER_MALFORMED,
    Reason.HEADER_CRITICAL,
    Reason.HEADER_REPEATED,
    Reason.KEY_NOT_FOUND,
    Reason.ALGORITHM_KEY_MISMATCH,
    Reason.SIGNATURE_INVALID,
    Reason.SIGNATURES_MIXED_ENCODING,
    Reason.TOKEN_ENCODING,  # of the payload: a header that cannot be read no longer says that it is unencoded
}
_OF_UNENCODED = {Reason.SIGNATURE_INVALID, Reason.PAYLOAD_CHARACTERS, Reason.TOKEN_MALFORMED}


@dataclass(frozen=True)
class Signing:
    """What a peer is to sign with: a private JWK and the members of both headers."""

    key: dict[str, Any]
    protected: dict[str, Any]
    unprotected: dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """What a peer says it has verified: the payload, and for each signature the members of both headers."""

    payload: bytes
    headers: list[dict[str, Any]]


class Peer(Protocol):
    """Another library. ``verify`` answers only if every signature holds, each with the key at its place."""

    refusals: tuple[type[Exception], ...]

    def sign(self, form: Form, payload: bytes, signing: Sequence[Signing]) -> str: ...

    def verify(self, form: Form, text: str, payload: bytes, keys: Sequence[dict[str, Any]]) -> Seen: ...


class Stands(StrEnum):
    CANNOT_SIGN = "cannot sign"
    CANNOT_VERIFY = "cannot verify"
    LACKS = "lacks the algorithm"
    LAXER = "laxer"


@dataclass(frozen=True)
class Difference:
    """A row of a peer's table. ``about`` is a form, an algorithm, or a probe of probes.py by its name."""

    stands: Stands
    about: str
    reason: str

    def __str__(self) -> str:
        return f"{self.stands}: {self.about}"


def laxer(reason: str, *probes: str) -> tuple[Difference, ...]:
    """The peer accepts these probes, which we refuse."""
    return tuple(Difference(Stands.LAXER, name, reason) for name in probes)


def cases(table: Iterable[Difference], without: Stands) -> list[Any]:
    """Each form with each algorithm, but for those that the table takes away."""
    absent = {row.about for row in table if row.stands in (without, Stands.LACKS)}
    return [
        pytest.param(form, name, id=f"{form}-{name}")
        for form in FORMS
        for name in KEYS
        if str(form) not in absent and name not in absent
    ]


def rows(table: Iterable[Difference], *stands: Stands) -> list[Any]:
    return [pytest.param(row, id=str(row)) for row in table if row.stands in stands]


def headers_of(form: Form, content: Content, one: Key, *, kid_unprotected: bool) -> tuple[dict[str, Any], ...]:
    named = {"kid": one.key_id}
    protected: dict[str, Any] = {"alg": one.algorithm.name}
    protected |= {} if content.typ is None else {"typ": content.typ}
    protected |= {} if form.b64 else {"b64": False, "crit": ["b64"]}
    return (protected, named | content.unprotected) if kid_unprotected else (protected | named, content.unprotected)


def signed_by(peer: Peer, form: Form, name: str, content: Content) -> str:
    signing = [
        Signing(private(one), *headers_of(form, content, one, kid_unprotected=form.unprotected))
        for one in signers(form, name)
    ]
    return peer.sign(form, content.payload, signing)


def check_peer_verifies_ours(peer: Peer, form: Form, name: str, content: Content) -> None:
    keys = signers(form, name)
    seen = peer.verify(form, sign_ours(form, content, keys), content.payload, [public(one) for one in keys])
    first, *others = [headers_of(form, content, one, kid_unprotected=False) for one in keys]
    assert seen == Seen(content.payload, [first[0] | first[1], *(protected for protected, _ in others)])


def check_we_verify_the_peers(peer: Peer, form: Form, name: str, content: Content) -> None:
    text = signed_by(peer, form, name, content)
    assert verify_ours(form, text, content.payload, signers(form, name)) == content.payload
    if form.serialization == "compact":
        one = key(name)
        protected, _ = headers_of(form, content, one, kid_unprotected=False)
        assert sw.jose.header.Header.parse(text.partition(".")[0].encode()).members == protected


def check_both_refuse_a_flipped_bit(peer: Peer, form: Form, name: str, content: Content, flip: Flip) -> None:
    keys, (part, _) = signers(form, name), flip
    text, payload = flipped(form, sign_ours(form, content, keys), content.payload, flip)
    with pytest.raises(peer.refusals):
        peer.verify(form, text, payload, [public(one) for one in keys])
    with pytest.raises(sw.RejectedError) as refused:
        verify_ours(form, text, payload, keys)
    expected = {Reason.SIGNATURE_INVALID}
    if part == "protected":
        expected = _OF_HEADERS
    elif part == "payload" and form.serialization == "compact" and not form.b64:
        expected = _OF_UNENCODED
    assert refused.value.reason in expected


def flipped(form: Form, text: str, payload: bytes, flip: Flip) -> tuple[str, bytes]:
    """The same JWS, still well encoded, with one bit of a part changed: the first signature's where there are two."""
    part, place = flip
    if part == "payload" and form.detached:
        return text, _flip(payload, place)
    if form.serialization == "compact":
        segments = dict(zip(PARTS, text.split("."), strict=True))
        return ".".join((segments | {part: _other(form, segments[part], part, place)}).values()), payload
    members = json.loads(text)
    holder = members["signatures"][0] if "signatures" in members and part != "payload" else members
    holder[part] = _other(form, holder[part], part, place)
    return json.dumps(members), payload


def _other(form: Form, text: str, part: Part, place: int) -> str:
    if part == "payload" and not form.b64:
        at = place % len(text)
        return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
    return base64url.encode_text(_flip(base64url.decode_text(text), place))


def _flip(data: bytes, place: int) -> bytes:
    at = place % (len(data) * 8)
    changed = bytearray(data)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


def check_probe(peer: Peer, table: Iterable[Difference], name: str) -> None:
    """We refuse every probe, for its reason; the peer accepts exactly those that its table names."""
    make, reason = PROBES[name]
    form, token = make()
    keys = [key(SIGNED_WITH)]
    with pytest.raises(sw.RejectedError) as refused:
        verify_ours(form, token, CONTENT, keys)
    assert refused.value.reason == reason
    accepts = any(row.stands is Stands.LAXER and row.about == name for row in table)
    with nullcontext() if accepts else pytest.raises(peer.refusals):
        peer.verify(form, token, CONTENT, [public(one) for one in keys])


def check_cannot(peer: Peer, row: Difference) -> None:
    """A form or an algorithm that the table takes away is one that the peer truly fails with."""
    lacks = row.stands is Stands.LACKS
    form = Form("compact") if lacks else next(form for form in FORMS if str(form) == row.about)
    name, content = row.about if lacks else "ES256", Content(b"$.02" if form.serialization != "compact" else b"content")
    if row.stands is not Stands.CANNOT_SIGN:
        keys = signers(form, name)
        with pytest.raises(peer.refusals):
            peer.verify(form, sign_ours(form, content, keys), content.payload, [public(one) for one in keys])
    if row.stands is not Stands.CANNOT_VERIFY:
        with pytest.raises((*peer.refusals, sw.RejectedError, AssertionError)):  # or it writes another form
            check_we_verify_the_peers(peer, form, name, content)
