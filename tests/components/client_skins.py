"""Every HTTP client that sends our access tokens: one call that sends a request and says what came back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import requests
import urllib3

from sealwright.client.access_tokens import AccessTokens
from sealwright.integrations.httpx_auth import HttpxAuth
from sealwright.integrations.requests_auth import RequestsAuth
from sealwright.integrations.urllib3_auth import AuthorizedPool

Send = Callable[..., tuple[int, bytes]]  # method, url, body; follows redirects
# Over plain http, so without reading certificate authorities, which takes longer than the rest.
LOOPBACK: dict[str, Any] = {"follow_redirects": True, "trust_env": False, "verify": False, "timeout": 20}


def pieces(body: bytes) -> Iterator[bytes]:
    yield body


def with_requests(tokens: AccessTokens) -> Send:
    def send(method: str, url: str, body: object = None) -> tuple[int, bytes]:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, url, data=body, auth=RequestsAuth(tokens), timeout=20)
            return answer.status_code, answer.content

    return send


def with_httpx(tokens: AccessTokens) -> Send:
    def send(method: str, url: str, body: object = None) -> tuple[int, bytes]:
        with httpx.Client(auth=HttpxAuth(tokens), **LOOPBACK) as client:
            answer = client.request(method, url, content=body)
            return answer.status_code, answer.content

    return send


def with_async_httpx(tokens: AccessTokens) -> Send:
    async def asend(method: str, url: str, body: object = None) -> tuple[int, bytes]:
        content = apieces(body) if isinstance(body, Iterator) else body
        async with httpx.AsyncClient(auth=HttpxAuth(tokens), **LOOPBACK) as client:
            answer = await client.request(method, url, content=content)
            return answer.status_code, answer.content

    async def apieces(body):
        for piece in body:
            yield piece

    return lambda *arguments: asyncio.run(asend(*arguments))


def with_urllib3(tokens: AccessTokens) -> Send:
    def send(method: str, url: str, body: object = None) -> tuple[int, bytes]:
        with urllib3.PoolManager(timeout=20) as pool:
            answer = AuthorizedPool(pool, tokens).request(method, url, body=body)
            return answer.status, answer.data

    return send


CLIENT_SKINS = {
    "requests": with_requests,
    "httpx": with_httpx,
    "async httpx": with_async_httpx,
    "urllib3": with_urllib3,
}
