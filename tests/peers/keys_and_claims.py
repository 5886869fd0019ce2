"""The checks of keys and claims: what one side exports or writes, the other reads, and both name it alike."""

from __future__ import annotations

from typing import Any, Protocol

from agreement import Peer
from forms import Content, Form, Key, key, private, public, sign_ours, verifying
from hypothesis import strategies as st

import sealwright as sw
from sealwright.clock import SYSTEM_CLOCK
from sealwright.jose import base64url
from sealwright.jose.key_formats import export_private_pem, read_private, read_public, write_public
from sealwright.jose.key_types import KEY_TYPES

# One of each kind of asymmetric key.
KINDS = ("RS256", "ES256", "ES384", "ES512", "ES256K", "Ed25519", "Ed448", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87")
PASSWORDS = st.none() | st.text(st.characters(codec="ascii", min_codepoint=32), min_size=1, max_size=20)
ISSUER, AUDIENCE = "https://issuer.example", "orders"
_COMPACT = Form("compact")


class JWKPeer(Peer, Protocol):
    """Another library that reads a JWK and writes it again."""

    def rewritten(self, jwk: dict[str, Any], *, private: bool) -> dict[str, Any]: ...


class KeyPeer(JWKPeer, Protocol):
    """One that also makes keys and thumbprints."""

    def generated(self, alg: str) -> dict[str, Any]: ...

    def thumbprint(self, jwk: dict[str, Any]) -> str: ...


class PEMReader(Protocol):
    def read_pem(self, pem: bytes, alg: str, *, private: bool, password: str | None) -> dict[str, Any]: ...


class PEMWriter(Protocol):
    def write_pem(self, jwk: dict[str, Any], *, private: bool, password: str | None) -> bytes: ...


class ClaimsPeer(Protocol):
    """``read_claims`` checks the signature, ISSUER, AUDIENCE and the times."""

    def sign_claims(self, claims: dict[str, Any], alg: str, jwk: dict[str, Any]) -> str: ...

    def read_claims(self, token: str, alg: str, jwk: dict[str, Any]) -> dict[str, Any]: ...


def numbers(members: dict[str, Any]) -> dict[str, Any]:
    """The members that make the key, without those that say what it is for."""
    row = KEY_TYPES[members["kty"]]
    return {name: members[name] for name in ("kty", *row.thumbprint, *row.private) if name in members}


def check_jwk_both_ways(peer: JWKPeer, name: str) -> None:
    one = key(name)
    assert isinstance(one, sw.PrivateJWK)
    whole = peer.rewritten(private(one), private=True)
    assert numbers(whole) == numbers(private(one))
    assert numbers(sw.PrivateJWK.from_dict({**whole, "alg": name}).export_private_dict()) == numbers(whole)
    shown = peer.rewritten(public(one), private=False)
    assert numbers(shown) == numbers(public(one))
    assert sw.PublicJWK.from_dict(shown).thumbprint() == one.public.thumbprint()


def check_a_key_of_the_peers(peer: KeyPeer, name: str) -> None:
    made = peer.generated(name)
    one = sw.PrivateJWK.from_dict({**made, "alg": name})
    assert numbers(one.export_private_dict()) == numbers(made)
    assert peer.thumbprint(made) == one.public.thumbprint()
    ours = sw.PublicJWK.from_dict(public(key(name)))
    assert peer.thumbprint(ours.to_dict()) == ours.thumbprint()
    token = sign_ours(_COMPACT, Content(b"content"), [one])
    assert peer.verify(_COMPACT, token, b"", [public(one)]).payload == b"content"


def check_peer_reads_our_pem(peer: PEMReader, name: str, password: str | None) -> None:
    one = key(name)
    assert isinstance(one, sw.PrivateJWK)
    shown = peer.read_pem(write_public(one.public), name, private=False, password=None)
    assert numbers(shown) == numbers(public(one))
    pem = export_private_pem(one, password=None if password is None else password.encode())
    assert numbers(peer.read_pem(pem, name, private=True, password=password)) == numbers(private(one))


def check_we_read_the_peers_pem(peer: PEMWriter, name: str, password: str | None) -> None:
    one = key(name)
    assert isinstance(one, sw.PrivateJWK)
    shown = read_public(peer.write_pem(public(one), private=False, password=None), alg=name)
    assert numbers(shown.to_dict()) == numbers(public(one))
    pem = peer.write_pem(private(one), private=True, password=password)
    read = read_private(pem, alg=name, password=None if password is None else password.encode())
    assert numbers(read.export_private_dict()) == numbers(private(one))


def check_a_secret(peer: Peer, alg: str, secret: bytes) -> None:
    """Any bytes of sufficient length are a secret to both."""
    one = sw.SecretJWK.from_dict({"kty": "oct", "alg": alg, "k": base64url.encode_text(secret), "kid": "any"})
    token = sign_ours(_COMPACT, Content(b"content"), [one])
    assert peer.verify(_COMPACT, token, b"", [private(one)]).payload == b"content"


def check_claims(peer: ClaimsPeer, name: str, claims: dict[str, Any]) -> None:
    one: Key = key(name)
    token = sw.sign_claims(claims, one, issuer=ISSUER, audience=AUDIENCE, lifetime_s=300)
    written = sw.verify_signature(token, verifying(one)).json()
    assert {name: written[name] for name in claims} == claims
    assert peer.read_claims(token, one.algorithm.name, public(one)) == written
    now = int(SYSTEM_CLOCK.now())
    asked = {**claims, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 300}
    theirs = peer.sign_claims(asked, one.algorithm.name, private(one))
    assert sw.verify_signature(theirs, verifying(one)).json() == asked
