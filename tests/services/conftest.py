"""One process with OAuth clients for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from oauth_world import World

from sealwright.services.key_service import client_authentication
from sealwright.settings import ServiceSettings
from sealwright.wiring.data_folder import OwnedFolder
from sealwright.wiring.starting import open_single_process


@pytest.fixture(scope="module")
def oauth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Refuses at once, and as often as it is asked."""
    settings = ServiceSettings(home=tmp_path_factory.mktemp("oauth") / "data", denied_calls_burst=10_000)
    with (
        OwnedFolder(settings.home) as owned,
        open_single_process(settings, owned) as process,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(client_authentication, "REFUSAL_S", 0)
        yield World(process)
