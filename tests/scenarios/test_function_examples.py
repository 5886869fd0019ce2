"""The example functions, each from a folder as its image has it, with keys that were baked or are fetched."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from function_events import first_event, request_event, second_event
from jwks_server import JwksServer
from running_service import clean_environment

import sealwright as sw
from sealwright.clock import ManualClock

EXAMPLES = Path(__file__).parents[2] / "examples"
ISSUER, ENDPOINT = "https://id.example", "https://hooks.example/in"
KEY, STRANGER = sw.PrivateJWK.generate("ES256"), sw.PrivateJWK.generate("ES256")
BODY = b'{"order": 1,\r\n "total": "9.90"}'


@pytest.fixture
def server():
    server = JwksServer()
    server.publish(KEY)
    yield server
    server.stop()


@pytest.fixture
def image(server, tmp_path, monkeypatch):
    """Builds an image of an example, and loads its handler as a runtime does."""
    monkeypatch.setenv("ISSUER", ISSUER)
    monkeypatch.setenv("SENDER", ISSUER)
    monkeypatch.setenv("ENDPOINT", ENDPOINT)
    monkeypatch.setenv("JWKS_URL", server.url)

    def built(name: str, *, baked: bool = True, module: str = "handler") -> ModuleType:
        folder = tmp_path / name
        shutil.copytree(EXAMPLES / name, folder, dirs_exist_ok=True)
        if baked:
            sw.RemoteJWKSet(server.url, background=False).bake(folder / "keys.json")
            server.requests.clear()
        return loaded(folder / f"{module}.py")

    return built


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bearing(audience: str = "orders") -> list[tuple[str, str]]:
    token = sw.sign_claims({"sub": "alice"}, KEY, issuer=ISSUER, audience=audience, lifetime_s=900, typ="at+jwt")
    return [("Authorization", f"Bearer {token}")]


# The authorizer


@pytest.mark.parametrize("baked", [True, False])
def test_the_authorizer_decides_with_keys_of_its_image_or_fetched_ones(server, image, baked) -> None:
    handler = image("serverless_authorizer", baked=baked)
    for _ in range(3):
        answer = handler.orders(second_event("GET", "/orders", bearing()), None)
        assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"orders_of": "alice"})
        assert handler.authorize(request_event(bearing()), None)["principalId"] == "alice"
    assert handler.orders(first_event("GET", "/orders", bearing("bills")), None)["statusCode"] == 401
    assert server.fetches == (0 if baked else 1)


def test_a_fresh_interpreter_answers_its_first_call_without_a_fetch(server, image, tmp_path) -> None:
    image("serverless_authorizer")
    code = "import json, sys, handler; print(json.dumps(handler.orders(json.load(sys.stdin), None)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "serverless_authorizer",
        input=json.dumps(second_event("GET", "/orders", bearing())),
        env={**clean_environment(), "ISSUER": ISSUER, "JWKS_URL": server.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["statusCode"] == 200
    assert server.fetches == 0


# Webhooks


class Hook:
    """The receiver, what it received, and deliveries to it."""

    def __init__(self, handler: ModuleType, sender: ModuleType) -> None:
        self.handler, self.sender = handler, sender
        self.received: list[Any] = []
        handler.receive = lambda event_id, event: self.received.append((event_id, event))

    def headers(self, body: bytes = BODY, key: Any = KEY, **changes: Any) -> list[tuple[str, str]]:
        usual = {"sender": ISSUER, "endpoint": ENDPOINT, "event_id": "evt-1"}
        return list(self.sender.webhook_headers(body, key, **{**usual, **changes}).items())

    def deliver(self, headers: Any, body: bytes = BODY, event_of: Any = second_event) -> int:
        answer = self.handler.handler(event_of("POST", "/in", headers, body), None)
        return int(answer["statusCode"])


@pytest.fixture
def hook(image):
    return Hook(image("webhook_receiver"), image("webhook_receiver", module="sender"))


@pytest.mark.parametrize("event_of", [first_event, second_event])
def test_a_signed_webhook_is_received_once_however_often_it_is_replayed(server, hook, event_of) -> None:
    headers = hook.headers()
    assert [hook.deliver(headers, event_of=event_of) for _ in range(3)] == [204] * 3
    assert hook.received == [("evt-1", {"order": 1, "total": "9.90"})]
    assert server.fetches == 0


def test_a_retry_that_was_signed_anew_arrives_again_under_its_id(hook) -> None:
    earlier = ManualClock(time.time() - 10)
    assert hook.deliver(hook.headers(clock=earlier)) == 204
    assert hook.deliver(hook.headers()) == 204
    assert [event_id for event_id, _ in hook.received] == ["evt-1", "evt-1"]


def test_a_body_that_was_touched_is_refused_and_does_not_use_up_the_delivery(hook, capfd) -> None:
    headers = hook.headers()
    for other in (json.dumps(json.loads(BODY)).encode(), BODY + b"\n", BODY[:-1], b""):
        assert hook.deliver(headers, other) == 401
    assert '"reason": "signature.invalid"' in capfd.readouterr().err
    assert hook.deliver(headers) == 204
    assert len(hook.received) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"key": STRANGER},
        {"sender": "https://other.example"},
        {"endpoint": "https://hooks.example/other"},
        {"clock": ManualClock(time.time() - 900)},
        {"clock": ManualClock(time.time() + 900)},
    ],
)
def test_a_stranger_another_endpoint_and_another_time_are_refused(hook, changes) -> None:
    assert hook.deliver(hook.headers(**changes)) in (401, 503)
    assert hook.received == []


def test_a_token_of_another_kind_by_the_same_key_is_no_webhook(hook) -> None:
    body = {"jti": "1", "htm": "POST", "htu": ENDPOINT, "request_body_sha256": "0" * 64}
    token = sw.sign_claims(body, KEY, issuer=ISSUER, audience=ENDPOINT, lifetime_s=300)
    assert hook.deliver([("Webhook-JWT", token)]) == 401


def test_a_delivery_has_one_signature(hook) -> None:
    headers = hook.headers()
    assert hook.deliver(headers[:1]) == 401
    assert hook.deliver([*headers, headers[1]], event_of=first_event) == 401
    assert hook.deliver([*headers, headers[1]]) == 401
    assert hook.received == []


def test_a_body_that_is_too_large_or_broken_is_refused_before_anything_else(hook) -> None:
    assert hook.deliver([], b" " * (256 * 1024 + 1)) == 413
    broken = second_event("POST", "/in", hook.headers()) | {"body": "%%", "isBase64Encoded": True}
    assert hook.handler.handler(broken, None)["statusCode"] == 400
    assert hook.handler.handler({}, None)["statusCode"] == 400


def test_a_signed_body_that_is_no_json_object_is_400_and_received_by_nobody(hook) -> None:
    for body in (b"", b"[]", b"{", b"\xff"):
        assert hook.deliver(hook.headers(body), body) == 400
    assert hook.received == []


def test_keys_that_cannot_be_had_make_the_sender_try_again(server, hook) -> None:
    server.mode = "error"
    assert hook.deliver(hook.headers(key=STRANGER)) == 503
    assert hook.deliver(hook.headers()) == 204  # the key of the image still counts


def test_a_text_body_is_the_same_bytes(hook) -> None:
    event = second_event("POST", "/in", hook.headers()) | {"body": BODY.decode(), "isBase64Encoded": False}
    assert hook.handler.handler(event, None)["statusCode"] == 204
