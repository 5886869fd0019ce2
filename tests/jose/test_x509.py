"""Certificates beside keys: compared with them always, and trusted only through anchors of the caller's own."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import warnings
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.jose import base64url, strict_json
from sealwright.jose.certificates import load_certificate
from sealwright.jose.key_formats import public_from, read_public
from sealwright.jose.x509 import certificate_chain, thumbprint_sha256, verify_chain

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NOW = START + dt.timedelta(days=10)
END = START + dt.timedelta(days=90)


@dataclass
class Holder:
    """A private key and its certificate."""

    native: Any
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def text(self) -> str:
        return base64.b64encode(self.der).decode()

    @property
    def members(self) -> dict[str, Any]:
        return {**public_from(self.native.public_key()).to_dict(), "x5c": [self.text]}


def usage(*allowed: str) -> x509.KeyUsage:
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
    names += ["key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{name: name in allowed for name in names})


def issue(
    name: str,
    by: Holder | None = None,
    *,
    ca: bool = False,
    path_length: int | None = None,
    native: Any = None,
    eku: list[x509.ObjectIdentifier] | None = None,
    may: tuple[str, ...] = ("digital_signature",),
    identifiers: bool = True,
) -> Holder:
    native = native or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signer = by.native if by else native
    made = x509.CertificateBuilder().subject_name(subject).public_key(native.public_key())
    made = made.issuer_name(by.certificate.subject if by else subject).serial_number(x509.random_serial_number())
    made = made.not_valid_before(START).not_valid_after(END)
    made = made.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    made = made.add_extension(usage("key_cert_sign") if ca else usage(*may), critical=True)
    if identifiers:
        own = x509.SubjectKeyIdentifier.from_public_key(native.public_key())
        theirs = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        made = made.add_extension(own, critical=False).add_extension(theirs, critical=False)
    if eku:
        made = made.add_extension(x509.ExtendedKeyUsage(eku), critical=False)
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Holder(native, made.sign(signer, digest))


@pytest.fixture(scope="module")
def root() -> Holder:
    return issue("root", ca=True)


@pytest.fixture(scope="module")
def middle(root: Holder) -> Holder:
    return issue("middle", root, ca=True, path_length=0)


@pytest.fixture(scope="module")
def leaf(middle: Holder) -> Holder:
    return issue("signer", middle)


def test_a_chain_to_an_anchor_of_the_callers_gives_the_first_key(root: Holder, middle: Holder, leaf: Holder) -> None:
    chain = [leaf.text, middle.text]
    for anchor in (root.der, root.certificate.public_bytes(Encoding.PEM)):
        assert verify_chain(chain, anchors=[anchor], now=NOW) == public_from(leaf.native.public_key())
    assert verify_chain([*chain, root.text], anchors=[root.der], now=NOW).algorithm is not None
    assert verify_chain([leaf.text], anchors=[middle.der], now=NOW).algorithm is not None


def test_several_anchors_may_stand_in_one_pem(root: Holder, middle: Holder, leaf: Holder) -> None:
    bundle = b"".join(one.certificate.public_bytes(Encoding.PEM) for one in (issue("other", ca=True), root))
    assert verify_chain([leaf.text, middle.text], anchors=[bundle], now=NOW)


def test_an_rsa_leaf_gets_the_algorithm_that_the_caller_says(root: Holder) -> None:
    leaf = issue("rsa", root, native=rsa.generate_private_key(65537, 2048))
    assert verify_chain([leaf.text], anchors=[root.der], now=NOW).algorithm is None
    assert verify_chain([leaf.text], anchors=[root.der], now=NOW, alg="PS256").members["alg"] == "PS256"


@pytest.mark.parametrize(
    "eku",
    [
        None,
        [x509.ExtendedKeyUsageOID.CODE_SIGNING],
        [x509.ExtendedKeyUsageOID.SERVER_AUTH],
        [x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")],  # documentSigning, RFC 9336
    ],
)
def test_any_extended_key_usage_passes(eku: list[x509.ObjectIdentifier] | None, root: Holder) -> None:
    assert verify_chain([issue("signer", root, eku=eku).text], anchors=[root.der], now=NOW)


def test_a_private_authority_may_leave_the_key_identifiers_out(refused: Any) -> None:
    root = issue("root", ca=True, identifiers=False)
    middle = issue("middle", root, ca=True, identifiers=False)
    chain = [issue("signer", middle, identifiers=False).text, middle.text]
    assert verify_chain(chain, anchors=[root.der], now=NOW)
    other = issue("root", ca=True, identifiers=False)
    refused("key.certificate", verify_chain, chain, anchors=[other.der], now=NOW)


def test_a_chain_that_leads_to_no_anchor_is_refused(root: Holder, middle: Holder, leaf: Holder, refused: Any) -> None:
    other = issue("root", ca=True)  # the same name, another key
    refused("key.certificate", verify_chain, [leaf.text, middle.text], anchors=[other.der], now=NOW)
    refused("key.certificate", verify_chain, [leaf.text], anchors=[root.der], now=NOW)
    refused("key.certificate", verify_chain, [leaf.text, middle.text, other.text], anchors=[other.der], now=NOW)


@pytest.mark.parametrize("now", [START - dt.timedelta(seconds=1), END + dt.timedelta(seconds=1)])
def test_a_chain_outside_of_its_time_is_refused(
    now: dt.datetime, root: Holder, middle: Holder, leaf: Holder, refused: Any
) -> None:
    refused("key.certificate", verify_chain, [leaf.text, middle.text], anchors=[root.der], now=now)


def test_who_is_no_authority_cannot_issue(root: Holder, leaf: Holder, middle: Holder, refused: Any) -> None:
    forged = issue("forged", leaf)
    chain = [forged.text, leaf.text, middle.text]
    refused("key.certificate", verify_chain, chain, anchors=[root.der], now=NOW)
    second = issue("second", middle, ca=True)  # although the path length of middle is 0
    beyond = issue("beyond", second)
    chain = [beyond.text, second.text, middle.text]
    refused("key.certificate", verify_chain, chain, anchors=[root.der], now=NOW)


def test_an_authority_does_not_sign_tokens(root: Holder, middle: Holder, refused: Any) -> None:
    refused("key.certificate", verify_chain, [middle.text], anchors=[root.der], now=NOW)


def test_a_certificate_whose_usage_is_not_signing_is_refused(root: Holder, refused: Any) -> None:
    leaf = issue("mail", root, may=("key_encipherment",))
    refused("key.unsuitable", verify_chain, [leaf.text], anchors=[root.der], now=NOW)


def test_the_first_key_may_be_of_any_kind_and_an_authority_not_an_edwards_key(root: Holder, refused: Any) -> None:
    natives = [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256K1())]
    for native, alg in zip(natives, ["Ed25519", "ES256K"], strict=True):
        leaf = issue("signer", root, native=native)
        assert verify_chain([leaf.text], anchors=[root.der], now=NOW).members["alg"] == alg
        other = issue("root", ca=True, native=native)
        refused("key.certificate", verify_chain, [issue("signer", other).text], anchors=[other.der], now=NOW)


def test_a_certificate_can_be_its_own_anchor_within_its_time(refused: Any) -> None:
    alone = issue("alone")
    assert verify_chain([alone.text], anchors=[alone.der], now=NOW).algorithm is not None
    later = END + dt.timedelta(seconds=1)
    refused("key.certificate", verify_chain, [alone.text], anchors=[alone.der], now=later)
    issued = issue("issued", alone)  # an anchor that is no authority vouches for itself alone
    refused("key.certificate", verify_chain, [issued.text, alone.text], anchors=[alone.der], now=NOW)


def test_a_changed_certificate_is_refused(root: Holder, middle: Holder, leaf: Holder, refused: Any) -> None:
    changed = bytearray(leaf.der)
    changed[-5] ^= 1  # in the signature
    text = base64.b64encode(changed).decode()
    refused("key.certificate", verify_chain, [text, middle.text], anchors=[root.der], now=NOW)


@pytest.mark.parametrize("anchors", [[], [b""], [b"garbage"], [b"-----BEGIN CERTIFICATE-----"]])
def test_anchors_that_are_none_are_a_wrong_setting(anchors: list[bytes], leaf: Holder) -> None:
    with pytest.raises(sw.ConfigurationError) as caught:
        verify_chain([leaf.text], anchors=anchors, now=NOW)
    assert caught.value.reason == "settings.invalid"


def test_a_time_without_a_zone_is_a_mistake_of_the_caller(root: Holder, leaf: Holder) -> None:
    with pytest.raises(TypeError):
        verify_chain([leaf.text], anchors=[root.der], now=NOW.replace(tzinfo=None))


@pytest.mark.parametrize("x5c", [None, "text", [], {}, [5], [""], ["!!"], ["AAAA"], ["é"], ["A" * 5]])
def test_a_member_that_is_no_chain_is_refused(x5c: Any, leaf: Holder, refused: Any) -> None:
    refused("key.malformed", certificate_chain, x5c)
    refused("key.malformed", sw.PublicJWK.from_dict, {**leaf.members, "x5c": x5c})


def test_a_chain_that_is_too_long_or_too_large_is_not_read(leaf: Holder, refused: Any) -> None:
    assert len(certificate_chain([leaf.text] * 10)) == 10
    refused("key.unsupported", certificate_chain, [leaf.text] * 11)
    refused("key.unsupported", certificate_chain, ["A" * 22_000])


def test_a_key_and_its_own_certificate_belong_together(leaf: Holder, middle: Holder) -> None:
    sha1 = hashlib.sha1(leaf.der).digest()
    members = {**leaf.members, "x5t#S256": thumbprint_sha256(leaf.der), "x5c": [leaf.text, middle.text]}
    for written in (sha1, sha1.hex().encode(), sha1.hex().upper().encode()):
        key = sw.PublicJWK.from_dict({**members, "x5t": base64url.encode_text(written)})
        assert key.to_dict()["x5c"] == members["x5c"]


def test_a_certificate_of_another_key_is_refused(
    leaf: Holder, middle: Holder, signers: dict[str, Any], refused: Any
) -> None:
    for x5c in ([middle.text], [middle.text, leaf.text]):
        refused("key.certificate", sw.PublicJWK.from_dict, {**leaf.members, "x5c": x5c})
    for alg in ("RS256", "ES384", "Ed25519"):
        other = {**signers[alg].public.to_dict(), "x5c": [leaf.text]}
        refused("key.certificate", sw.PublicJWK.from_dict, other)
        refused("key.certificate", sw.PrivateJWK.from_dict, {**signers[alg].export_private_dict(), "x5c": [leaf.text]})


@pytest.mark.parametrize("name", ["x5t", "x5t#S256"])
def test_a_thumbprint_of_another_certificate_is_refused(name: str, leaf: Holder, middle: Holder, refused: Any) -> None:
    digest = hashlib.sha1(middle.der) if name == "x5t" else hashlib.sha256(middle.der)
    members = {**leaf.members, name: base64url.encode_text(digest.digest())}
    refused("key.certificate", sw.PublicJWK.from_dict, members)
    for value in (5, "", "!!", None):
        refused("key.malformed", sw.PublicJWK.from_dict, {**leaf.members, name: value})


def test_a_set_keeps_the_keys_beside_one_with_a_bad_certificate(leaf: Holder, middle: Holder) -> None:
    bad = [{"x5c": [middle.text]}, {"x5c": ["!!"]}, {"x5t#S256": thumbprint_sha256(middle.der)}, {"exp": "soon"}]
    keys = sw.JWKSet.from_dict({"keys": [*({**leaf.members, **wrong} for wrong in bad), leaf.members]})
    assert [key.key_id for key in keys] == [leaf.members["kid"]]
    reasons = ["key.certificate", "key.malformed", "key.certificate", "key.malformed"]
    assert [str(one.reason) for one in keys.unusable] == reasons


def test_the_certificates_in_a_header_never_choose_a_key(leaf: Holder, refused: Any, signers: dict[str, Any]) -> None:
    attacker = sw.PrivateJWK.generate("ES256")
    header = {"alg": "ES256", "kid": signers["ES256"].key_id, "x5c": [leaf.text]}
    signing_input = base64url.encode(strict_json.encode_object(header)) + b"." + base64url.encode(b"{}")
    token = signing_input + b"." + base64url.encode(attacker.sign(signing_input))
    refused("signature.invalid", sw.verify_signature, token, signers["ES256"].public)


@given(data=st.data())
def test_property_a_certificate_with_changed_bytes_is_refused_or_harmless(
    data: Any, root: Holder, leaf: Holder
) -> None:
    """One strange certificate must not end the reading of a whole set."""
    changed = bytearray(leaf.der)
    for at in data.draw(st.lists(st.integers(0, len(changed) - 1), min_size=1, max_size=3)):
        changed[at] = data.draw(st.integers(0, 255))
    text = base64.b64encode(changed).decode()
    keys = sw.JWKSet.from_dict({"keys": [{**leaf.members, "x5c": [text]}, root.members]})
    assert keys.keys[-1].members == root.members
    for call in (
        lambda: read_public(bytes(changed)),
        lambda: verify_chain([leaf.text], anchors=[bytes(changed)], now=NOW),
    ):
        with contextlib.suppress(sw.RejectedError, sw.ConfigurationError):
            call()


def test_a_certificate_of_an_unknown_version_is_malformed(leaf: Holder, root: Holder, refused: Any) -> None:
    changed = leaf.der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020107"), 1)
    assert changed != leaf.der
    text = base64.b64encode(changed).decode()
    refused("key.malformed", certificate_chain, [text])
    refused("key.malformed", read_public, changed)
    keys = sw.JWKSet.from_dict({"keys": [{**leaf.members, "x5c": [text]}, leaf.members]})
    assert (len(keys), [str(one.reason) for one in keys.unusable]) == (1, ["key.malformed"])
    with pytest.raises(sw.ConfigurationError):
        verify_chain([leaf.text], anchors=[changed], now=NOW)


@pytest.mark.parametrize("filtered", ["error", "ignore"])
def test_a_certificate_with_a_serial_number_that_is_not_positive_is_malformed(
    leaf: Holder, refused: Any, filtered: Any
) -> None:
    der = leaf.certificate.public_bytes(Encoding.DER)
    size = (leaf.certificate.serial_number.bit_length() + 8) // 8
    at = der.index(leaf.certificate.serial_number.to_bytes(size, "big"))
    with warnings.catch_warnings():
        warnings.simplefilter(filtered)
        refused("key.malformed", load_certificate, der[:at] + bytes([0x80]) + der[at + 1 :])
