"""What a key backend answers when it can't."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import sealwright as sw


def failing(reason: str, call: Callable[..., Any], *arguments: Any) -> sw.BackendError:
    """The call must fail with a backend error of this reason; gives the error."""
    with pytest.raises(sw.BackendError) as caught:
        call(*arguments)
    assert caught.value.reason == reason, caught.value.reason
    return caught.value
