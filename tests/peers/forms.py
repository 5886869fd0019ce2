"""What both sides are asked to know: the algorithms, the forms of a JWS, generated content; and our side of each."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from hypothesis import settings
from hypothesis import strategies as st

import sealwright as sw
from sealwright.jose import json_forms
from sealwright.jose.algorithms import ALGORITHMS
from sealwright.jose.multi_verification import decide_signatures, verify_signatures
from sealwright.jose.signature_policy import ANY_SIGNATURE, EVERY_SIGNATURE

Key = sw.PrivateJWK | sw.SecretJWK
ED448_BY_ITS_OLD_NAME = "EdDSA-Ed448"
KEYS = (*ALGORITHMS, ED448_BY_ITS_OLD_NAME)  # one for each algorithm, and one more: EdDSA has two curves
few = settings(max_examples=settings().max_examples // 20)  # of each form with each algorithm

PRINTABLE = "".join(character for character in map(chr, range(32, 127)) if character != ".")
URL_SAFE = string.ascii_letters + string.digits + "-_~"  # RFC 7797 §5.2 names these, and leaves others to agreement
# What one side's Unicode tables may not know yet is left out: see the table of npm jose.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=80)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e9, 1e9) | TEXT
NAMES = st.text(min_size=1, max_size=12).map(lambda name: f"x-{name}")  # never a registered one
CLAIMS = st.dictionaries(
    NAMES, st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
)


@dataclass(frozen=True)
class Form:
    """One way to write a JWS. ``unprotected``: some members, the kid among a peer's, are in the unprotected header."""

    serialization: Literal["compact", "flattened", "general"]
    detached: bool = False
    b64: bool = True
    unprotected: bool = False

    def __str__(self) -> str:
        parts = {"unencoded": not self.b64, "detached": self.detached, "unprotected": self.unprotected}
        return "-".join([self.serialization, *(name for name, given in parts.items() if given)])


COMPACT = tuple(Form("compact", detached, b64) for b64 in (True, False) for detached in (False, True))
FORMS = (
    *COMPACT,
    *(
        Form(json, detached, b64)
        for json in ("flattened", "general")
        for b64 in (True, False)
        for detached in (False, True)
    ),
    Form("flattened", unprotected=True),
    Form("general", unprotected=True),
)


@dataclass(frozen=True)
class Content:
    payload: bytes
    typ: str | None = None
    unprotected: dict[str, Any] = field(default_factory=dict)


@st.composite
def contents(
    draw: st.DrawFn, form: Form, *, compact: str = PRINTABLE, detached: st.SearchStrategy[bytes] | None = None
) -> Content:
    """Any bytes where they are encoded or detached; text where they stand in JSON, and less in a compact token."""
    payload: st.SearchStrategy[bytes] = st.binary(min_size=1, max_size=200)
    if not form.b64 and form.detached:
        payload = payload if detached is None else detached
    elif not form.b64:
        text = TEXT.filter(bool) if form.serialization != "compact" else st.text(compact, min_size=1, max_size=80)
        payload = text.map(str.encode)
    unprotected = draw(st.dictionaries(NAMES, SCALARS, min_size=1, max_size=3)) if form.unprotected else {}
    return Content(draw(payload), draw(st.none() | st.text(min_size=1, max_size=12)), unprotected)


@cache
def _rsa() -> dict[str, Any]:
    return sw.PrivateJWK.generate("RS256").export_private_dict()


@cache
def key(name: str) -> Key:
    """One key for each name, made once: RSA is slow, so its six algorithms share the numbers."""
    if name == ED448_BY_ITS_OLD_NAME:
        return sw.PrivateJWK.from_dict({**private(key("Ed448")), "alg": "EdDSA", "kid": name})
    if ALGORITHMS[name].symmetric:
        return sw.SecretJWK.generate(name)
    if ALGORITHMS[name].kty == "RSA":
        return sw.PrivateJWK.from_dict({**_rsa(), "alg": name, "kid": name})
    return sw.PrivateJWK.generate(name)


def private(one: Key) -> dict[str, Any]:
    return one.export_secret_dict() if isinstance(one, sw.SecretJWK) else one.export_private_dict()


def verifying(one: Key) -> sw.PublicJWK | sw.SecretJWK:
    return one if isinstance(one, sw.SecretJWK) else one.public


def public(one: Key) -> dict[str, Any]:
    return private(one) if isinstance(one, sw.SecretJWK) else one.public.to_dict()


def signers(form: Form, name: str) -> list[Key]:
    """The key of this name, and in the general form a second one of the same family."""
    if form.serialization != "general":
        return [key(name)]
    second = ("HS256", "HS384") if name.startswith("HS") else ("ES256", "ES384")
    return [key(name), key(second[name == second[0]])]


def sign_ours(form: Form, content: Content, keys: Sequence[Key]) -> str:
    options: dict[str, Any] = {"typ": content.typ, "detached": form.detached, "b64": form.b64}
    if form.serialization == "compact":
        return sw.sign(content.payload, keys[0], **options)
    if form.serialization == "general" and not form.unprotected:
        return json_forms.sign_general(content.payload, keys, **options)
    text = json_forms.sign_flattened(content.payload, keys[0], unprotected=content.unprotected, **options)
    return text if len(keys) == 1 else json_forms.add_signature(text, keys[1], typ=content.typ)


def verify_ours(form: Form, text: str, payload: bytes, keys: Sequence[Key]) -> bytes:
    """What was signed, once each key has proven its own signature. ``payload`` is used where it is detached."""
    given = payload if form.detached else None
    if form.serialization == "compact":
        return sw.verify_signature(text, verifying(keys[0]), payload=given).payload
    for index, one in enumerate(keys):
        report = decide_signatures(text, verifying(one), policy=ANY_SIGNATURE, payload=given)
        result = report.results[index] if report.results else report
        if result.reason is not None:
            raise sw.RejectedError(result.reason, result.message)
    public_keys = [one.public for one in keys if isinstance(one, sw.PrivateJWK)]
    if public_keys:  # secrets never enter a set
        verify_signatures(text, sw.JWKSet(public_keys), policy=EVERY_SIGNATURE, payload=given)
    assert report.payload is not None
    return report.payload
