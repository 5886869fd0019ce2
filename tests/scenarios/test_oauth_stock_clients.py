"""Stock OAuth clients against a real service: Authlib and requests-oauthlib fetch, exchange, introspect and revoke."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from joserfc.jwk import ECKey, RSAKey
from running_service import RunningService

from sealwright.cli.main import command
from sealwright.errors import RejectedError

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class ShortLived(PrivateKeyJWT):
    """What docs/guides/oauth-clients.md says: the issuer as audience, and an end that is near."""

    def __init__(self, issuer: str) -> None:
        super().__init__(issuer, alg="ES256")

    def sign(self, auth: Any, token_endpoint: str) -> str:
        signed: str = private_key_jwt_sign(
            auth.client_secret, auth.client_id, token_endpoint, alg=self.alg, expires_in=60
        )
        return signed


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    service = RunningService(tmp_path_factory.mktemp("stock") / "data")
    yield service
    service.kill()


@pytest.fixture(scope="module")
def metadata(running: RunningService) -> dict[str, Any]:
    """Discovered as RFC 8414 §3 says, from the name of the issuer alone."""
    issuer = f"{running.url}/issuers/default"
    found = requests.get(get_well_known_url(issuer, external=True), timeout=10).json()
    assert found["issuer"] == issuer
    return dict(found)


def created(service: RunningService, name: str, **given: Any) -> str:
    """Registered, and its secret; none for one with keys."""
    body = {"client_id": name, "audiences": ["orders"], **given}
    answer = service.request("POST", "/v1/issuers/default/clients", body)
    assert answer.status == 201, answer.body
    return str(answer.json().get("client_secret"))


def keyed(service: RunningService, name: str, key: Any, algorithm: str, **given: Any) -> None:
    jwks = {"keys": [{**key.as_dict(private=False), "alg": algorithm}]}
    created(service, name, authentication="private_key_jwt", jwks=jwks, **given)


def verified(metadata: dict[str, Any], token: str, audience: str) -> dict[str, Any]:
    """By PyJWT, with what the metadata says and nothing else."""
    key = jwt.PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(token)
    claims: dict[str, Any] = jwt.decode(
        token, key, algorithms=["ES256"], audience=audience, issuer=metadata["issuer"], options={"require": ["exp"]}
    )
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    return claims


def test_authlib_takes_the_metadata_for_valid(metadata: dict[str, Any]) -> None:
    page = AuthorizationServerMetadata(metadata)
    for name in page.REGISTRY_KEYS:  # but for https, which loopback has not
        if name not in ("issuer", "authorization_endpoint") and not name.endswith(("_endpoint", "_uri")):
            getattr(page, f"validate_{name}")()


def test_authlib_fetches_introspects_and_revokes_with_a_secret(
    running: RunningService, metadata: dict[str, Any]
) -> None:
    secret = created(running, "batch", scopes=["read", "write"])
    for method in ("client_secret_basic", "client_secret_post"):
        session = OAuth2Session("batch", secret, scope="read", token_endpoint_auth_method=method)
        token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials", resource="orders")
        claims = verified(metadata, token["access_token"], "orders")
        assert (claims["sub"], claims["client_id"], claims["scope"]) == ("batch", "batch", "read")
        told = session.introspect_token(metadata["introspection_endpoint"], token["access_token"]).json()
        assert (told["active"], told["client_id"]) == (True, "batch")
        assert session.revoke_token(metadata["revocation_endpoint"], token["access_token"]).status_code == 200
        told = session.introspect_token(metadata["introspection_endpoint"], token["access_token"]).json()
        assert told == {"active": False}


def test_authlib_hears_why_it_gets_none(running: RunningService, metadata: dict[str, Any]) -> None:
    secret = created(running, "narrow")
    for wrong, scope, error in ((secret, "admin", "invalid_scope"), ("guess", "", "invalid_client")):
        session = OAuth2Session("narrow", wrong, scope=scope or None)
        with pytest.raises(Exception, match=error):
            session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")


def test_authlib_proves_itself_with_a_key(running: RunningService, metadata: dict[str, Any], tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256", auto_kid=True)
    keyed(running, "job", key, "ES256")
    session = OAuth2Session("job", key, token_endpoint_auth_method="private_key_jwt")
    session.register_client_auth_method(ShortLived(metadata["issuer"]))
    for _ in range(2):  # an assertion each
        token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
        assert verified(metadata, token["access_token"], "orders")["sub"] == "job"
    told = session.introspect_token(metadata["introspection_endpoint"], token["access_token"]).json()
    assert told["active"] is True


def test_authlib_as_it_comes_needs_two_options(
    running: RunningService, metadata: dict[str, Any], tmp_path: Path
) -> None:
    """Its assertions name the token endpoint, and end after an hour."""
    key = RSAKey.generate_key(2048, auto_kid=True)
    keyed(running, "strict", key, "RS256")
    keyed(running, "lenient", key, "RS256", token_endpoint_audience=True, assertion_lifetime_s=3600)
    for name in ("strict", "lenient"):
        session = OAuth2Session(name, key, token_endpoint_auth_method="private_key_jwt")
        session.register_client_auth_method(PrivateKeyJWT())
        if name == "strict":
            with pytest.raises(Exception, match="invalid_client"):
                session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
        else:
            token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
            assert verified(metadata, token["access_token"], "orders")["sub"] == "lenient"


def test_authlib_exchanges_a_token(running: RunningService, metadata: dict[str, Any]) -> None:
    secret = created(
        running, "shop", audiences=["stock"], grants=[EXCHANGE], subject_audiences=["shop"], scopes=["read"]
    )
    subject = running.token(audience="shop", scope="read write")
    session = OAuth2Session("shop", secret)
    token = session.fetch_token(
        metadata["token_endpoint"],
        grant_type=EXCHANGE,
        subject_token=subject,
        subject_token_type=ACCESS_TOKEN,
        audience="stock",
    )
    claims = verified(metadata, token["access_token"], "stock")
    assert (claims["sub"], claims["scope"], claims["act"]) == ("alice", "read", {"sub": "shop"})
    assert token["issued_token_type"] == ACCESS_TOKEN


def test_requests_oauthlib_fetches_a_token(
    running: RunningService, metadata: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from oauthlib.oauth2 import BackendApplicationClient
    from requests_oauthlib import OAuth2Session as Session

    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    secret = created(running, "oauthlib", scopes=["read"])
    session = Session(client=BackendApplicationClient(client_id="oauthlib"))
    token = session.fetch_token(metadata["token_endpoint"], client_id="oauthlib", client_secret=secret)
    assert verified(metadata, token["access_token"], "orders")["scope"] == "read"


def test_the_command_line_registers_rotates_lists_and_removes(
    running: RunningService, metadata: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def sealwright(*arguments: str) -> str:
        command("clients")(["clients", *arguments, "--home", str(running.home)], standalone_mode=False)
        return capsys.readouterr().out.strip()

    def statuses(*secrets: str) -> list[int]:
        form = {"grant_type": "client_credentials"}
        url = metadata["token_endpoint"]
        return [requests.post(url, data=form, auth=("walked", one), timeout=10).status_code for one in secrets]

    file = tmp_path / "secret"
    first = sealwright("create", "walked", "--audience", "orders", "--scope", "read", "--lifetime", "5m")
    rotated = sealwright("rotate-secret", "walked", "--out", str(file), "--json")
    second = file.read_text().strip()
    assert file.stat().st_mode & 0o777 == 0o600
    assert second not in rotated
    assert statuses(first, second) == [200, 200]
    for attempt in ("rotate-secret", "walked"), ("create", "lost", "--audience", "orders"):
        with pytest.raises(RejectedError, match="File exists"):
            sealwright(*attempt, "--out", str(file))
    assert statuses(first, second) == [200, 200]  # nobody would know the secret that took the place of one of these
    assert "lost" not in sealwright("list", "--json")
    with pytest.raises(RejectedError):
        sealwright("rotate-secret", "nobody", "--out", str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
    third = sealwright("rotate-secret", "walked", "--end-others", "--reason", "leaked")
    assert statuses(first, second, third) == [401, 401, 200]
    listed = sealwright("list")
    assert "walked" in listed
    assert third not in listed
    assert json.loads(sealwright("remove", "walked", "--reason", "done", "--json"))["client_id"] == "walked"
    assert "walked" not in sealwright("list", "--json")
    log = "".join(running.output)
    assert not [secret for secret in (first, second, third) if secret in log]


def test_the_command_line_registers_a_client_with_keys(
    running: RunningService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(ECKey.generate_key("P-256").as_dict(private=False)))
    options = ("--audience", "orders", "--grant", "token-exchange", "--keys", str(keys), "--home", str(running.home))
    command("clients")(["clients", "create", "with-keys", *options], standalone_mode=False)
    assert "with-keys" in capsys.readouterr().out
    (shown,) = [
        one for one in running.request("GET", "/v1/clients").json()["clients"] if one["client_id"] == "with-keys"
    ]
    assert (shown["grants"], len(shown["keys"])) == ([EXCHANGE], 1)
