"""Examples of RFC 9449 and RFC 9440: DPoP proofs, their thumbprints and hashes, and a certificate in a header."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

import sealwright as sw
from sealwright.errors import Reason, RejectedError
from sealwright.trust.client_certificates import parse_header
from sealwright.trust.dpop import DpopProofs
from sealwright.trust.evidence import Evidence

Load = Callable[[str], Any]
PROTECTED = "https://resource.example.org/protectedresource"


def example(vectors: Load) -> tuple[str, str, str]:
    """The proof of RFC 9449 Figure 12, the token that it came with, and the thumbprint of its key."""
    document = vectors("rfc9449-dpop/dpop_examples.json")
    (case,) = [one for one in document["cases"] if "ath" in one["payload"]]
    assert case["payload"]["ath"] == document["expected_ath"]
    return case["token"], document["access_token_for_ath"], case["jkt"]


def test_the_proof_of_rfc_9449_is_good_for_its_request_and_its_key(vectors: Load) -> None:
    proof, token, jkt = example(vectors)
    shown = Evidence(method="GET", url=PROTECTED, scheme="dpop", proofs=(proof,))
    found = DpopProofs().check(shown, token, jkt, 1562262618.0)
    assert (found.url, found.thumbprint, found.proof_id) == (PROTECTED, jkt, "e1j3V_bKic8-LAEB")


@pytest.mark.parametrize(
    ("change", "token", "now", "reason"),
    [
        ({"method": "POST"}, None, 0, Reason.BINDING_PROOF),
        ({"url": "https://resource.example.org/other"}, None, 0, Reason.BINDING_PROOF),
        ({}, "another", 0, Reason.BINDING_PROOF),
        ({}, None, 100, Reason.BINDING_PROOF),
        ({}, None, -100, Reason.BINDING_PROOF),
    ],
)
def test_the_proof_of_rfc_9449_is_good_for_nothing_else(
    vectors: Load, change: dict[str, str], token: str | None, now: int, reason: Reason
) -> None:
    proof, own, jkt = example(vectors)
    shown = Evidence(**{"method": "GET", "url": PROTECTED, "scheme": "dpop", "proofs": (proof,), **change})
    with pytest.raises(RejectedError) as caught:
        DpopProofs().check(shown, token or own, jkt, 1562262618.0 + now)
    assert caught.value.reason == reason


def test_proofs_for_a_token_endpoint_have_no_token_and_are_refused_with_one(vectors: Load) -> None:
    cases = vectors("rfc9449-dpop/dpop_examples.json")["cases"]
    for case in cases[:2]:
        members = case["header"]["jwk"]
        assert sw.PublicJWK.from_dict(members).thumbprint() == case["jkt"]
        assert sw.verify_signature(case["token"], sw.PublicJWK.from_dict({"alg": "ES256", **members}))
        claims = case["payload"]
        shown = Evidence(method=claims["htm"], url=claims["htu"], scheme="dpop", proofs=(case["token"],))
        with pytest.raises(RejectedError, match="another token"):
            DpopProofs().check(shown, "a.b.c", case["jkt"], claims["iat"])


def test_the_certificate_of_rfc_9440_has_its_thumbprint_in_every_form(vectors: Load) -> None:
    example = vectors("applied/rfc9440/vector.json")
    leaf = example["leaf_x5t_S256"]
    assert parse_header(example["client_cert"], "rfc9440") == leaf
    assert parse_header(f"Hash={example['leaf_sha256_hex_xfcc_Hash']}", "xfcc") == leaf
    assert parse_header(quote(example["pem"][0]), "pem") == leaf
    assert parse_header(f'By=a;Cert="{quote(example["pem"][0])}"', "xfcc") == leaf
    with pytest.raises(RejectedError):
        parse_header(example["client_cert_chain"], "rfc9440")
