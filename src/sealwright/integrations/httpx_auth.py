"""HttpxAuth: access tokens for httpx, sync and async, renewed ahead of their end, or where a resource refuses one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import httpx

from sealwright.client.access_tokens import AccessTokens


class HttpxAuth(httpx.Auth):
    """For ``httpx.Client(auth=…)`` and ``httpx.AsyncClient(auth=…)``. Raises as ``AccessTokens.token_for`` does."""

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        url = str(request.url)
        token = self._tokens.token_for(url)
        answer = yield _with(request, token)
        if _is_refused(answer, token):
            renewed = self._tokens.renewed_for(url, token)
            if renewed is not None:
                yield _with(answer.request, renewed)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        url = str(request.url)
        token = await self._tokens.atoken_for(url)
        answer = yield _with(request, token)
        if _is_refused(answer, token):
            renewed = await self._tokens.arenewed_for(url, token)
            if renewed is not None:
                yield _with(answer.request, renewed)


def _with(request: httpx.Request, token: str) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _is_refused(answer: httpx.Response, token: str) -> bool:
    """By who was shown the token, and for a request that can be repeated: a stream is gone once it was sent.

    The request is the last one: what redirected to it has done its work, and must not do it twice.
    """
    refused = answer.request
    shown = refused.headers.get("Authorization") == f"Bearer {token}"
    return answer.status_code == 401 and shown and isinstance(refused.stream, httpx.ByteStream)
