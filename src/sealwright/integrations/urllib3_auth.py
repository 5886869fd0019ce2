"""AuthorizedPool: access tokens for urllib3, renewed ahead of their end, or where a resource refuses one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from urllib3 import BaseHTTPResponse, HTTPHeaderDict, PoolManager

from sealwright.client.access_tokens import AccessTokens


class AuthorizedPool:
    """``request`` of a PoolManager, with a token. Raises as ``AccessTokens.token_for`` does."""

    def __init__(self, pool: PoolManager, tokens: AccessTokens) -> None:
        self._pool, self._tokens = pool, tokens

    def request(
        self, method: str, url: str, *, body: Any = None, headers: Mapping[str, str] | None = None, **options: Any
    ) -> BaseHTTPResponse:
        """``options`` are those of ``PoolManager.request``. A redirect to another origin does not carry the token."""
        sent = HTTPHeaderDict(self._pool.headers if headers is None else headers)

        def answer_to(token: str) -> BaseHTTPResponse:
            sent["Authorization"] = f"Bearer {token}"
            return self._pool.request(method, url, body=body, headers=sent.copy(), **options)

        token = self._tokens.token_for(url)
        answer = answer_to(token)
        if answer.status != 401 or not _is_repeatable(body, options) or _was_redirected(answer):
            return answer
        renewed = self._tokens.renewed_for(url, token)
        if renewed is None:
            return answer
        answer.close()
        return answer_to(renewed)


def _is_repeatable(body: object, options: Mapping[str, Any]) -> bool:
    return (body is None or isinstance(body, bytes | str)) and "fields" not in options


def _was_redirected(answer: BaseHTTPResponse) -> bool:
    return answer.retries is not None and bool(answer.retries.history)
