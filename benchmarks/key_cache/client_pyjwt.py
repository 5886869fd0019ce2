"""PyJWT's PyJWKClient, as its documentation shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt

from benchmarks.work import AUDIENCE, ISSUER


def make_sync(
    url: str, ttl_s: float = 300.0, timeout_s: float = 2.0, cooldown_s: float | None = None
) -> tuple[Callable[[str], Any], Callable[[], None]]:
    cooldown = {} if cooldown_s is None else {"cooldown_duration": cooldown_s}
    client = jwt.PyJWKClient(url, lifespan=ttl_s, timeout=timeout_s, **cooldown)

    def verify(token: str) -> Any:
        key = client.get_signing_key_from_jwt(token)
        return jwt.decode(token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=ISSUER)

    return verify, lambda: None
