"""Whatever is posted, the answer is a decision, a result or a problem: never a fault of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_together import ask

from sealwright.services import http
from sealwright.services.credentials import OPERATOR_SCOPES
from sealwright.services.key_service.operations import KeyOperations
from sealwright.services.together import build_app
from sealwright.settings import ServiceSettings
from sealwright.wiring.data_folder import OwnedFolder
from sealwright.wiring.starting import open_single_process

POSTS = (
    "/v1/verify",
    "/v1/issuers/default/tokens",
    "/v1/issuers/default/sign",
    "/v1/issuers/{text}/keys",
    "/v1/issuers/{text}/rotate",
    "/v1/issuers/{text}/emergency-rotate",
    "/v1/keys/{text}/retire",
    "/v1/keys/{text}/{text}",
)
MEMBERS = (
    "token",
    "audience",
    "scopes",
    "claims",
    "lifetime_s",
    "payload",
    "typ",
    "reason",
    "force",
    "algorithm",
    "key_id",
    "method",
    "url",
    "scheme",
    "dpop",
    "certificate_thumbprint",
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
bodies = st.dictionaries(st.sampled_from(MEMBERS), values, max_size=6).map(json.dumps).map(str.encode) | st.binary(
    max_size=60
)
names = st.text(st.characters(codec="ascii", exclude_characters="/?#"), min_size=1, max_size=20)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    chosen = ServiceSettings(home=tmp_path_factory.mktemp("property") / "data")
    with OwnedFolder(chosen.home) as owned, open_single_process(chosen, owned) as process:
        operations = KeyOperations(process, "test")
        token = operations.issue_operator_credential("operator", OPERATOR_SCOPES)["token"]
        yield build_app(process, operations), token


@given(path=st.sampled_from(POSTS), name=names, body=bodies)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=3 * settings().max_examples,
)
def test_property_no_request_is_a_fault_of_ours(asked: Any, path: str, name: str, body: bytes) -> None:
    app, token = asked
    status, answer = ask(app, path.replace("{text}", name), "127.0.0.1", token=token, method="POST", body=body)
    assert status in (200, 201, 400, 404, 405, 409, 413), (status, answer)
    told = json.loads(answer)
    assert status < 400 or told["reason"]


def test_a_body_that_does_not_arrive_is_given_up(tmp_path: Path) -> None:
    async def app(*_: Any) -> None:
        raise AssertionError("never reached")

    async def receive() -> Any:
        await asyncio.Event().wait()

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": [], "path": "/"}
    asyncio.run(http.BodyLimit(app, deadline_s=0.01)(scope, receive, send))
    assert sent[0]["status"] == 408
