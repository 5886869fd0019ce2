"""Assertions of OAuth clients count once for all replicas, and after a restart."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path

import pytest
from postgresql import shared_cluster

import sealwright as sw
from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import Reason, RejectedError
from sealwright.keys.oauth_client import OAuthClient, key_text
from sealwright.settings import ServiceSettings
from sealwright.wiring.client_assertions import ClientAssertions

KEY = sw.PrivateJWK.generate("ES256")
ISSUER = "https://keys.example/issuers/default"
CLIENT = OAuthClient(
    issuer="default",
    client_id="job",
    authentication="private_key_jwt",
    audiences=("orders",),
    jwks=key_text({"keys": [KEY.public.to_dict()]}),
)


def assertion(token_id: str) -> str:
    claims = {"iss": "job", "sub": "job", "aud": ISSUER, "exp": int(SYSTEM_CLOCK.now()) + 60, "jti": token_id}
    return sw.sign(json.dumps(claims).encode(), KEY, typ="JWT")


def present(settings: ServiceSettings, text: str) -> None:
    """To a process of its own memory."""
    with closing(ClientAssertions(settings, SYSTEM_CLOCK)) as assertions:
        asyncio.run(assertions.verify(CLIENT, text, [ISSUER], 60.0))


def settings_of(home: Path, kind: str) -> ServiceSettings:
    if kind == "sqlite":
        return ServiceSettings(home=home)
    url = shared_cluster().new_database()
    return ServiceSettings(home=home, database_url=url.replace("postgresql:", f"{kind}:"))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "postgresql+psycopg"])
def test_an_assertion_that_one_process_took_is_refused_by_the_next(tmp_path: Path, kind: str) -> None:
    settings = settings_of(tmp_path, kind)
    text = assertion("one")
    present(settings, text)
    with pytest.raises(RejectedError) as refused:
        present(settings, text)
    assert refused.value.reason is Reason.REPLAY_SEEN_BEFORE
    present(settings, assertion("two"))
    assert (tmp_path / "replay.sqlite").exists() is (kind == "sqlite")
