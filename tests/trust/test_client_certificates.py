"""The certificate of a caller counts when TLS or a listed proxy vouches for it, and in no other header."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.jose import base64url
from sealwright.jose.certificates import certificate_thumbprint
from sealwright.trust.client_certificates import TrustedProxies, parse_header
from sealwright.trust.evidence import Evidence
from sealwright.trust.request_evidence import evidence_of

PROXY, STRANGER = "10.1.2.3", "198.51.100.7"
FORMS = ("rfc9440", "xfcc", "pem")
NAMES = {"rfc9440": "Client-Cert", "xfcc": "X-Forwarded-Client-Cert", "pem": "X-SSL-Client-Cert"}


@cache
def certificate(name: str) -> x509.Certificate:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    built = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    built = built.serial_number(5).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return built.sign(key, hashes.SHA256())


def der(name: str = "caller") -> bytes:
    return certificate(name).public_bytes(serialization.Encoding.DER)


def pem(name: str = "caller") -> str:
    return quote(certificate(name).public_bytes(serialization.Encoding.PEM).decode(), safe="")


def thumbprint(name: str = "caller") -> str:
    return base64url.encode_text(hashlib.sha256(der(name)).digest())


def hexadecimal(name: str = "caller") -> str:
    return hashlib.sha256(der(name)).hexdigest()


def structured(name: str = "caller") -> str:
    return f":{base64.b64encode(der(name)).decode()}:"


GOOD = [
    ("rfc9440", structured()),
    ("xfcc", f"Hash={hexadecimal()}"),
    ("xfcc", f"Hash={hexadecimal().upper()}"),
    ("xfcc", f'By=spiffe://p/x;Hash={hexadecimal()};Subject="CN=a,O=\\"b;Hash={"0" * 64}\\"";URI=spiffe://c;DNS=a;DNS=b'),
    ("xfcc", f'Hash={hexadecimal()};Cert="{pem()}";Chain="{pem()}{pem("other")}"'),
    ("xfcc", f"Cert={pem()}"),
    ("xfcc", f"Hash={hexadecimal('other')};URI=spiffe://far, By=x;Hash={hexadecimal()}"),
    ("xfcc", f"Hash={hexadecimal('other')},Hash={hexadecimal()}"),
    ("pem", pem()),
    ("pem", quote(certificate("caller").public_bytes(serialization.Encoding.PEM).decode(), safe="+=/")),
]  # fmt: skip

BAD = [
    *[(form, text) for form in FORMS for text in ("x", ":", "::", "\u00e9", "null", "-----BEGIN CERTIFICATE-----")],
    ("rfc9440", f"{structured()}, {structured()}"),
    ("rfc9440", structured()[:-1]),
    ("rfc9440", structured().replace(":", "")),
    ("rfc9440", f":{base64.b64encode(der()[:-1]).decode()}:"),
    ("rfc9440", f":{base64.b64encode(der() + b'x').decode()}:"),
    ("rfc9440", f":{base64.b64encode(certificate('caller').public_bytes(serialization.Encoding.PEM)).decode()}:"),
    ("rfc9440", f":{'A' * 70_000}:"),
    ("rfc9440", f"{structured()};a=1"),
    ("xfcc", "By=spiffe://p"),
    ("xfcc", "Hash="),
    ("xfcc", f"Hash={hexadecimal()[:-1]}"),
    ("xfcc", f"Hash={thumbprint()}"),
    ("xfcc", f"Hash={hexadecimal()};Hash={hexadecimal()}"),
    ("xfcc", f"Hash={hexadecimal()};hash={hexadecimal('other')}"),
    ("xfcc", f"Hash={hexadecimal()};Cert={pem('other')}"),
    ("xfcc", f"Hash={hexadecimal()},"),
    ("xfcc", f"Hash={hexadecimal()};"),
    ("xfcc", f'Hash={hexadecimal()};Subject="open'),
    ("xfcc", f'Subject="a"Hash={hexadecimal()}'),
    ("xfcc", f"Hash={hexadecimal()},By=nearest"),
    ("xfcc", '"' + '\\"' * 30_000),
    ("pem", pem() + pem("other")),
    ("pem", quote("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")),
    ("pem", "%" * 60_000),
]


FEW = [*GOOD[:2], ("rfc9440", "broken")]


def numbered(cases: Any) -> list[str]:
    """The certificates are others in each process, and the names of the cases must not be."""
    return [f"{form} {number}" for number, (form, _) in enumerate(cases)]


def proxies(form: Any, *networks: str) -> TrustedProxies:
    return TrustedProxies(networks or ("10.0.0.0/8",), form, NAMES[form])


def seen(form: Any, *values: str, peer: str | None = PROXY, **more: Any) -> Evidence:
    headers = [("Accept", "*/*"), *((NAMES[form].lower(), value) for value in values)]
    return evidence_of("GET", "https://a.example/", headers, peer=peer, proxies=proxies(form), **more)


@pytest.mark.parametrize(("form", "value"), GOOD, ids=numbered(GOOD))
def test_a_proxy_tells_the_caller_s_certificate(form: str, value: str) -> None:
    assert seen(form, value).certificate_thumbprint == thumbprint()


@pytest.mark.parametrize(("form", "value"), BAD, ids=numbered(BAD))
def test_a_header_that_cannot_be_read_is_refused(form: str, value: str) -> None:
    with pytest.raises(RejectedError) as caught:
        seen(form, value)
    assert caught.value.reason == Reason.BINDING_PROOF
    assert value[:40] not in str(caught.value) or len(value) < 8


@pytest.mark.parametrize(("form", "value"), GOOD[:3], ids=numbered(GOOD[:3]))
def test_a_header_that_is_there_twice_is_refused(form: str, value: str) -> None:
    with pytest.raises(RejectedError) as caught:
        seen(form, value, value)
    assert caught.value.reason == Reason.BINDING_PROOF


@pytest.mark.parametrize("peer", [STRANGER, None, "", "unix:", "10.1.2.3.4", "::ffff:198.51.100.7", "10.1.2.3, x"])
@pytest.mark.parametrize(("form", "value"), FEW, ids=numbered(FEW))
def test_a_header_from_anybody_else_never_counts(form: str, value: str, peer: str | None) -> None:
    assert seen(form, value, peer=peer).certificate_thumbprint is None
    assert seen(form, value, value, peer=peer).certificate_thumbprint is None
    assert evidence_of("GET", "https://a/", [(NAMES[form], value)], peer=PROXY).certificate_thumbprint is None


def test_only_the_one_configured_header_counts() -> None:
    headers = [(NAMES["xfcc"], f"Hash={hexadecimal()}"), (NAMES["pem"], pem())]
    found = evidence_of("GET", "https://a/", headers, peer=PROXY, proxies=proxies("rfc9440"))
    assert found.certificate_thumbprint is None


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"])
def test_proxies_are_addresses_and_networks_of_both_families(peer: str) -> None:
    assert proxies("pem", "10.1.2.3", "fd00::/8").include(peer)
    assert not proxies("pem", "10.1.2.4", "fe80::/10").include(peer)


def test_a_caller_s_own_connection_proves_its_certificate_and_a_proxy_s_does_not() -> None:
    direct = seen("xfcc", f"Hash={hexadecimal('other')}", peer=STRANGER, peer_certificate=der())
    assert direct.certificate_thumbprint == thumbprint()
    assert seen("xfcc", peer_certificate=der("proxy")).certificate_thumbprint is None
    through = seen("xfcc", f"Hash={hexadecimal()}", peer_certificate=der("proxy"))
    assert through.certificate_thumbprint == thumbprint()
    with pytest.raises(RejectedError) as caught:
        seen("xfcc", peer=STRANGER, peer_certificate=b"no certificate")
    assert caught.value.reason == Reason.BINDING_PROOF


def test_a_proxy_that_saw_no_certificate_says_so_with_an_empty_header() -> None:
    assert seen("pem", "").certificate_thumbprint is None


def test_evidence_has_what_the_request_had() -> None:
    headers = [("authorization", "DPoP a.b.c"), ("DPoP", " one "), ("dpop", "two")]
    found = evidence_of("PUT", "https://a.example/x?y", headers)
    assert found == Evidence(method="PUT", url="https://a.example/x?y", scheme="dpop", proofs=("one", "two"))
    assert evidence_of("GET", "https://a/", [("Authorization", "bearer a.b.c")]).scheme == "bearer"
    assert evidence_of("GET", "https://a/", [("Authorization", "Basic eA==")]).scheme is None
    with pytest.raises(RejectedError) as caught:
        evidence_of("GET", "https://a/", [("Authorization", "Bearer a"), ("authorization", "DPoP b")])
    assert caught.value.reason == Reason.REQUEST_MALFORMED


@pytest.mark.parametrize(
    "given",
    [
        {"networks": ()}, {"networks": ("10.0.0.1/8",)}, {"networks": ("proxy.example",)}, {"networks": ("",)},
        {"networks": ("10.0.0.0/8",), "form": "pem"}, {"networks": ("10.0.0.0/8",), "form": "guess"},
        {"networks": ("10.0.0.0/8",), "header": "a b"}, {"networks": ("10.0.0.0/8",), "header": "a\r\nb"},
    ],
)  # fmt: skip
def test_proxies_that_are_not_said_clearly_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        TrustedProxies(**given)
    assert caught.value.reason == Reason.SETTINGS_INVALID


def test_a_thumbprint_is_of_one_certificate_in_either_form() -> None:
    assert certificate_thumbprint(der()) == thumbprint()
    assert certificate_thumbprint(certificate("caller").public_bytes(serialization.Encoding.PEM)) == thumbprint()
    for bad in (b"", b"x", der() + b"\0", bytes(40_000)):
        with pytest.raises(RejectedError) as caught:
            certificate_thumbprint(bad)
        assert caught.value.reason == Reason.KEY_MALFORMED


@given(st.sampled_from(FORMS), st.text(max_size=80) | st.text(alphabet='Hash=;,"\\ :0afCert', max_size=80))
def test_any_header_has_a_thumbprint_or_a_reason(form: Any, value: str) -> None:
    try:
        found = parse_header(value, form)
    except RejectedError as error:
        found = error.reason
    assert found == Reason.BINDING_PROOF or len(found) == 43


quoted = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=20)


@given(st.lists(st.tuples(st.sampled_from(["Subject", "URI", "DNS", "By"]), quoted), max_size=4), st.integers(0, 4))
def test_nothing_in_a_quoted_value_reaches_the_certificate(pairs: list[tuple[str, str]], at: int) -> None:
    """What a caller writes into its certificate's subject is shown in quotes, and says nothing about the hash."""
    texts = [name + '="' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for name, value in pairs]
    texts.insert(min(at, len(texts)), f"Hash={hexadecimal()}")
    assert parse_header(";".join(texts), "xfcc") == thumbprint()
