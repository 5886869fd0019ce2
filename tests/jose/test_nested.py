"""Nested tokens: what we make opens and verifies, and everything else is refused for one stable reason."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any

import jwcrypto.jwe
import jwcrypto.jwk
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from hypothesis import given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.errors import ConfigurationError
from sealwright.jose import base64url
from sealwright.jose.encryption_keys import CONTENT_ALGORITHMS, KEY_ALGORITHMS
from sealwright.jose.nested import (
    DecryptionJWK,
    SharedEncryptionJWK,
    decrypt,
    encrypt,
    sign_nested,
    verify_nested,
)

TYP = "order+jws"
PAYLOAD = b'{"order":1}'
PAIRS = [(alg, enc) for alg in KEY_ALGORITHMS for enc in CONTENT_ALGORITHMS]


@pytest.fixture(scope="module")
def signer() -> sw.PrivateJWK:
    return sw.PrivateJWK.generate("Ed25519")


@pytest.fixture(scope="module")
def inner(signer: sw.PrivateJWK) -> str:
    return sw.sign(PAYLOAD, signer, typ=TYP)


@pytest.fixture(scope="module")
def key_for(recipients: dict[str, DecryptionJWK]) -> Callable[[str, str], tuple[Any, Any]]:
    """What encrypts and what decrypts, for one pair of algorithms."""

    def make(alg: str, enc: str) -> tuple[Any, Any]:
        if alg in recipients:
            return recipients[alg].public, recipients[alg]
        secret = SharedEncryptionJWK.generate(enc if alg == "dir" else alg)
        return secret, secret

    return make


@pytest.fixture(scope="module")
def secret() -> SharedEncryptionJWK:
    return SharedEncryptionJWK.generate("A256GCM")


@pytest.fixture
def seal(secret: SharedEncryptionJWK, inner: str) -> Callable[..., str]:
    """A JWE that decrypts, with any header and content, so that a refusal comes from the rule under test."""

    def make(header: dict[str, Any] | None = None, content: bytes | str = inner, *, raw: bytes | None = None) -> str:
        plain = content.encode() if isinstance(content, str) else content
        members = {"alg": "dir", "enc": "A256GCM", "cty": TYP, **(header or {})}
        protected = base64url.encode(raw if raw is not None else json.dumps(members).encode())
        sealed = AESGCM(base64url.decode_text(secret.export_secret_dict()["k"])).encrypt(bytes(12), plain, protected)
        segments = [protected, b"", *map(base64url.encode, (bytes(12), sealed[:-16], sealed[-16:]))]
        return b".".join(segments).decode()

    return make


@pytest.mark.parametrize(("alg", "enc"), PAIRS)
def test_what_was_signed_and_encrypted_decrypts_and_verifies(
    alg: str, enc: str, key_for: Any, signer: sw.PrivateJWK
) -> None:
    public, private = key_for(alg, enc)
    text = sign_nested(PAYLOAD, signer, public, typ=TYP, enc=enc)
    header = json.loads(base64url.decode_text(text.split(".")[0]))
    assert {name: header[name] for name in ("alg", "enc", "kid", "cty")} == {
        "alg": alg,
        "enc": enc,
        "kid": private.key_id,
        "cty": TYP,
    }
    verified = verify_nested(text.encode(), [private], sw.JWKSet([signer.public]), typ=TYP)
    assert (verified.payload, verified.key_id) == (PAYLOAD, signer.key_id)
    assert PAYLOAD not in text.encode()


def test_a_large_post_quantum_token_fits(recipients: dict[str, DecryptionJWK]) -> None:
    signer = sw.PrivateJWK.generate("ML-DSA-87")
    recipient = recipients["ECDH-ES"]
    text = sign_nested(bytes(500_000), signer, recipient.public, typ=TYP)
    assert verify_nested(text, recipient, signer.public, typ=TYP).payload == bytes(500_000)


def test_a_token_that_would_be_too_large_to_decrypt_is_not_made(
    signer: sw.PrivateJWK, secret: SharedEncryptionJWK, refused: Any
) -> None:
    refused("token.too_large", sign_nested, bytes(700_000), signer, secret, typ=TYP)


@pytest.mark.parametrize(
    ("typ", "cty"),
    [("JWT", "JWT"), ("at+jwt", "JWT"), ("application/at+jwt", "JWT"), ("secevent+JWT", "JWT"), (TYP, TYP)],
)
def test_the_outer_header_says_what_is_inside(
    typ: str, cty: str, signer: sw.PrivateJWK, secret: SharedEncryptionJWK
) -> None:
    text = sign_nested(PAYLOAD, signer, secret, typ=typ)
    assert json.loads(base64url.decode_text(text.split(".")[0]))["cty"] == cty
    assert verify_nested(text, secret, signer.public, typ=typ).payload == PAYLOAD


def test_the_claims_of_a_nested_token_are_decided_over_as_those_of_any_other(
    signer: sw.PrivateJWK, secret: SharedEncryptionJWK
) -> None:
    token = sw.sign_claims({"sub": "alice"}, signer, issuer="https://id.example", audience="orders", lifetime_s=900)
    verifier = sw.Verifier(issuer="https://id.example", audience="orders", keys=signer.public)
    assert verifier.decide(decrypt(encrypt(token, secret), secret)).outcome == "accepted"


# What the two kinds of tokens are to each other


def test_a_nested_token_is_refused_where_a_signed_one_is_expected(
    signer: sw.PrivateJWK, secret: SharedEncryptionJWK, refused: Any
) -> None:
    text = sign_nested(PAYLOAD, signer, secret, typ=TYP)
    refused("token.malformed", sw.verify_signature, text, signer.public)
    verifier = sw.Verifier(issuer="https://id.example", audience="orders", keys=signer.public)
    decision = verifier.decide(text)
    assert (decision.outcome, decision.reason) == ("rejected", "token.malformed")


def test_a_signed_token_is_refused_where_a_nested_one_is_expected(
    inner: str, signer: sw.PrivateJWK, secret: SharedEncryptionJWK, refused: Any
) -> None:
    refused("token.malformed", verify_nested, inner, secret, signer.public, typ=TYP)


def test_another_type_is_refused(signer: sw.PrivateJWK, secret: SharedEncryptionJWK, refused: Any) -> None:
    text = sign_nested(PAYLOAD, signer, secret, typ=TYP)
    refused("header.type", verify_nested, text, secret, signer.public, typ="bill+jws")


def test_an_encrypted_forgery_is_refused_for_its_signature(
    inner: str, signer: sw.PrivateJWK, secret: SharedEncryptionJWK, refused: Any
) -> None:
    head, _, signature = inner.split(".")
    forged = ".".join((head, base64url.encode_text(b'{"order":2}'), signature))
    refused("signature.invalid", verify_nested, encrypt(forged, secret), secret, signer.public, typ=TYP)


def test_an_inner_token_of_an_unknown_signer_is_refused(
    signer: sw.PrivateJWK, secret: SharedEncryptionJWK, refused: Any
) -> None:
    text = sign_nested(PAYLOAD, sw.PrivateJWK.generate("Ed25519"), secret, typ=TYP)
    refused("key.not_found", verify_nested, text, secret, signer.public, typ=TYP)


# What may be inside


def jws(header: dict[str, Any], payload: bytes = PAYLOAD, signature: bytes = b"") -> str:
    return ".".join(map(base64url.encode_text, (json.dumps(header).encode(), payload, signature)))


CONTENTS = {
    "nothing": b"",
    "plain JSON": PAYLOAD,
    "plain bytes": b"\xff\xfe\x00",
    "alg none": jws({"alg": "none", "typ": TYP}),
    "alg nOnE": jws({"alg": "nOnE", "typ": TYP}),
    "a JWE": jws({"alg": "dir", "enc": "A256GCM", "typ": TYP}) + "..",
    "a JWE cut to three segments": jws({"alg": "dir", "enc": "A256GCM", "typ": TYP}),
    "no type": jws({"alg": "Ed25519"}),
    "an empty type": jws({"alg": "Ed25519", "typ": ""}),
    "a type that is no text": jws({"alg": "Ed25519", "typ": 1}),
    "a payload outside of base64url": b"eyJhbGciOiJFZDI1NTE5IiwidHlwIjoib3JkZXIrandzIn0.\xff.AA",
    "the JSON serialization": b'{"payload":"e30","protected":"e30","signature":""}',
    "a critical extension": jws({"alg": "Ed25519", "typ": TYP, "crit": ["b64"], "b64": False}),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_only_signed_tokens_with_a_type_are_taken_out(
    name: str, seal: Any, signer: sw.PrivateJWK, secret: SharedEncryptionJWK, refused: Any
) -> None:
    text = seal(content=CONTENTS[name])
    refused("encryption.content", decrypt, text, secret)
    refused("encryption.content", verify_nested, text, secret, signer.public, typ=TYP)


@pytest.mark.parametrize("name", CONTENTS)
def test_only_signed_tokens_with_a_type_are_put_in(name: str, secret: SharedEncryptionJWK, refused: Any) -> None:
    refused("encryption.content", encrypt, CONTENTS[name], secret)


@pytest.mark.parametrize("cty", ["", "JWT", "bill+jws"])
def test_an_outer_header_that_says_otherwise_is_refused(
    cty: str, seal: Any, secret: SharedEncryptionJWK, refused: Any
) -> None:
    refused("encryption.content", decrypt, seal({"cty": cty}), secret)


# The outer header


def test_a_hand_made_token_is_accepted_so_that_the_refusals_below_mean_something(
    seal: Any, inner: str, secret: SharedEncryptionJWK
) -> None:
    assert decrypt(seal(), secret) == inner
    assert decrypt(seal({"cty": f"application/{TYP.upper()}", "unknown": 1, "p2c": 10**9}), secret) == inner


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"zip": "DEF"}, "encryption.compressed"),
        ({"zip": None}, "encryption.compressed"),
        ({"zip": "unknown"}, "encryption.compressed"),
        ({"alg": "PBES2-HS512+A256KW", "p2c": 2**31, "p2s": "AAAAAAAAAAA"}, "algorithm.unknown"),
        ({"alg": "RSA1_5"}, "algorithm.unknown"),
        ({"alg": "RSA-OAEP"}, "algorithm.unknown"),
        ({"alg": "A128KW"}, "algorithm.unknown"),
        ({"alg": "A256GCMKW"}, "algorithm.unknown"),
        ({"alg": "ECDH-1PU"}, "algorithm.unknown"),
        ({"alg": "none"}, "algorithm.unknown"),
        ({"alg": "DIR"}, "algorithm.unknown"),
        ({"alg": "ES256"}, "algorithm.unknown"),
        ({"alg": "A256KW"}, "algorithm.key_mismatch"),
        ({"alg": "ECDH-ES", "epk": {}}, "algorithm.key_mismatch"),
        ({"enc": "A192GCM"}, "algorithm.unknown"),
        ({"enc": "a256gcm"}, "algorithm.unknown"),
        ({"enc": "none"}, "algorithm.unknown"),
        ({"enc": "A128CBC-HS256"}, "algorithm.key_mismatch"),
        ({"enc": "A128GCM"}, "algorithm.key_mismatch"),
        ({"enc": None}, "header.malformed"),
        ({"enc": ["A256GCM"]}, "header.malformed"),
        ({"alg": 1}, "header.malformed"),
        ({"alg": ""}, "header.malformed"),
        ({"kid": 1}, "header.malformed"),
        ({"cty": 1}, "header.malformed"),
        ({"crit": ["exp"], "exp": 1}, "header.critical"),
        ({"crit": ["enc"]}, "header.critical"),
        ({"crit": []}, "header.critical"),
        ({"crit": ["b64"], "b64": True}, "header.critical"),
        ({"kid": "another"}, "key.not_found"),
        ({"deep": json.loads("[" * 33 + "]" * 33)}, "json.too_deep"),
    ],
    ids=str,
)
def test_a_header_outside_of_the_policy_is_refused(
    header: dict[str, Any], reason: str, seal: Any, secret: SharedEncryptionJWK, refused: Any
) -> None:
    refused(reason, decrypt, seal(header), secret)


def test_compressed_content_is_refused_even_where_it_is_well_formed(
    seal: Any, inner: str, secret: SharedEncryptionJWK, refused: Any
) -> None:
    deflate = zlib.compressobj(wbits=-15)
    packed = deflate.compress(inner.encode()) + deflate.flush()
    refused("encryption.compressed", decrypt, seal({"zip": "DEF"}, packed), secret)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"alg":"dir","alg":"dir","enc":"A256GCM"}', "json.duplicate_name"),
        (b'{"alg":"dir","enc":"A256GCM","zip":"DEF","zip":"DEF"}', "json.duplicate_name"),
        (b'{"alg":"dir"}', "header.malformed"),
        (b'{"enc":"A256GCM"}', "header.malformed"),
        (b"[]", "json.malformed"),
        (b'{"alg":"dir","enc":"A256GCM"} x', "json.malformed"),
        (b'{"alg":"dir","enc":"A256GCM","x":"' + b"A" * 13_000 + b'"}', "header.too_large"),
    ],
)
def test_a_header_that_is_not_strict_json_is_refused(
    raw: bytes, reason: str, seal: Any, secret: SharedEncryptionJWK, refused: Any
) -> None:
    refused(reason, decrypt, seal(raw=raw), secret)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "token.missing"),
        ("a", "token.malformed"),
        ("a.b.c.d", "token.malformed"),
        ("a.b.c.d.e.f", "token.malformed"),
        ("." * 1_000_000, "token.malformed"),
        ("A" * 2_000_000, "token.too_large"),
        ("é....", "token.encoding"),
        ("....", "json.malformed"),
        ('{"protected":"e30"}', "token.malformed"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_compact_jwe_is_refused(text: str, reason: str, secret: SharedEncryptionJWK, refused: Any) -> None:
    refused(reason, decrypt, text, secret)
    refused(reason, decrypt, text.encode(), [secret]) if reason != "token.encoding" else None


def test_a_sixth_segment_is_refused(seal: Any, secret: SharedEncryptionJWK, refused: Any) -> None:
    refused("token.malformed", decrypt, seal() + ".", secret)


# One reason for every failure to decrypt


@pytest.mark.parametrize(("alg", "enc"), PAIRS)
def test_every_tampered_segment_is_refused_for_the_same_reason(
    alg: str, enc: str, key_for: Any, inner: str, refused: Any
) -> None:
    public, private = key_for(alg, enc)
    segments = encrypt(inner, public, enc=enc).split(".")
    for number in (1, 2, 3, 4):
        original = base64url.decode_text(segments[number])
        flipped = bytes([original[0] ^ 1]) + original[1:] if original else b""
        for changed in (flipped, original[:-1], original + b"\0", b"", b"\0" * 64):
            if changed != original:
                tampered = [*segments[:number], base64url.encode_text(changed), *segments[number + 1 :]]
                refused("encryption.invalid", decrypt, ".".join(tampered), private)


@pytest.mark.parametrize("change", [{"cty": "x"}, {"apu": "QQ"}, {"new": True}])
def test_a_changed_header_is_refused(
    change: dict[str, Any], recipients: dict[str, DecryptionJWK], inner: str, refused: Any
) -> None:
    head, rest = encrypt(inner, recipients["ECDH-ES"].public).split(".", 1)
    members = {**json.loads(base64url.decode_text(head)), **change}
    text = f"{base64url.encode_text(json.dumps(members).encode())}.{rest}"
    refused("encryption.invalid", decrypt, text, recipients["ECDH-ES"])


@pytest.mark.parametrize("alg", [alg for alg, kty in KEY_ALGORITHMS.items() if kty != "oct"])
def test_another_key_with_the_same_kid_is_refused(
    alg: str, recipients: dict[str, DecryptionJWK], inner: str, refused: Any
) -> None:
    other = DecryptionJWK.generate(alg, key_id=recipients[alg].key_id)
    refused("encryption.invalid", decrypt, encrypt(inner, recipients[alg].public), other)


@pytest.mark.parametrize(
    "epk",
    [
        None,
        [],
        "text",
        {},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},
        {"kty": "EC", "crv": ["P-256"], "x": 1, "y": 1},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
    ],
    ids=str,
)
def test_an_ephemeral_key_that_is_none_is_refused(
    epk: Any, recipients: dict[str, DecryptionJWK], inner: str, refused: Any
) -> None:
    head, rest = encrypt(inner, recipients["ECDH-ES"].public).split(".", 1)
    members = {**json.loads(base64url.decode_text(head)), "epk": epk}
    if epk is None:
        del members["epk"]
    text = f"{base64url.encode_text(json.dumps(members).encode())}.{rest}"
    refused("encryption.invalid", decrypt, text, recipients["ECDH-ES"])


def agreed(inner: str, recipient: DecryptionJWK, change: dict[str, Any]) -> str:
    """An ECDH-ES token made by hand (RFC 7518 §4.6.2), correct but for what ``change`` does to the ephemeral key."""
    members = recipient.public.members
    x, y = (int.from_bytes(base64url.decode_text(members[name]), "big") for name in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    ephemeral = jwcrypto.jwk.JWK.generate(kty="EC", crv="P-256")
    shared = ephemeral.get_op_key("unwrapKey").exchange(ec.ECDH(), public)
    numbers = [len("A256GCM").to_bytes(4, "big"), b"A256GCM", bytes(8), (256).to_bytes(4, "big")]
    content_key = ConcatKDFHash(hashes.SHA256(), 32, b"".join(numbers)).derive(shared)
    epk = {**ephemeral.export_public(as_dict=True), **change}
    if "d" in change:
        epk = ephemeral.export_private(as_dict=True)
    header = base64url.encode(json.dumps({"alg": "ECDH-ES", "enc": "A256GCM", "cty": TYP, "epk": epk}).encode())
    sealed = AESGCM(content_key).encrypt(bytes(12), inner.encode(), header)
    return b".".join((header, b"", *map(base64url.encode, (bytes(12), sealed[:-16], sealed[-16:])))).decode()


@pytest.mark.parametrize("change", [{"d": "its own"}, {"use": "sig"}, {"crv": "P-384"}, {"kty": "OKP"}], ids=str)
def test_an_ephemeral_key_is_a_public_encryption_key_on_the_curve_of_the_recipient(
    change: dict[str, Any], recipients: dict[str, DecryptionJWK], inner: str, refused: Any
) -> None:
    key = recipients["ECDH-ES"]
    assert decrypt(agreed(inner, key, {}), key) == inner
    refused("encryption.invalid", decrypt, agreed(inner, key, change), key)


def test_an_ephemeral_key_of_another_curve_is_refused(
    recipients: dict[str, DecryptionJWK], inner: str, refused: Any
) -> None:
    other = jwcrypto.jwk.JWK.generate(kty="EC", crv="P-384").export_public(as_dict=True)
    refused("encryption.invalid", decrypt, agreed(inner, recipients["ECDH-ES"], other), recipients["ECDH-ES"])


HEADERS = st.fixed_dictionaries(
    {"alg": st.just("ECDH-ES"), "enc": st.sampled_from([*CONTENT_ALGORITHMS, "A192GCM"])},
    optional={
        name: st.recursive(
            st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["EC", "P-256", "A" * 43]),
            lambda inside: (
                st.lists(inside)
                | st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "d", "use", "alg", "key_ops"]), inside)
            ),
            max_leaves=8,
        )
        for name in ("epk", "apu", "apv", "kid", "typ", "cty", "jwk", "x5c", "jku", "p2c", "iv", "tag", "crit")
    },
)


@given(HEADERS, st.lists(st.binary(max_size=40), min_size=4, max_size=4))
def test_whatever_a_header_holds_only_a_rejection_comes_out(
    recipients: dict[str, DecryptionJWK], header: dict[str, Any], segments: list[bytes]
) -> None:
    text = b".".join(base64url.encode(part) for part in (json.dumps(header).encode(), *segments))
    with pytest.raises(sw.RejectedError):
        decrypt(text, recipients["ECDH-ES"])


# Which key


def test_the_recipient_is_the_one_the_kid_names_and_no_other_is_tried(
    recipients: dict[str, DecryptionJWK], inner: str, seal: Any, secret: SharedEncryptionJWK, refused: Any
) -> None:
    text = encrypt(inner, recipients["ECDH-ES"].public)
    assert decrypt(text, recipients.values()) == inner
    refused("key.not_found", decrypt, text, [key for alg, key in recipients.items() if alg != "ECDH-ES"])
    refused("key.not_found", decrypt, text, DecryptionJWK.generate("ECDH-ES"))
    refused("key.not_found", decrypt, text, [])
    refused("key.ambiguous", decrypt, text, [recipients["ECDH-ES"], recipients["ECDH-ES"]])
    refused("key.id_missing", decrypt, seal(), [secret, recipients["ECDH-ES"]])


def test_a_key_decrypts_its_own_algorithm_only(recipients: dict[str, DecryptionJWK], inner: str, refused: Any) -> None:
    key = recipients["ECDH-ES"]
    other = DecryptionJWK.from_dict({**key.export_private_dict(), "alg": "ECDH-ES+A256KW"})
    refused("algorithm.key_mismatch", decrypt, encrypt(inner, key.public), other)


def test_without_joserfc_the_error_says_what_to_install() -> None:
    code = "import sys; sys.modules['joserfc'] = None\nfrom sealwright.jose import nested"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ConfigurationError: pip install 'sealwright[nested]' (encryption.not_installed)" in done.stderr
    assert issubclass(ConfigurationError, sw.SealwrightError)


def test_the_core_does_not_load_joserfc() -> None:
    code = "import sys, sealwright; print('joserfc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# Others


@pytest.mark.parametrize(("alg", "enc"), PAIRS)
def test_jwcrypto_reads_ours_and_we_read_its(alg: str, enc: str, key_for: Any, inner: str) -> None:
    public, private = key_for(alg, enc)
    shared = private is public
    exported = private.export_secret_dict() if shared else private.export_private_dict()
    theirs = jwcrypto.jwk.JWK(**{**exported, "alg": alg})
    read = jwcrypto.jwe.JWE(algs=[alg, enc])
    read.deserialize(encrypt(inner, public, enc=enc), theirs)
    assert read.payload.decode() == inner
    header = json.dumps({"alg": alg, "enc": enc, "cty": TYP, "kid": private.key_id})
    written = jwcrypto.jwe.JWE(inner, header, recipient=theirs, algs=[alg, enc])
    assert decrypt(written.serialize(compact=True), private) == inner


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
@pytest.mark.parametrize("alg", ["ECDH-ES", "ECDH-ES+A256KW"])
def test_every_curve_works_with_jwcrypto(curve: str, alg: str, inner: str) -> None:
    theirs = jwcrypto.jwk.JWK.generate(kty="EC", crv=curve, alg=alg, use="enc")
    ours = DecryptionJWK.from_dict(theirs.export_private(as_dict=True))
    read = jwcrypto.jwe.JWE(algs=[alg, "A256GCM"])
    read.deserialize(encrypt(inner, ours.public), theirs)
    assert read.payload.decode() == inner
