"""Our own clients against a real service: tokens by secret, by key and by exchange, through each HTTP client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from client_skins import CLIENT_SKINS
from running_service import RunningService
from token_server import TokenServer

import sealwright as sw
from sealwright.client.access_tokens import AccessTokens
from sealwright.client.client_authentication import ClientAuthentication, ClientSecret, PrivateKeyJwt
from sealwright.client.token_endpoint import EXCHANGE, TokenEndpoint, Wanted


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    service = RunningService(tmp_path_factory.mktemp("own") / "data")
    yield service
    service.kill()


@pytest.fixture
def resource() -> Iterator[TokenServer]:
    server = TokenServer()
    yield server
    server.stop()


def created(service: RunningService, name: str, **given: Any) -> str:
    answer = service.request(
        "POST", "/v1/issuers/default/clients", {"client_id": name, "audiences": ["orders"], **given}
    )
    assert answer.status == 201, answer.body
    return str(answer.json().get("client_secret"))


def tokens_of(
    service: RunningService, client: ClientAuthentication, resource: TokenServer, **wanted: Any
) -> AccessTokens:
    endpoint = TokenEndpoint(issuer=f"{service.url}/issuers/default", client=client, wanted=Wanted(**wanted))
    return AccessTokens(endpoint, origins=[resource.origin])


def verified(service: RunningService, token: str, audience: str = "orders") -> sw.Verified:
    issuer = f"{service.url}/issuers/default"
    with sw.DiscoveredJWKSet(issuer) as keys:
        return sw.Verifier(issuer=issuer, audience=audience, keys=keys, typ="at+jwt").verify(token)


@pytest.mark.parametrize("skin", CLIENT_SKINS)
def test_a_request_carries_a_token_that_was_fetched_with_a_secret(running, resource, skin) -> None:
    secret = created(running, f"batch-{skin.replace(' ', '-')}", scopes=["read", "write"])
    client = ClientSecret(f"batch-{skin.replace(' ', '-')}", secret)
    CLIENT_SKINS[skin](tokens_of(running, client, resource, scope="read"))("GET", resource.api_url)
    seen = verified(running, resource.shown[0].removeprefix("Bearer "))
    assert (seen.subject, seen.scopes) == (client.client_id, {"read"})


@pytest.mark.parametrize("alg", ["ES256", "Ed25519"])
def test_a_client_proves_itself_with_a_key(running, resource, alg) -> None:
    key = sw.PrivateJWK.generate(alg)
    created(running, f"job-{alg}", authentication="private_key_jwt", jwks={"keys": [key.public.to_dict()]})
    token = tokens_of(running, PrivateKeyJwt(f"job-{alg}", key), resource).token_for(resource.api_url)
    assert verified(running, token).subject == f"job-{alg}"


def test_a_client_exchanges_a_token_for_a_narrower_one(running, resource) -> None:
    user = ClientSecret("user", created(running, "user", audiences=["shop"]))
    subject = tokens_of(running, user, resource).token_for(resource.api_url)
    options = {"audiences": ["stock"], "grants": [EXCHANGE], "subject_audiences": ["shop"]}
    shop = ClientSecret("shop", created(running, "shop", **options))
    tokens = tokens_of(running, shop, resource, audience="stock", subject_token=lambda: subject)
    seen = verified(running, tokens.token_for(resource.api_url), "stock")
    assert (seen.subject, seen.actor["sub"]) == ("user", "shop")


def test_a_client_that_is_refused_is_told_the_code_of_the_service(running, resource) -> None:
    created(running, "narrow")
    with pytest.raises(sw.UnavailableError) as caught:
        tokens_of(running, ClientSecret("narrow", "guess"), resource).token_for(resource.api_url)
    assert caught.value.reason is sw.Reason.CREDENTIAL_REFUSED
    assert "invalid_client" in caught.value.detail
