"""Keys that are published and cannot be used here: skipped, told about, and no reason to fetch again."""

import asyncio

import pytest

from sealwright.errors import Reason, RejectedError
from sealwright.jose.jwk import PrivateJWK


@pytest.fixture(scope="session")
def rsa():
    return PrivateJWK.generate("RS256", key_id="rsa")


def without_alg(key):
    return {name: value for name, value in key.public.to_dict().items() if name != "alg"}


def refused(source, key_id):
    with pytest.raises(RejectedError) as caught:
        source.find(key_id)
    return caught.value.reason


@pytest.mark.parametrize("algorithms", [["RS256", "PS256"], ["RS256", "RS384", "ES256"]])
def test_a_key_without_alg_that_fits_two_allowed_rows_is_skipped_as_ambiguous(remote, server, rsa, k1, algorithms):
    server.keys = [without_alg(rsa), k1.public.to_dict()]
    source = remote(algorithms=[*algorithms, "ES256"])
    assert source.find("k1").key_id == "k1"
    (skipped,) = source.status().skipped
    assert (skipped.key_id, skipped.reason) == ("rsa", Reason.KEY_AMBIGUOUS)
    assert refused(source, "rsa") == Reason.KEY_AMBIGUOUS


def test_a_key_without_alg_that_fits_one_allowed_row_is_bound_to_it(remote, server, rsa):
    server.keys = [without_alg(rsa)]
    source = remote(algorithms=["PS256", "ES256"])
    assert source.find("rsa").algorithm.name == "PS256"
    assert source.status().skipped == ()


def test_without_the_policys_algorithms_the_verifier_refuses_the_same_key(remote, server, rsa, verifier_of, token_of):
    server.keys = [without_alg(rsa)]
    source, token = remote(), token_of(rsa)
    assert verifier_of(source, algorithms=["RS256", "PS256"]).decide(token).reason == Reason.KEY_AMBIGUOUS
    assert verifier_of(source, algorithms=["RS256"]).decide(token).accepted


def test_an_ambiguous_key_takes_no_usable_key_of_the_same_kid_with_it(remote, server, rsa):
    twin = PrivateJWK.generate("ES256", key_id="rsa")
    server.keys = [without_alg(rsa), twin.public.to_dict()]
    assert remote(algorithms=["RS256", "PS256", "ES256"]).find("rsa").algorithm.name == "ES256"


def test_a_token_that_names_a_skipped_key_causes_no_fetch(warm, server, rsa, k1):
    source = warm(algorithms=["RS256", "PS256", "ES256"])
    server.keys = [without_alg(rsa), k1.public.to_dict()]
    source.refresh()
    server.requests.clear()
    for _ in range(50):
        assert refused(source, "rsa") == Reason.KEY_AMBIGUOUS
    with pytest.raises(RejectedError):
        asyncio.run(source.afind("rsa"))
    assert server.fetches == 0


def test_a_skipped_key_that_is_mended_is_used_after_the_next_refresh(warm, server, rsa, k1):
    source = warm(algorithms=["RS256", "PS256", "ES256"])
    server.keys = [without_alg(rsa), k1.public.to_dict()]
    source.refresh()
    assert refused(source, "rsa") == Reason.KEY_AMBIGUOUS
    server.publish(rsa, k1)
    source.refresh()
    assert source.find("rsa").algorithm.name == "RS256"


def test_keys_for_algorithms_that_are_not_allowed_are_skipped(remote, server, rsa, k1):
    server.publish(rsa, k1)
    source = remote(algorithms=["ES256"])
    assert source.find("k1").key_id == "k1"
    assert refused(source, "rsa") == Reason.ALGORITHM_NOT_ALLOWED
