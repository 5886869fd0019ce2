import asyncio
import hashlib
import hmac
import json

import pytest
from hand_made import forged, parts

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.jose.secret_jwk import SecretJWK
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.policy import IGNORE_AUDIENCE, IGNORE_ISSUER, VerificationPolicy
from sealwright.trust.sources.shared_secret import SharedSecret
from sealwright.trust.sources.snapshot import SnapshotKeys
from sealwright.trust.sources.static import StaticKeys
from sealwright.trust.verifier import Verifier


def test_a_good_token_gives_its_claims(verifier_of, token_of, claims, k1):
    seen = verifier_of(k1.public).verify(token_of(k1, scope="read write"))
    assert (seen.issuer, seen.key_id, seen.algorithm) == ("https://id.example", "k1", "ES256")
    assert (seen.subject, seen.scopes) == ("alice", {"read", "write"})
    assert seen.claims == {**claims, "scope": "read write"}
    assert "alice" not in repr(seen)


def test_the_four_entry_points_agree(verifier_of, token_of, k1):
    verifier, good = verifier_of(k1.public), token_of(k1)
    bad = good[:-8] + "AAAAAAAA"
    assert verifier.decide(good).accepted
    assert asyncio.run(verifier.adecide(good)).accepted
    assert asyncio.run(verifier.averify(good)) == verifier.verify(good)
    for decision in (verifier.decide(bad), asyncio.run(verifier.adecide(bad))):
        assert (decision.outcome, decision.reason) == ("rejected", Reason.SIGNATURE_INVALID)
    with pytest.raises(RejectedError):
        verifier.verify(bad)
    with pytest.raises(RejectedError):
        asyncio.run(verifier.averify(bad))


def test_bytes_are_as_good_as_text(verifier_of, token_of, k1):
    assert verifier_of(k1.public).decide(token_of(k1).encode()).accepted


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", Reason.TOKEN_MISSING),
        (None, Reason.TOKEN_MISSING),
        (7, Reason.TOKEN_MALFORMED),
        (["a"], Reason.TOKEN_MALFORMED),
        ("a.b", Reason.TOKEN_MALFORMED),
        ("a.b.c.d.e", Reason.TOKEN_MALFORMED),
        ("a.b.c ", Reason.TOKEN_ENCODING),
        ("ä.b.c", Reason.TOKEN_ENCODING),
        ("A" * 70_000, Reason.TOKEN_TOO_LARGE),
        (b"A" * 10_000_000, Reason.TOKEN_TOO_LARGE),
    ],
)
def test_garbage_is_rejected_with_its_reason(verifier_of, k1, token, reason):
    assert verifier_of(k1.public).decide(token).reason == reason


def test_a_token_above_its_issuers_own_limit_is_too_large(clock, token_of, k1):
    small = VerificationPolicy(issuer="https://id.example", audience="orders", maximum_token_bytes=200)
    large = VerificationPolicy(issuer="https://other.example", audience="orders")
    verifier = Verifier(issuers=[TrustedIssuer(p, StaticKeys(k1.public)) for p in (small, large)], clock=clock)
    assert verifier.decide(token_of(k1)).reason == Reason.TOKEN_TOO_LARGE
    assert verifier.decide(token_of(k1, iss="https://other.example")).accepted


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "hs256", "ES256 ", "RSA1_5", ""])
def test_an_algorithm_without_a_row_is_refused(verifier_of, claims, k1, alg):
    decision = verifier_of(k1.public).decide(forged({"alg": alg, "kid": "k1"}, claims))
    assert decision.reason in (Reason.ALGORITHM_UNKNOWN, Reason.HEADER_MALFORMED)


@pytest.mark.parametrize("encoding", ["jwk", "pem"])
def test_a_public_key_is_never_an_hmac_secret(verifier_of, claims, k1, encoding):
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    native = k1.public._native
    secret = (
        json.dumps(k1.public.to_dict()).encode()
        if encoding == "jwk"
        else native.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    header = {"alg": "HS256", "kid": "k1"}
    token = forged(header, claims, hmac.digest(secret, parts(header, claims), hashlib.sha256))
    assert verifier_of(k1.public).decide(token).reason == Reason.ALGORITHM_NOT_ALLOWED
    mixed = verifier_of(k1.public, algorithms={"ES256", "HS256"})
    assert mixed.decide(token).reason == Reason.ALGORITHM_KEY_MISMATCH


def test_an_hmac_with_another_secret_is_an_invalid_signature(verifier_of, token_of):
    ours, theirs = (SecretJWK.generate("HS256", key_id="s1") for _ in range(2))
    assert verifier_of(ours).decide(token_of(ours)).accepted
    assert verifier_of(ours).decide(token_of(theirs)).reason == Reason.SIGNATURE_INVALID


def test_a_secret_allows_its_own_algorithm_only(verifier_of, token_of, claims, k1):
    secret = SecretJWK.generate("HS256", key_id="s1")
    assert verifier_of(secret).decide(token_of(k1)).reason == Reason.ALGORITHM_NOT_ALLOWED
    assert verifier_of(SharedSecret(secret)).decide(token_of(secret)).accepted
    stricter = verifier_of(secret, algorithms={"HS512"})
    assert stricter.decide(token_of(secret)).reason == Reason.ALGORITHM_NOT_ALLOWED
    renamed = forged({"alg": "HS512", "kid": "s1"}, claims, b"x" * 64)
    assert stricter.decide(renamed).reason == Reason.ALGORITHM_NOT_ALLOWED


def test_the_tokens_algorithm_must_be_its_keys(verifier_of, claims, k1):
    header = {"alg": "ES384", "kid": "k1"}
    token = forged(header, claims, k1.sign(parts(header, claims)))
    assert verifier_of(k1.public).decide(token).reason == Reason.ALGORITHM_KEY_MISMATCH


def test_an_algorithm_outside_of_the_policy_is_refused_before_its_key_is_looked_for(token_of, clock, k1):
    def read():
        raise AssertionError("the key was looked for")

    policy = VerificationPolicy(issuer="https://id.example", audience="orders", algorithms=frozenset({"RS256"}))
    verifier = Verifier(issuers=[TrustedIssuer(policy, SnapshotKeys(read))], clock=clock)
    assert verifier.decide(token_of(k1)).reason == Reason.ALGORITHM_NOT_ALLOWED


def test_an_ed25519_key_accepts_both_of_its_names(verifier_of, token_of):
    new = PrivateJWK.generate("Ed25519", key_id="e1")
    older = PrivateJWK.from_dict({**new.export_private_dict(), "alg": "EdDSA"})
    verifier = verifier_of(new.public, algorithms={"Ed25519"})
    assert verifier.decide(token_of(new)).accepted
    assert verifier.decide(token_of(older)).accepted


def test_a_key_without_alg_gets_its_row_from_the_policy_and_never_from_the_token(verifier_of, token_of):
    key = PrivateJWK.generate("RS256", key_id="r1")
    bare = PublicJWK.from_dict({name: value for name, value in key.public.to_dict().items() if name != "alg"})
    assert verifier_of(bare, algorithms={"RS256", "ES256"}).verify(token_of(key)).algorithm == "RS256"
    assert verifier_of(bare).decide(token_of(key)).reason == Reason.KEY_AMBIGUOUS
    pss = PrivateJWK.from_dict({**key.export_private_dict(), "alg": "PS256"})
    assert verifier_of(bare, algorithms={"RS256"}).decide(token_of(pss)).reason == Reason.ALGORITHM_NOT_ALLOWED


def test_keys_that_a_token_brings_along_choose_nothing(verifier_of, claims, k1, k2):
    header = {"alg": "ES256", "kid": "k1", "jwk": k2.public.to_dict(), "jku": "https://evil.example/"}
    token = forged(header, claims, k2.sign(parts(header, claims)))
    assert verifier_of(k1.public).decide(token).reason == Reason.SIGNATURE_INVALID


def test_a_signature_is_checked_before_the_claims_are_believed(verifier_of, token_of, k1, k2):
    impostor = PrivateJWK.from_dict({**k2.export_private_dict(), "kid": "k1"})
    assert verifier_of(k1.public).decide(token_of(impostor, exp=1)).reason == Reason.SIGNATURE_INVALID


def test_each_issuer_is_checked_with_its_own_keys_and_rules(clock, token_of, k1, k2):
    first = VerificationPolicy(issuer="https://a.example", audience="orders")
    second = VerificationPolicy(issuer="https://b.example", audience="billing", typ="at+jwt")
    sources = StaticKeys(k1.public), StaticKeys(k2.public)
    verifier = Verifier(issuers=[TrustedIssuer(first, sources[0]), TrustedIssuer(second, sources[1])], clock=clock)
    assert verifier.verify(token_of(k1, iss="https://a.example")).issuer == "https://a.example"
    assert verifier.decide(token_of(k2, iss="https://b.example", aud="billing", typ="at+jwt")).accepted
    assert verifier.decide(token_of(k2, iss="https://b.example", aud="billing")).reason == Reason.HEADER_TYPE
    assert verifier.decide(token_of(k2, iss="https://a.example")).reason == Reason.KEY_NOT_FOUND
    impostor = PrivateJWK.from_dict({**k1.export_private_dict(), "kid": "k2"})
    token = token_of(impostor, iss="https://b.example", aud="billing", typ="at+jwt")
    assert verifier.decide(token).reason == Reason.SIGNATURE_INVALID
    assert verifier.decide(token_of(k1, iss="https://c.example")).reason == Reason.ISSUER_UNKNOWN


def test_an_ignored_issuer_matches_every_token_of_the_key(verifier_of, token_of, k1):
    verifier = verifier_of(k1.public, issuer=IGNORE_ISSUER, audience=IGNORE_AUDIENCE)
    assert verifier.verify(token_of(k1, iss="https://anyone.example")).issuer == "https://anyone.example"
    assert verifier.decide(token_of(k1, iss=None)).accepted


def test_revocations_of_an_issuer_that_is_ignored_would_not_be_obeyed_so_they_are_refused(k1):
    class Everything:
        def key_revoked(self, *_):
            return True

        token_revoked = key_revoked

    ignored = {"issuer": IGNORE_ISSUER, "audience": IGNORE_AUDIENCE, "keys": k1.public}
    trusted = TrustedIssuer(VerificationPolicy(issuer=IGNORE_ISSUER, audience="a"), StaticKeys(k1.public))
    for given in (ignored, {"issuers": [trusted]}):
        with pytest.raises(ConfigurationError):
            Verifier(**given, revocation=Everything())


@pytest.mark.parametrize(
    "missing", [{"issuer": None}, {"audience": None}, {"keys": None}, {"algorithms": []}, {"algorithms": "ES256"}]
)
def test_a_verifier_must_be_told_what_to_check(verifier_of, k1, missing):
    with pytest.raises(ConfigurationError) as caught:
        verifier_of(**{"keys": k1.public, **missing})
    assert caught.value.reason == Reason.SETTINGS_INVALID


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": ""},
        {"issuer": IGNORE_AUDIENCE},
        {"audience": IGNORE_ISSUER},
        {"audience": []},
        {"audience": "*"},
        {"algorithms": {"none"}},
        {"leeway_s": 121.0},
        {"leeway_s": -1.0},
        {"required_scopes": "read"},
        {"required_claims": "jti"},
    ],
)
def test_rules_that_would_accept_too_much_are_a_configuration_error(verifier_of, k1, wrong):
    with pytest.raises(ConfigurationError):
        verifier_of(k1.public, **wrong)


def test_issuers_that_are_ambiguous_are_a_configuration_error(k1):
    def trusted(issuer):
        return TrustedIssuer(VerificationPolicy(issuer=issuer, audience="a"), StaticKeys(k1.public))

    for issuers in (
        [trusted("https://a.example"), trusted("https://a.example")],
        [trusted(IGNORE_ISSUER), trusted("https://a.example")],
    ):
        with pytest.raises(ConfigurationError):
            Verifier(issuers=issuers)
    with pytest.raises(ConfigurationError):
        Verifier(issuers=[trusted("https://a.example")], issuer="https://a.example")
    with pytest.raises(ConfigurationError):
        Verifier(issuers=[trusted("https://a.example")], leeway_s=10.0)
    with pytest.raises(ConfigurationError):
        Verifier()
