"""The register of OAuth clients: over HTTP and the HTTP client, with secrets that are seen once and rotate."""

from __future__ import annotations

import gc
import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_server import Running
from oauth_world import EXCHANGE, World

import sealwright as sw
from sealwright.errors import Reason, RefusedError, RejectedError
from sealwright.jose import base64url
from sealwright.keys.oauth_client import has_secret
from sealwright.keys.oauth_clients import KIND
from sealwright.services.credentials import OPERATOR_SCOPES

KEY = sw.PrivateJWK.generate("ES256")


@pytest.fixture
def world(oauth: World) -> World:
    return oauth


@pytest.fixture(scope="module")
def running(oauth: World) -> Iterator[Running]:
    service = Running(oauth.process)
    yield service
    service.stop()


def register(world: World, name: str, **given: Any) -> dict[str, Any]:
    given = {"audiences": ["orders"], "reason": "test"} | given
    return world.operations.clients.create("default", name, **given)


def test_a_client_lives_over_http_as_everything_else_does(running: Running, world: World) -> None:
    clients = running.client().clients
    made = clients.create("default", "remote", audiences=["orders"], scopes=["read"], reason="new service")
    assert made["iss"] == world.issuer
    assert world.claims(world.fetch("remote", made["client_secret"]))["scope"] == "read"
    (shown,) = [one for one in clients.list("default")["clients"] if one["client_id"] == "remote"]
    assert (shown["authentication"], len(shown["secrets_since"])) == ("client_secret", 1)
    assert "client_secret" not in shown
    rotated = clients.rotate_secret("default", "remote", reason="routine")
    assert rotated["client_secret"] != made["client_secret"]
    clients.remove("default", "remote", reason="gone")
    assert world.fetch("remote", rotated["client_secret"]).status == 401
    with pytest.raises(RejectedError) as refused:
        clients.remove("default", "remote", reason="gone")
    assert refused.value.reason is Reason.CLIENT_UNKNOWN


def test_two_secrets_are_good_at_once_and_the_third_ends_the_first(world: World) -> None:
    rotate = world.operations.clients.rotate_secret
    secrets = [register(world, "rotating")["client_secret"]]
    for good in ([True, True], [False, True, True]):
        secrets.append(rotate("default", "rotating", reason="routine")["client_secret"])
        assert [world.fetch("rotating", one).status == 200 for one in secrets] == good
    secrets.append(rotate("default", "rotating", reason="leaked", end_others=True)["client_secret"])
    assert [world.fetch("rotating", one).status for one in secrets] == [401, 401, 401, 200]


def test_a_secret_is_random_and_only_its_digest_is_kept(world: World) -> None:
    secret = register(world, "kept")["client_secret"]
    assert len(base64url.decode_text(secret)) == 32
    stored = world.process.signing.catalog.document(KIND, "default/kept")
    assert stored is not None
    text = json.dumps(dict(stored.body))
    assert secret not in text
    assert hashlib.sha256(secret.encode()).hexdigest() in text
    files = [path for path in Path(world.process.settings.home).rglob("*") if path.is_file()]
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_only_one_of_the_kept_digests_will_do(world: World) -> None:
    client = world.process.clients
    register(world, "digest")
    found = client.find("default", "digest")
    assert found is not None
    assert not has_secret(found.secrets, found.secrets[0].digest)
    assert not has_secret((), "")
    assert not has_secret((), "0" * 64)


def test_every_change_is_in_the_audit_with_its_actor_and_without_a_secret(world: World) -> None:
    operations = world.operations.by("ops@example")
    secret = operations.clients.create("default", "audited", audiences=["orders"], reason="new")["client_secret"]
    operations.clients.rotate_secret("default", "audited", reason="yearly")
    operations.clients.remove("default", "audited", reason="gone")
    for action, reason in (("client.created", "new"), ("client.secret_rotated", "yearly"), ("client.removed", "gone")):
        entry = world.audit(action)[-1]
        assert (entry.actor, entry.reason, entry.issuer) == ("ops@example", reason, "default")
        assert entry.facts["client_id"] == "audited"
        assert secret not in repr(entry)
        assert hashlib.sha256(secret.encode()).hexdigest() not in repr(entry)


def test_keys_of_a_client_are_public_and_known_by_their_thumbprints(world: World) -> None:
    world.keyed("with-key", KEY)
    (shown,) = [one for one in world.operations.clients.list()["clients"] if one["client_id"] == "with-key"]
    assert shown["keys"] == [KEY.public.thumbprint()]
    private = {"keys": [KEY.export_private_dict()]}
    with pytest.raises(RejectedError) as refused:
        register(world, "leaky", authentication="private_key_jwt", jwks=private)
    assert refused.value.reason is Reason.KEY_NOT_PUBLIC
    with pytest.raises(RefusedError) as no_secret:
        world.operations.clients.rotate_secret("default", "with-key", reason="routine")
    assert no_secret.value.reason is Reason.CLIENT_AUTHENTICATION


def test_the_keys_of_a_client_may_be_at_a_url(world: World, running: Running) -> None:
    register(
        world,
        "published",
        authentication="private_key_jwt",
        jwks_url=f"{running.url}/issuers/default/.well-known/jwks.json",
    )
    stranger = world.assertion("published", KEY)
    assert world.asserted(stranger).status == 401
    assert world.audit("access.denied")[-1].reason == "key.not_found"
    register(world, "lost", authentication="private_key_jwt", jwks_url="http://127.0.0.1:1/jwks.json")
    assert world.asserted(world.assertion("lost", KEY)).code == (503, "temporarily_unavailable")


def test_the_keys_of_a_client_that_is_gone_are_fetched_no_more(world: World) -> None:
    before = set(threading.enumerate())
    register(world, "leaver", authentication="private_key_jwt", jwks_url="http://127.0.0.1:1/leaver.json")
    world.asserted(world.assertion("leaver", KEY))
    started = [thread for thread in set(threading.enumerate()) - before if "jwks" in thread.name]
    assert started
    assert ("default", "leaver") in world.process.assertions._verifiers
    world.operations.clients.remove("default", "leaver", reason="gone")
    world.fetch("nobody", "guess")
    assert ("default", "leaver") not in world.process.assertions._verifiers
    gc.collect()
    for thread in started:
        thread.join(10)
    assert not [thread for thread in started if thread.is_alive()]


@pytest.mark.parametrize(
    "given",
    [
        {"client_id": ""},
        {"client_id": "a:b"},
        {"client_id": "a/b"},
        {"client_id": "-a"},
        {"client_id": "a" * 101},
        {"client_id": "ä"},
        {"audiences": []},
        {"audiences": ["*"]},
        {"audiences": ["a b"]},
        {"audiences": ["a", "a"]},
        {"audiences": [""]},
        {"audiences": ["urn:sealwright:rehearsal:x"]},
        {"audiences": [f"a{n}" for n in range(101)]},
        {"scopes": ["a b"]},
        {"scopes": ['a"']},
        {"grants": []},
        {"grants": ["password"]},
        {"lifetime_s": 0.5},
        {"lifetime_s": 1e9},
        {"lifetime_s": float("nan")},
        {"assertion_lifetime_s": 7200},
        {"assertion_lifetime_s": float("nan")},
        {"authentication": "none"},
        {"authentication": "private_key_jwt"},
        {"authentication": "private_key_jwt", "jwks": {}},
        {"authentication": "private_key_jwt", "jwks": {"keys": []}},
        {"authentication": "private_key_jwt", "jwks": {"keys": [{"kty": "oct", "k": "AA"}]}},
        {"authentication": "private_key_jwt", "jwks": {"keys": ["x"]}},
        {"authentication": "private_key_jwt", "jwks_url": "ftp://example"},
        {"authentication": "private_key_jwt", "jwks_url": "http://keys.example/jwks.json"},
        {
            "authentication": "private_key_jwt",
            "jwks_url": "https://a.example",
            "jwks": {"keys": [KEY.public.to_dict()]},
        },
        {"jwks_url": "https://a.example/jwks.json"},
    ],
)
def test_a_client_that_could_not_be_meant_is_refused(world: World, given: dict[str, Any]) -> None:
    asked = {"client_id": "wrong", **given}
    before = world.operations.clients.list()
    with pytest.raises(RejectedError):
        register(world, asked.pop("client_id"), **asked)
    assert world.operations.clients.list() == before


def test_a_name_is_taken_once_and_issuers_do_not_share_them(world: World) -> None:
    register(world, "taken")
    with pytest.raises(RefusedError) as refused:
        register(world, "taken")
    assert refused.value.reason is Reason.CLIENT_EXISTS
    for issuer in ("internal", "nobody"):
        with pytest.raises(RejectedError):
            world.operations.clients.create(issuer, "x", audiences=["orders"], reason="test")


def test_routes_need_their_scopes_and_lists_are_limited_to_issuers(world: World) -> None:
    operations = world.operations
    if "partner" not in world.process.publications.issuers():
        operations.create("partner", algorithm="ES256", reason="test")
    operations.clients.create("partner", "theirs", audiences=["orders"], reason="test")

    def ask(method: str, path: str, scopes: list[str], body: Any = None) -> Any:
        token = operations.issue_operator_credential("somebody", scopes)["token"]
        content = b"" if body is None else json.dumps(body).encode()
        return world.send(path, content, [("authorization", f"Bearer {token}")], method=method)

    others = [scope for scope in OPERATOR_SCOPES if scope != "clients:write"]
    create, body = "/v1/issuers/partner/clients", {"client_id": "x", "audiences": ["orders"]}
    assert ask("POST", create, others, body).status == 403
    assert ask("POST", create, ["clients:write:default"], body).status == 403
    made = ask("POST", create, ["clients:write:partner"], body)
    assert (made.status, made.headers["cache-control"]) == (201, "no-store")
    for verb in ("rotate-secret", "remove"):
        assert ask("POST", f"{create}/x/{verb}", others, {"reason": "r"}).status == 403
        assert ask("POST", f"{create}/x/{verb}", ["clients:write"], {"reason": "r"}).status == 200
        assert ask("POST", f"{create}/nobody/{verb}", ["clients:write"], {"reason": "r"}).status == 404
    assert ask("GET", "/v1/clients", ["clients:write"]).status == 403
    shown = ask("GET", "/v1/clients", ["keys:read:partner"]).json()["clients"]
    assert {one["issuer"] for one in shown} == {"partner"}
    assert ask("POST", create, ["clients:write"], {**body, "surprise": 1}).status == 400


def test_metadata_says_what_there_is_under_the_name_that_tokens_carry(world: World) -> None:
    paths = (
        "/.well-known/oauth-authorization-server/issuers/default",
        "/issuers/default/.well-known/oauth-authorization-server",
    )
    first, second = (world.send(path, method="GET") for path in paths)
    assert first.body == second.body
    page = first.json()
    assert page["issuer"] == world.issuer
    assert page["grant_types_supported"] == ["client_credentials", EXCHANGE]
    assert page["token_endpoint"] == f"{world.issuer}/token"
    assert set(page["token_endpoint_auth_methods_supported"]) == {
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    }
    algorithms = set(page["token_endpoint_auth_signing_alg_values_supported"])
    assert {"ES256", "RS256", "EdDSA"} <= algorithms
    assert not algorithms & {"none", "HS256"}
    assert world.send("/.well-known/oauth-authorization-server/issuers/nobody", method="GET").status == 404
    assert world.send(paths[0], method="GET", headers=[("if-none-match", first.headers["etag"])]).status == 304
    discovery = world.send("/issuers/default/.well-known/openid-configuration", method="GET").json()
    assert discovery["token_endpoint"] == page["token_endpoint"]
