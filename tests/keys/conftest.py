"""One opened world, and a handle that no other test uses, for each test that asks for it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from world import World

import sealwright as sw


@pytest.fixture
def world() -> World:
    return World().opened()


@pytest.fixture
def handle() -> str:
    return secrets.token_hex(16)


@pytest.fixture
def refuses() -> Callable[..., sw.RefusedError]:
    def check(expected: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> sw.RefusedError:
        with pytest.raises(sw.RefusedError) as caught:
            call(*arguments, **named)
        assert caught.value.reason == expected
        return caught.value

    return check
