"""The HTTP manners all services share: problem responses (RFC 9457), body limits, strict JSON, loopback checks."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sealwright.errors import (
    BackendError,
    ConfigurationError,
    Reason,
    RefusedError,
    RejectedError,
    SealwrightError,
    UnavailableError,
)
from sealwright.jose import strict_json

MAXIMUM_BODY_BYTES = 256 * 1024
MAXIMUM_BATCH_BYTES = 2 * 1024 * 1024  # 500 items of the 4 KiB that a token may reasonably have
BODY_DEADLINE_S = 10.0
RETRY_AFTER_S = 1

_BY_CLASS: Mapping[type[SealwrightError], int] = {
    RejectedError: 400,
    UnavailableError: 503,
    RefusedError: 409,
    BackendError: 502,
    ConfigurationError: 500,
}
_BY_REASON: Mapping[Reason, int] = {
    Reason.REQUEST_TOO_LARGE: 413,
    Reason.REQUEST_NOT_FOUND: 404,
    Reason.REQUEST_METHOD: 405,
    Reason.MOVE_UNKNOWN_KEY: 404,
    Reason.MOVE_UNKNOWN_ISSUER: 404,
    Reason.APPROVAL_UNKNOWN: 404,
    Reason.CLIENT_UNKNOWN: 404,
    Reason.CREDENTIAL_SCOPE: 403,
}
_FROM_STARLETTE: Mapping[int, tuple[Reason, str]] = {
    404: (Reason.REQUEST_NOT_FOUND, "there is nothing at this path"),
    405: (Reason.REQUEST_METHOD, "the path does not answer to this method"),
}


def problem(error: SealwrightError, *, status: int | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """The error as problem+json: its reason and public message, never its detail."""
    code = status or _BY_REASON.get(error.reason) or _BY_CLASS.get(type(error), 500)
    body: dict[str, Any] = {
        "type": f"urn:sealwright:reason:{error.reason}",
        "title": error.reason.replace(".", ": ").replace("_", " "),
        "status": code,
        "reason": error.reason,
        "detail": error.message,
    }
    if error.reason.startswith("guard."):
        body["guard"] = error.reason.removeprefix("guard.")
    sent = {"Cache-Control": "no-store", **(headers or {})}
    if code == 503:
        sent.setdefault("Retry-After", str(RETRY_AFTER_S))
    return json_response(body, status=code, headers=sent, media_type="application/problem+json")


def json_response(
    body: Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str = "application/json",
) -> Response:
    return Response(strict_json.encode_object(body, max_depth=strict_json.ANSWER_DEPTH), status, headers, media_type)


async def read_object(request: Request) -> dict[str, Any]:
    """The request body as one strict JSON object. Raises RejectedError ``json.*``."""
    return strict_json.parse_object(await request.body())


def member(body: Mapping[str, Any], name: str, kind: type | tuple[type, ...], default: Any = ...) -> Any:
    """One member of a request body, of the given type. Raises RejectedError ``request.malformed``."""
    value = body.get(name, default)
    if value is ...:
        raise RejectedError(Reason.REQUEST_MALFORMED, f'the request lacks the member "{name}"')
    if value is not default and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise RejectedError(Reason.REQUEST_MALFORMED, f'the request member "{name}" is of the wrong type')
    return value


def check_members(body: Mapping[str, Any], known: set[str]) -> None:
    """A member nobody reads is a misunderstanding: refuse it instead of ignoring it."""
    unknown = sorted(body.keys() - known)
    if unknown:
        expected = ", ".join(sorted(known))
        raise RejectedError(Reason.REQUEST_MALFORMED, f"the request has unknown members; it may have: {expected}")


def from_loopback(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


async def on_sealwright_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, SealwrightError)
    return problem(error)


async def on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reason, message = _FROM_STARLETTE.get(error.status_code, (Reason.REQUEST_MALFORMED, "the request is malformed"))
    return problem(RejectedError(reason, message), status=error.status_code, headers=error.headers)


async def on_fault(_: Request, __: Exception) -> Response:
    return problem(UnavailableError(Reason.SERVICE_FAULT, "the service failed to answer this request"), status=500)


Handler = Callable[[Request, Exception], Awaitable[Response]]
EXCEPTION_HANDLERS: dict[Any, Handler] = {
    SealwrightError: on_sealwright_error,
    HTTPException: on_http_exception,
    Exception: on_fault,
}


class BodyLimit:
    """Reads the whole body before anybody else does: at most ``max_bytes``, or those of a batch, within a deadline."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAXIMUM_BODY_BYTES, deadline_s: float = BODY_DEADLINE_S) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._deadline_s = deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._deadline_s):
                body = await self._read(scope, receive, self._limit_of(scope["path"]))
        except RejectedError as error:
            await problem(error, headers={"Connection": "close"})(scope, receive, send)
        except TimeoutError:
            late = RejectedError(Reason.REQUEST_MALFORMED, "the request body did not arrive in time")
            await problem(late, status=408, headers={"Connection": "close"})(scope, receive, send)
        else:
            await self._app(scope, _replay(body, receive), send)

    def _limit_of(self, path: str) -> int:
        return MAXIMUM_BATCH_BYTES if path.endswith("/batch") else self._max_bytes

    async def _read(self, scope: Scope, receive: Receive, max_bytes: int) -> bytes:
        _check_size(_announced_bytes(scope), max_bytes)
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            _check_size(len(body), max_bytes)
            if not message.get("more_body", False):
                return bytes(body)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise RejectedError(Reason.REQUEST_TOO_LARGE, f"a request body may have {max_bytes} bytes at most")


def _announced_bytes(scope: Scope) -> int:
    values = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(values[0]) if values and values[0].isdigit() else 0


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
