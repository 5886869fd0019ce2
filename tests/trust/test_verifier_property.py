import asyncio
import json

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sealwright.clock import ManualClock
from sealwright.jose import base64url, strict_json
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.jose.signing import sign
from sealwright.trust.verifier import Verifier

KEYS = [PrivateJWK.generate(alg, key_id=alg) for alg in ("ES256", "Ed25519", "PS256")]
CLOCK = ManualClock()
CLAIMS = {"iss": "https://id.example", "aud": "orders", "sub": "alice", "exp": CLOCK.now() + 900}
TOKENS = [sign(strict_json.encode_object(CLAIMS), key) for key in KEYS]
VERIFIER = Verifier(
    issuer="https://id.example", audience="orders", keys=JWKSet(key.public for key in KEYS), clock=CLOCK
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "iss", "aud", "exp", "nbf", "iat", "scope"])


def is_refused(token):
    decision = VERIFIER.decide(token)
    also = asyncio.run(VERIFIER.adecide(token))
    assert (decision.outcome, decision.reason) == (also.outcome, also.reason)
    assert decision.outcome == "rejected"
    assert not decision.accepted
    assert decision.verified is None
    return True


def test_the_unchanged_tokens_are_accepted():
    assert all(VERIFIER.decide(token).accepted for token in TOKENS)


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_no_garbage_is_accepted(token):
    assert is_refused(token)


@settings(max_examples=3 * settings().max_examples)
@given(st.sampled_from(TOKENS), st.data())
def test_no_token_with_changed_characters_is_accepted(token, data):
    start = data.draw(st.integers(0, len(token)))
    stop = data.draw(st.integers(start, min(len(token), start + 8)))
    alphabet = "ABab01-_.=+/ \n\u00e9"
    changed = token[:start] + data.draw(st.text(alphabet, max_size=8)) + token[stop:]
    assume(changed != token)
    assert is_refused(changed)


@given(st.sampled_from(TOKENS), st.integers(min_value=0), st.integers(0, 7))
def test_no_token_with_one_bit_flipped_is_accepted(token, position, bit):
    raw = bytearray(token.encode())
    raw[position % len(raw)] ^= 1 << bit
    assert is_refused(bytes(raw))


@given(st.lists(st.sampled_from([part for token in TOKENS for part in token.split(".")]), min_size=1, max_size=5))
def test_no_other_arrangement_of_true_segments_is_accepted(segments):
    token = ".".join(segments)
    assume(token not in TOKENS)
    assert is_refused(token)


@settings(max_examples=2 * settings().max_examples)
@given(st.sampled_from(TOKENS), st.dictionaries(NAMES | st.text(), JSON, max_size=4), st.integers(0, 1))
def test_no_token_with_changed_members_is_accepted(token, members, index):
    segments = token.split(".")
    kept = json.loads(base64url.decode_text(segments[index]))
    changed = {**kept, **members}
    segments[index] = base64url.encode_text(json.dumps(changed).encode("utf-8", "surrogatepass"))
    assume(".".join(segments) != token)
    assert is_refused(".".join(segments))


@settings(max_examples=2 * settings().max_examples)
@given(st.sampled_from(KEYS), st.dictionaries(NAMES, JSON, min_size=1, max_size=4))
def test_signed_claims_of_any_shape_are_decided_without_raising(key, members):
    payload = json.dumps({**CLAIMS, **members}).encode()
    head = base64url.encode(json.dumps({"alg": key.algorithm.name, "kid": key.key_id}).encode())
    signing_input = head + b"." + base64url.encode(payload)
    token = signing_input + b"." + base64url.encode(key.sign(signing_input))
    assert VERIFIER.decide(token).outcome in ("accepted", "rejected")
