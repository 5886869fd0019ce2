import asyncio

import pytest

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.jose.secret_jwk import SecretJWK
from sealwright.trust.sources.shared_secret import SharedSecret
from sealwright.trust.sources.snapshot import SnapshotKeys
from sealwright.trust.sources.static import StaticKeys


def reason(source, key_id):
    with pytest.raises(RejectedError) as caught:
        source.find(key_id)
    return caught.value.reason


def test_static_keys_are_found_by_kid_sync_and_async(k1, k2):
    source = StaticKeys(JWKSet([k1.public, k2.public]))
    assert source.find("k1") == k1.public
    assert asyncio.run(source.afind("k2")) == k2.public
    assert reason(source, "k3") == Reason.KEY_NOT_FOUND
    assert reason(source, None) == Reason.KEY_ID_MISSING
    source.close()


def test_one_static_key_answers_for_its_own_kid_only(k1):
    source = StaticKeys(k1.public)
    assert source.find(None) == source.find("k1") == k1.public
    assert reason(source, "k2") == Reason.KEY_NOT_FOUND


def test_one_static_key_without_a_kid_answers_to_any(k1):
    nameless = PublicJWK.from_dict({name: value for name, value in k1.public.to_dict().items() if name != "kid"})
    assert StaticKeys(nameless).find("whatever") is nameless


def test_snapshot_keys_ask_for_the_current_set_each_time(k1, k2):
    held = [JWKSet([k1.public])]
    source = SnapshotKeys(lambda: held[0])
    assert source.find("k1") == k1.public
    held[0] = JWKSet([k2.public])
    assert reason(source, "k1") == Reason.KEY_NOT_FOUND
    assert asyncio.run(source.afind("k2")) == k2.public
    source.close()


def test_shared_secrets_are_found_by_kid():
    old, new = SecretJWK.generate("HS256", key_id="old"), SecretJWK.generate("HS512", key_id="new")
    source = SharedSecret(old, new)
    assert source.find("old") is old
    assert asyncio.run(source.afind("new")) is new
    assert reason(source, "other") == Reason.KEY_NOT_FOUND
    assert reason(source, None) == Reason.KEY_ID_MISSING
    assert source.algorithms == {"HS256", "HS512"}
    source.close()


def test_a_single_secret_answers_a_token_without_kid_but_not_one_with_another():
    secret = SecretJWK.generate("HS256", key_id="only")
    assert SharedSecret(secret).find(None) is secret
    assert reason(SharedSecret(secret), "other") == Reason.KEY_NOT_FOUND


def test_a_single_secret_without_a_kid_answers_to_any():
    secret = SecretJWK.from_dict({"kty": "oct", "alg": "HS256", "k": "A" * 43})
    assert SharedSecret(secret).find("any") is secret


def test_secrets_that_cannot_be_told_apart_are_a_configuration_error():
    named = SecretJWK.generate("HS256", key_id="a")
    nameless = SecretJWK.from_dict({"kty": "oct", "alg": "HS256", "k": "A" * 43})
    for secrets in ((), (named, named), (named, nameless)):
        with pytest.raises(ConfigurationError):
            SharedSecret(*secrets)


def test_a_source_of_secrets_never_shows_them():
    secret = SecretJWK.generate("HS256", key_id="a")
    assert secret.export_secret_dict()["k"] not in repr(vars(SharedSecret(secret)))


def test_a_private_key_cannot_become_a_source():
    with pytest.raises(TypeError):
        StaticKeys(PrivateJWK.generate("Ed25519"))
