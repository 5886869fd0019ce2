"""Attacks that choose the algorithm, or make one key do another key's work."""

from __future__ import annotations

import ast
import base64
import hmac
import inspect
import json
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from forging import AUDIENCE, ISSUER, SECRET_BYTES, forge, secret, with_signature, without

import sealwright as sw
from sealwright.jose import algorithms, base64url, primitives

BOTH = {"HS256", "RS256", "ES256", "EdDSA"}


@pytest.mark.parametrize("alg", ["HS256", "ES256"])
def test_a_token_made_like_those_that_follow_is_accepted(alg: str, signers: Any, doors: Any) -> None:
    """Otherwise the refusals would prove nothing."""
    key = secret() if alg == "HS256" else signers[alg].public
    sign = key.sign if alg == "HS256" else signers[alg].sign
    assert doors.everywhere(forge({"alg": alg, "kid": "k1"}, sign=sign), key) is None


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("alg", ["none", "nOnE", "None", "NONE", "noNE", " none", "none\x00"])
@pytest.mark.attack(1)
def test_alg_none_in_any_spelling(alg: str, signed: bool, signers: Any, doors: Any) -> None:
    for key, sign in ((secret(), secret().sign), (signers["ES256"].public, signers["ES256"].sign)):
        token = forge({"alg": alg, "kid": "k1"}, sign=sign if signed else lambda _: b"")
        assert doors.signature(token, key) == "algorithm.key_mismatch"
        assert doors.verifier(token, key) == "algorithm.unknown"


@pytest.mark.attack(1)
def test_alg_none_has_no_row_no_policy_and_no_key(signers: Any, imports: Any) -> None:
    assert imports.public({**signers["ES256"].public.to_dict(), "alg": "none"}) == "algorithm.unknown"
    for call in (
        lambda: secret(alg="none"),
        lambda: algorithms.algorithm("none"),
        lambda: signers["ES256"].public.with_algorithm("none"),
        lambda: sw.VerificationPolicy(issuer=ISSUER, audience=AUDIENCE, algorithms=frozenset({"none"})),
    ):
        with pytest.raises((sw.RejectedError, sw.ConfigurationError)) as caught:
            call()
        assert caught.value.reason in ("algorithm.unknown", "algorithm.key_mismatch", "settings.invalid")


def public_texts(key: sw.PublicJWK) -> list[bytes]:
    """What a public key looks like in the files from which secrets are pasted."""
    native = key._native
    pem = native.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    jwk = json.dumps(key.to_dict()).encode()
    der = native.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    texts = [
        pem,
        pem.strip(),
        b"\r\n \t" + pem.replace(b"\n", b"\r\n"),
        pem.replace(b"\n", b"\n\n"),
        b"comment before\n" + pem,
        jwk,
        json.dumps(key.to_dict(), indent=2).encode(),
        b'{"keys":[' + jwk + b"]}",
        b'{"deeper":{"keys":[' + jwk + b"]}}",
        der,
        b"\n" + der + b"\n",
        b"".join(pem.splitlines()[1:-1]),
        b"\n".join(pem.splitlines()[1:-1]),
        base64url.encode(der),
    ]
    if key.members["kty"] == "RSA":
        texts += [native.public_bytes(kind, PublicFormat.PKCS1) for kind in (Encoding.PEM, Encoding.DER)]
    return [*texts, native.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)]


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
@pytest.mark.attack(2)
def test_a_public_key_used_as_an_hmac_secret(alg: str, signers: Any, doors: Any) -> None:
    public = signers[alg].public
    for text in public_texts(public):
        token = forge({"alg": "HS256", "kid": "k1"}, sign=lambda data, text=text: hmac.digest(text, data, "sha256"))
        assert doors.everywhere(token, public, algorithms=BOTH) == "algorithm.key_mismatch"
        assert doors.verifier(token, public) == "algorithm.not_allowed"


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
@pytest.mark.attack(2)
def test_the_text_of_a_public_key_imported_as_an_hmac_secret(alg: str, signers: Any) -> None:
    for text in public_texts(signers[alg].public):
        with pytest.raises(sw.RejectedError) as caught:
            secret(k=base64url.encode_text(text))
        assert caught.value.reason == "key.unsuitable", text


@pytest.mark.attack(2)
def test_the_der_of_a_public_key_whose_last_byte_looks_like_a_space() -> None:
    for _ in range(1000):
        public = sw.PrivateJWK.generate("EdDSA").public
        der = sw.write_public(public, form="der")
        if der[-1:].isspace():
            break
    for text in (der, b"\n" + der + b"\n", der + b" \r\n", b" " + der):
        with pytest.raises(sw.RejectedError) as caught:
            secret(k=base64url.encode_text(text))
        assert caught.value.reason == "key.unsuitable", text


@pytest.mark.attack(2)
def test_a_certificate_imported_as_an_hmac_secret(signers: Any) -> None:
    """Everybody has it: as a file, and as the text of an "x5c" member."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "k1")])
    for alg in ("RS256", "ES256"):
        native = signers[alg]._native
        built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(native.public_key())
        dated = built.not_valid_before(datetime(2026, 1, 1)).not_valid_after(datetime(2027, 1, 1)).serial_number(1)
        certificate = dated.sign(native, hashes.SHA256())
        pem, der = (certificate.public_bytes(encoding) for encoding in (Encoding.PEM, Encoding.DER))
        for text in (pem, der, base64.b64encode(der)):
            with pytest.raises(sw.RejectedError) as caught:
                secret(k=base64url.encode_text(text))
            assert caught.value.reason == "key.unsuitable"


@pytest.mark.attack(2)
def test_an_hmac_secret_in_the_place_of_a_public_key(imports: Any, signers: Any) -> None:
    assert imports.public(secret().export_secret_dict()) == "key.not_public"
    with pytest.raises(sw.RejectedError) as caught:
        sw.SecretJWK.from_dict(signers["RS256"].public.to_dict())
    assert caught.value.reason == "key.unsuitable"


@pytest.mark.parametrize("alg", ["RS256", "RS512", "PS256", "HS256"])
@pytest.mark.attack(3)
def test_an_algorithm_chosen_by_the_header_for_a_key_without_one(alg: str, signers: Any, doors: Any) -> None:
    bare = sw.PublicJWK.from_dict(without(signers["RS256"].public.to_dict(), "alg"))
    native = b"" if alg == "HS256" else signers["RS256"]._native

    def sign(data: bytes) -> bytes:
        return algorithms.algorithm(alg).primitive.signing(native)(data)

    token = forge({"alg": alg, "kid": "k1"}, sign=sign)
    assert doors.signature(token, bare) == "key.ambiguous"
    assert doors.verifier(token, bare, algorithms={"RS256", "RS512", "PS256", "HS256"}) == "key.ambiguous"
    if alg != "RS256":
        assert doors.verifier(token, bare, algorithms={"RS256"}) == "algorithm.not_allowed"
        assert doors.signature(token, bare.with_algorithm("RS256")) == "algorithm.key_mismatch"
    with pytest.raises(sw.RejectedError) as caught:
        sw.SecretJWK.from_dict({"kty": "oct", "k": base64url.encode_text(SECRET_BYTES)})
    assert caught.value.reason == "algorithm.unknown"


@pytest.mark.parametrize(("alg", "smallest"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
@pytest.mark.attack(4)
def test_an_empty_or_short_hmac_secret(alg: str, smallest: int) -> None:
    for size in (0, 1, smallest - 1):
        with pytest.raises(sw.RejectedError) as caught:
            secret(alg=alg, k=base64url.encode_text(b"\x07" * size))
        assert caught.value.reason == ("key.too_weak" if size else "key.malformed")
    for absent in ({"kty": "oct", "alg": alg}, {"kty": "oct", "alg": alg, "k": None}):
        with pytest.raises(sw.RejectedError) as caught:
            sw.SecretJWK.from_dict(absent)
        assert caught.value.reason == "key.malformed"
    assert secret(alg=alg, k=base64url.encode_text(b"\x07" * smallest)).algorithm.name == alg


@pytest.mark.parametrize("forged_with", [b"", b"\x00", b"k1", b"null", b"None", b"undefined"])
@pytest.mark.attack(4)
def test_a_token_made_with_an_empty_or_guessable_secret(forged_with: bytes, doors: Any) -> None:
    token = forge({"alg": "HS256", "kid": "k1"}, sign=lambda data: hmac.digest(forged_with, data, "sha256"))
    assert doors.everywhere(token, secret()) == "signature.invalid"


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c", "all of them"])
@pytest.mark.attack(5)
def test_a_key_that_the_token_brings_along(member: str, signers: Any, impostor: Any, doors: Any, server: Any) -> None:
    evil = f"http://127.0.0.1:{server.port}/evil.json"
    der = impostor.public._native.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    brought = {"jwk": impostor.public.to_dict(), "jku": evil, "x5u": evil, "x5c": [base64url.encode_text(der)]}
    chosen = brought if member == "all of them" else {member: brought[member]}
    for kid in ({"kid": "k1"}, {}):
        token = forge({"alg": "ES256", **kid, **chosen}, sign=impostor.sign)
        assert doors.everywhere(token, signers["ES256"].public) == "signature.invalid"
    assert set(server.paths) == {"/jwks.json"}


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA", "ML-DSA-44"])
@pytest.mark.attack(27)
def test_a_private_key_whose_public_half_is_another_keys(alg: str, signers: Any) -> None:
    member = {"RS256": "n", "ES256": "x", "EdDSA": "x", "ML-DSA-44": "pub"}[alg]
    ours, other = signers[alg].export_private_dict(), sw.PrivateJWK.generate(alg).export_private_dict()
    for members in ({**ours, member: other[member]}, without(ours, member)):
        with pytest.raises(sw.RejectedError) as caught:
            sw.PrivateJWK.from_dict(members)
        assert caught.value.reason == "key.malformed"


@pytest.mark.attack(28)
def test_the_time_that_comparing_a_mac_takes() -> None:
    """What is measured varies; what is written does not: whole MACs go through compare_digest, and nothing else."""
    tree = ast.parse(inspect.getsource(primitives.hmac_with))
    named = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert named.count("comparing.compare_digest") == 2  # of the bytes at once, and of a stream
    assert primitives.comparing.compare_digest is hmac.compare_digest
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]


@pytest.mark.attack(28)
def test_a_mac_guessed_byte_by_byte(doors: Any) -> None:
    token = forge({"alg": "HS256", "kid": "k1"})
    whole = base64url.decode_text(token.rpartition(".")[2])
    for length in (0, 1, 16, 31):
        assert doors.everywhere(with_signature(token, whole[:length]), secret()) == "signature.invalid"
    for guess in (whole + b"\x00", whole[:-1] + bytes([whole[-1] ^ 1]), bytes(32)):
        assert doors.everywhere(with_signature(token, guess), secret()) == "signature.invalid"
