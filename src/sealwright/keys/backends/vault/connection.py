"""Requests to OpenBao or Vault: bounded in time, number and size, never redirected, with a token that may change."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from sealwright.errors import BackendError, ConfigurationError, Reason
from sealwright.keys.backend import none_if_missing
from sealwright.keys.backends.vault.place import Place
from sealwright.keys.retrying import Retrying

_CONNECT_TIMEOUT_S, _POOL_TIMEOUT_S, _CONNECTIONS, _ANSWER_BYTES_MOST = 2, 5, 32, 4 * 2**20
# 412: a replica that has not seen our last write yet.
_PASSING = frozenset({412, 429, 500, 502, 503, 504})
_REASONS = {404: Reason.BACKEND_KEY_MISSING, 429: Reason.BACKEND_THROTTLED}
_MESSAGES = {
    403: "Vault refuses the token, or its policy does not allow this: see docs/backends/vault.md",
    404: "Vault does not have this key",
    429: "Vault refuses for being called too often: raise its rate limit quota, or sign less often",
    503: "Vault is sealed, or in maintenance: unseal it",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What Vault sends back, all of it empty where it has nothing to say."""

    data: dict[str, Any]
    request_id: str | None
    errors: Any


class Connection:
    """Paths are below the mount of the engine."""

    def __init__(self, place: Place, retrying: Retrying) -> None:
        self._place = place
        self._retrying = retrying
        self._token = place.read_token()
        self._pool = self._new_pool()

    def ask(self, method: str, path: str, **body: Any) -> Answer:
        """Raises BackendError; its detail is the HTTP status or the class of the error."""

        def once() -> tuple[int, Answer]:
            try:
                status, answer = self._send(method, path, json.dumps(body).encode() if body else None)
            except (HTTPError, ValueError) as error:
                raise _failure(Reason.BACKEND_FAILED, None, type(error).__name__) from error
            if status in _PASSING:
                raise _refused(status, answer)
            return status, answer

        status, answer = self._retrying.call(once)
        if status >= 300:
            raise _refused(status, answer)  # asking again would change nothing
        return answer

    def existing(self, method: str, path: str, **body: Any) -> Answer | None:
        """As ``ask``, and None for what is not there."""
        return none_if_missing(lambda: self.ask(method, path, **body))

    def close(self) -> None:
        """The pool opens its connections anew."""
        self._pool.close()
        self._pool = self._new_pool()

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, Answer]:
        used = self._token
        status, answer = self._send_with(used, method, path, body)
        if status == 403 and (token := self._renewed()) != used:
            status, answer = self._send_with(token, method, path, body)
        return status, answer

    def _send_with(self, token: str, method: str, path: str, body: bytes | None) -> tuple[int, Answer]:
        headers = {"X-Vault-Token": token, "X-Vault-Request": "true"}
        if self._place.namespace is not None:
            headers["X-Vault-Namespace"] = self._place.namespace
        response = self._pool.urlopen(
            method,
            f"/v1/{self._place.mount}/{path}",
            body,
            headers,
            retries=False,
            redirect=False,
            pool_timeout=_POOL_TIMEOUT_S,
            preload_content=False,
        )
        try:
            data = response.read(_ANSWER_BYTES_MOST + 1)
            if len(data) > _ANSWER_BYTES_MOST:
                response.close()
                raise ValueError("the answer is too large")
        finally:
            response.release_conn()
        return response.status, _parsed(data if response.status < 300 or response.status == 404 else b"")

    def _renewed(self) -> str:
        """An agent writes a new token into the file before the old one ends."""
        try:
            self._token = self._place.read_token()
        except ConfigurationError as error:
            raise BackendError(Reason.BACKEND_FAILED, error.message) from error
        return self._token

    def _new_pool(self) -> urllib3.HTTPConnectionPool:
        timeout = urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=self._place.timeout_s)
        shared: dict[str, Any] = {"timeout": timeout, "maxsize": _CONNECTIONS, "block": True}
        if self._place.tls:
            return urllib3.HTTPSConnectionPool(
                self._place.host, self._place.port, ca_certs=self._place.ca_file, cert_reqs="CERT_REQUIRED", **shared
            )
        return urllib3.HTTPConnectionPool(self._place.host, self._place.port, **shared)


def _parsed(text: bytes) -> Answer:
    """Raises ValueError."""
    answer = json.loads(text) if text else {}
    data = answer.get("data") or {} if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise ValueError("the answer is not one of Vault's")
    return Answer(data, answer.get("request_id"), answer.get("errors"))


def _refused(status: int, answer: Answer) -> BackendError:
    return _failure(_reason(status, answer), status, f"HTTP {status}")


def _reason(status: int, answer: Answer) -> Reason:
    # Vault has no words for what is not there; it has some for a path or mount that does not exist.
    if status == 404 and answer.errors:
        return Reason.BACKEND_FAILED
    return _REASONS.get(status, Reason.BACKEND_FAILED)


def _failure(reason: Reason, status: int | None, detail: str) -> BackendError:
    message = "Vault failed, or cannot be reached: check its address, its status and the path of the engine"
    known = status in _MESSAGES and (status != 404 or reason is Reason.BACKEND_KEY_MISSING)
    return BackendError(reason, _MESSAGES[status] if known and status is not None else message, detail=detail)
