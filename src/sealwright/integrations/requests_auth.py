"""RequestsAuth: access tokens for requests, renewed ahead of their end, or where a resource refuses one."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol, runtime_checkable

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from sealwright.client.access_tokens import AccessTokens


@runtime_checkable
class _Rewindable(Protocol):
    def seek(self, to: int, /) -> object: ...

    def tell(self) -> int: ...


class RequestsAuth(AuthBase):
    """For ``requests.get(url, auth=…)`` or ``session.auth``. Raises as ``AccessTokens.token_for`` does."""

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        token = self._tokens.token_for(request.url or "")
        request.headers["Authorization"] = f"Bearer {token}"
        request.register_hook("response", partial(self._again, token=token, start=_position(request.body)))
        return request

    def _again(self, response: Response, *, token: str, start: int | None, **sending: Any) -> Response:
        """The answer to the one repetition, where a request can be repeated and another token be had."""
        sent = response.request
        # Behind a redirect elsewhere requests has taken the token away, and so it stays.
        if response.status_code != 401 or sent.headers.get("Authorization") != f"Bearer {token}" or start is None:
            return response
        renewed = self._tokens.renewed_for(sent.url or "", token)
        if renewed is None:
            return response
        response.close()
        again = sent.copy()
        again.headers["Authorization"] = f"Bearer {renewed}"
        if isinstance(again.body, _Rewindable):
            again.body.seek(start)
        answer: Response = response.connection.send(again, **sending)
        answer.history.append(response)
        answer.request = again
        return answer


def _position(body: object) -> int | None:
    """Where to begin again; None for a body that can be read only once."""
    if body is None or isinstance(body, str | bytes):
        return 0
    try:
        return body.tell() if isinstance(body, _Rewindable) else None
    except (OSError, ValueError):
        return None
