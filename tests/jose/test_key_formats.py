"""Keys in and out of PEM, DER, OpenSSH and certificates: the same checks, whatever the form."""

from __future__ import annotations

import base64
import contextlib
import datetime
import math
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.jose.algorithms import ASYMMETRIC
from sealwright.jose.key_formats import export_private_pem, read_private, read_public, write_public

PASSWORD = b"correct horse"
SPKI = PublicFormat.SubjectPublicKeyInfo
Refused = Callable[..., None]


def stored(native: Any, form: PrivateFormat = PrivateFormat.PKCS8, *, der: bool = False, sealed: bool = False) -> bytes:
    sealing = BestAvailableEncryption(PASSWORD) if sealed else NoEncryption()
    return bytes(native.private_bytes(Encoding.DER if der else Encoding.PEM, form, sealing))


def certificate(native: Any, *, usage: x509.KeyUsage | None = None) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(native.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=1))
    if usage is not None:
        builder = builder.add_extension(usage, critical=True)
    digest = None if isinstance(native, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()
    return builder.sign(native, digest)


def usage(**allowed: bool) -> x509.KeyUsage:
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
    names += ["key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})


def openssl(*arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("password", [None, PASSWORD])
@pytest.mark.parametrize("alg", sorted(ASYMMETRIC))
def test_a_private_key_leaves_as_pem_and_comes_back_as_itself(
    alg: str, password: bytes | None, signers: dict[str, Any]
) -> None:
    pem = export_private_pem(signers[alg], password=password)
    assert (b"ENCRYPTED" in pem) is (password is not None)
    again = read_private(pem, alg=alg, password=password)
    assert again.export_private_dict() == signers[alg].export_private_dict()


@pytest.mark.parametrize("form", ["pem", "der", "openssh"])
@pytest.mark.parametrize("alg", sorted(ASYMMETRIC))
def test_a_public_key_leaves_in_each_form_and_comes_back_as_itself(
    alg: str, form: Any, signers: dict[str, Any], refused: Refused
) -> None:
    key = signers[alg].public
    if form == "openssh" and alg in {"Ed448", "ES256K", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"}:
        refused("key.unsupported", write_public, key, form=form)
        return
    written = write_public(key, form=form)
    again = read_public(written, alg=alg)
    assert again == key
    assert again.verify(signers[alg].sign(b"data"), b"data")


def test_a_form_that_does_not_exist_is_refused(signers: dict[str, Any], refused: Refused) -> None:
    refused("key.unsupported", write_public, signers["ES256"].public, form="jks")


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "ES256K", "Ed25519", "Ed448", "ML-DSA-44", "ML-DSA-87"])
def test_a_key_that_fits_one_algorithm_gets_it(alg: str, signers: dict[str, Any]) -> None:
    assert read_public(write_public(signers[alg].public)).members["alg"] == alg
    assert read_private(export_private_pem(signers[alg], password=None), alg=None).algorithm.name == alg


def test_an_rsa_key_needs_its_algorithm_to_sign_and_none_to_wait_for_a_policy(
    signers: dict[str, Any], refused: Refused
) -> None:
    private = export_private_pem(signers["RS256"], password=None)
    refused("key.ambiguous", read_private, private, alg=None)
    public = read_public(write_public(signers["RS256"].public))
    assert public.algorithm is None
    assert public.with_algorithm("PS256").key_id == signers["RS256"].key_id


@pytest.mark.parametrize(
    ("alg", "wrong", "reason"),
    [
        ("ES256", "ES384", "algorithm.key_mismatch"),
        ("ML-DSA-44", "ML-DSA-65", "algorithm.key_mismatch"),
        ("Ed25519", "HS256", "algorithm.key_mismatch"),
        ("RS256", "none", "algorithm.unknown"),
    ],
)
def test_an_algorithm_that_does_not_fit_the_key_is_refused(
    alg: str, wrong: str, reason: str, signers: dict[str, Any], refused: Refused
) -> None:
    refused(reason, read_public, write_public(signers[alg].public), alg=wrong)
    refused(reason, read_private, export_private_pem(signers[alg], password=None), alg=wrong)


def test_the_kid_is_the_thumbprint_or_the_one_given(signers: dict[str, Any]) -> None:
    key = signers["ES256"]
    assert read_public(write_public(key.public)).key_id == key.public.thumbprint()
    assert read_public(write_public(key.public), key_id="mine").key_id == "mine"
    assert read_private(export_private_pem(key, password=None), alg=None, key_id="mine").public.key_id == "mine"


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("der", [False, True])
def test_older_forms_of_private_and_public_keys_are_read(der: bool, sealed: bool) -> None:
    for native, alg in (
        (ec.generate_private_key(ec.SECP521R1()), "ES512"),
        (rsa.generate_private_key(65537, 2048), "PS384"),
    ):
        if not (der and sealed):  # the old DER forms cannot be encrypted
            data = stored(native, PrivateFormat.TraditionalOpenSSL, der=der, sealed=sealed)
            assert read_private(data, alg=alg, password=PASSWORD if sealed else None).algorithm.name == alg
        data = stored(native, der=der, sealed=sealed)
        private = read_private(data, alg=alg, password=PASSWORD if sealed else None)
    old = native.public_key().public_bytes(Encoding.DER if der else Encoding.PEM, PublicFormat.PKCS1)
    assert read_public(old, alg="PS384") == private.public


def test_text_around_the_one_pem_block_is_passed_over(signers: dict[str, Any]) -> None:
    pem = write_public(signers["ES256"].public)
    assert (
        read_public(b"\xef\xbb\xbfsubject=test\r\n" + pem.replace(b"\n", b"\r\n") + b"\n\n") == signers["ES256"].public
    )
    private = openssl("ecparam", "-name", "prime256v1", "-genkey")
    assert b"EC PARAMETERS" in private
    assert read_private(private, alg=None).algorithm.name == "ES256"


def test_an_openssh_line_may_have_a_comment_and_is_one_line(signers: dict[str, Any], refused: Refused) -> None:
    line = write_public(signers["Ed25519"].public, form="openssh")
    assert read_public(line + b" alice@example\n") == signers["Ed25519"].public
    refused("key.ambiguous", read_public, line + b"\n" + line)


@pytest.mark.parametrize("kind", ["ssh-dss", "sk-ssh-ed25519@openssh.com", "ssh-ed25519-cert-v01@openssh.com"])
def test_other_openssh_kinds_are_refused(kind: str, refused: Refused) -> None:
    refused("key.unsupported", read_public, kind.encode() + b" AAAA")
    refused("key.malformed", read_public, b"ssh-ed25519 AAAA")


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_certificate_gives_its_public_key(encoding: Encoding, signers: dict[str, Any]) -> None:
    for native in (ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()):
        given = certificate(native, usage=usage(digital_signature=True)).public_bytes(encoding)
        assert read_public(given) == read_private(stored(native), alg=None).public


@pytest.mark.parametrize("allowed", ["key_encipherment", "key_cert_sign"])
def test_a_certificate_for_another_use_is_refused(allowed: str, refused: Refused) -> None:
    for encoding in (Encoding.PEM, Encoding.DER):
        given = certificate(ec.generate_private_key(ec.SECP256R1()), usage=usage(**{allowed: True}))
        refused("key.unsuitable", read_public, given.public_bytes(encoding))


def test_a_private_key_where_a_public_one_is_expected_is_refused_not_halved(refused: Refused) -> None:
    native = ec.generate_private_key(ec.SECP256R1())
    public = native.public_key().public_bytes(Encoding.PEM, SPKI)
    for data in (
        stored(native),
        stored(native, sealed=True),
        stored(native, der=True),
        stored(native, der=True, sealed=True),
        stored(native, PrivateFormat.TraditionalOpenSSL),
        stored(native, PrivateFormat.TraditionalOpenSSL, der=True),
        stored(native, PrivateFormat.OpenSSH),
        public + stored(native),
    ):
        refused("key.not_public", read_public, data)


@pytest.mark.parametrize("password", [None, b"a password"])
@pytest.mark.parametrize("curve", [0x6E, 0x6F, 0x70, 0x71])  # id-X25519, id-X448, id-Ed25519, id-Ed448: RFC 8410 §3
def test_a_raw_private_key_of_the_wrong_length_is_refused(curve: int, password: bytes | None, refused: Refused) -> None:
    short = bytes.fromhex(f"301f020100300506032b65{curve:02x}04130411") + bytes(17)
    pem = b"-----BEGIN PRIVATE " + b"KEY-----\n%s\n-----END PRIVATE " + b"KEY-----\n"
    for data in (short, pem % base64.b64encode(short)):
        refused("key.malformed", read_private, data, alg=None, password=password)
        refused("key.not_public", read_public, data)


def test_a_public_key_where_a_private_one_is_expected_is_refused(signers: dict[str, Any], refused: Refused) -> None:
    for form in ("pem", "der", "openssh"):
        written = write_public(signers["ES256"].public, form=form)  # type: ignore[arg-type]
        refused("key.malformed", read_private, written, alg="ES256")


@pytest.mark.parametrize("der", [False, True])
def test_a_password_is_given_exactly_when_it_is_needed_and_is_the_right_one(der: bool, refused: Refused) -> None:
    native = ed448.Ed448PrivateKey.generate()
    for password in (None, b"", b"wrong", b"x" * 5000):
        refused("key.password", read_private, stored(native, der=der, sealed=True), alg=None, password=password)
    refused("key.password", read_private, stored(native, der=der), alg=None, password=PASSWORD)


def test_a_password_that_cannot_be_used_is_refused(signers: dict[str, Any], refused: Refused) -> None:
    for password in (b"", b"x" * 5000):
        refused("key.password", export_private_pem, signers["ES256"], password=password)


def test_several_keys_are_never_chosen_from(signers: dict[str, Any], refused: Refused) -> None:
    refused("key.ambiguous", read_public, write_public(signers["ES256"].public) * 2)
    refused("key.ambiguous", read_private, export_private_pem(signers["ES256"], password=None) * 2, alg=None)


def test_kinds_and_curves_that_this_package_does_not_know_are_refused(refused: Refused) -> None:
    natives: list[Any] = [x25519.X25519PrivateKey.generate(), dsa.generate_private_key(2048)]
    natives += [ec.generate_private_key(ec.SECP224R1()), ec.generate_private_key(ec.BrainpoolP256R1())]
    for native in natives:
        refused("key.unsupported", read_private, stored(native), alg=None)
        for encoding in (Encoding.PEM, Encoding.DER):
            refused("key.unsupported", read_public, native.public_key().public_bytes(encoding, SPKI))
    refused(
        "key.unsupported", read_private, stored(ed25519.Ed25519PrivateKey.generate(), PrivateFormat.OpenSSH), alg=None
    )


def test_an_algorithm_that_nobody_knows_is_unsupported_as_pem_and_as_der(
    signers: dict[str, Any], refused: Refused
) -> None:
    known, unknown = bytes.fromhex("06032b6570"), bytes.fromhex("06032b6501")
    der = write_public(signers["Ed25519"].public, form="der").replace(known, unknown, 1)
    refused("key.unsupported", read_public, der)
    pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(der) + b"\n-----END PUBLIC KEY-----\n"
    refused("key.unsupported", read_public, pem)


def test_an_rsa_key_that_is_limited_to_pss_is_refused_not_widened(refused: Refused) -> None:
    private = openssl("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048")
    for outform in ("PEM", "DER"):
        refused("key.unsupported", read_private, openssl("pkey", "-outform", outform, data=private), alg="RS256")
        public = openssl("pkey", "-pubout", "-outform", outform, data=private)
        refused("key.unsupported", read_public, public, alg="RS256")


def test_weak_keys_are_refused_in_every_form(refused: Refused) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    refused("key.too_weak", read_private, stored(weak), alg="RS256")
    for form in ((Encoding.PEM, SPKI), (Encoding.DER, PublicFormat.PKCS1), (Encoding.OpenSSH, PublicFormat.OpenSSH)):
        refused("key.too_weak", read_public, weak.public_key().public_bytes(*form), alg="RS256")
    refused("key.too_weak", read_public, certificate(weak).public_bytes(Encoding.PEM))
    primes = math.prod(
        (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
    )
    modulus = pow(65537, 1234567, primes) + primes * (2**2047 // primes + 4)
    roca = rsa.RSAPublicNumbers(65537, modulus).public_key()
    refused("key.too_weak", read_public, roca.public_bytes(Encoding.PEM, SPKI), alg="RS256")
    point = ed25519.Ed25519PublicKey.from_public_bytes(bytes([1, *bytes(31)]))
    refused("key.too_weak", read_public, point.public_bytes(Encoding.DER, SPKI))


def test_private_rsa_numbers_that_do_not_belong_together_are_refused(refused: Refused) -> None:
    numbers = rsa.generate_private_key(65537, 2048).private_numbers()
    other = rsa.generate_private_key(65537, 2048).private_numbers()
    mixed = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, other.d, numbers.dmp1, numbers.dmq1, numbers.iqmp, numbers.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    refused("key.malformed", read_private, stored(mixed), alg="RS256")


def test_keys_above_the_limit_are_not_read(signers: dict[str, Any], refused: Refused) -> None:
    padded = write_public(signers["ES256"].public) + b"\n" * 65536
    refused("key.unsupported", read_public, padded)
    refused("key.unsupported", read_private, padded, alg=None)


@pytest.mark.parametrize(
    "data", [b"", b"garbage", b"0", b"0\x03\x02\x01\x05", b"-----BEGIN PUBLIC KEY-----\nAAAA", b"ssh-rsa"]
)
def test_garbage_is_refused(data: bytes, refused: Refused) -> None:
    refused("key.malformed", read_public, data)
    refused("key.malformed", read_private, data, alg="ES256")
    refused("key.malformed", read_private, data, alg="ES256", password=b"x")


@pytest.mark.parametrize("label", ["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"])
def test_a_block_with_garbage_in_it_is_refused(label: str, refused: Refused) -> None:
    for inside in (b"", b"AAAA", b"????"):
        block = b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label.encode(), inside, label.encode())
        refused("key.malformed", read_public, block)
    refused("key.unsupported", read_public, block.replace(label.encode(), b"NEW KIND"))


@given(st.binary(max_size=200), st.integers(0, 400), st.booleans())
def test_property_any_bytes_are_a_key_or_are_refused(noise: bytes, at: int, der: bool) -> None:
    whole = stored(KEY, der=der)
    public = KEY.public_key().public_bytes(Encoding.DER if der else Encoding.PEM, SPKI)
    for data in (noise, whole[:at] + noise + whole[at:], public[:at] + noise + public[at + len(noise) :]):
        with contextlib.suppress(sw.RejectedError):
            read_public(data)
        with contextlib.suppress(sw.RejectedError):
            read_private(data, alg=None, password=noise)


KEY = ed25519.Ed25519PrivateKey.generate()
