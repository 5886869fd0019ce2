"""Calls to AWS KMS: one client, bounded retries, and BackendError for whatever the SDK raises."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore import exceptions as botocore_exceptions  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # type: ignore[import-untyped]

from sealwright.errors import BackendError, Reason
from sealwright.keys.backend import none_if_missing
from sealwright.keys.retrying import Retrying

ALREADY_EXISTS, ACCESS_DENIED = "AlreadyExistsException", "AccessDeniedException"
_CONNECT_TIMEOUT_S, _CONNECTIONS = 2, 32
_REASONS = {
    "NotFoundException": Reason.BACKEND_KEY_MISSING,
    "DisabledException": Reason.BACKEND_KEY_DISABLED,
    **dict.fromkeys(("ThrottlingException", "Throttling", "RequestLimitExceeded"), Reason.BACKEND_THROTTLED),
}
MESSAGES = {
    Reason.BACKEND_KEY_MISSING: "AWS KMS does not have this key, or is about to delete it",
    Reason.BACKEND_KEY_DISABLED: "this key is disabled in AWS KMS: restore it, or enable it there",
    Reason.BACKEND_THROTTLED: "AWS KMS refuses for being called too often: raise its request quota, or sign less often",
    Reason.BACKEND_FAILED: "AWS KMS failed: check the credentials, the permissions, the region and its status",
}


class KmsCalls:
    """Operations by their names in boto3. The SDK's own retries are off, so that ``retrying`` is the whole bound."""

    def __init__(self, region: str, endpoint: str | None, timeout_s: float, retrying: Retrying) -> None:
        self._where = {"region_name": region, "endpoint_url": endpoint}
        self._timeout_s = timeout_s
        self._retrying = retrying
        self._lock = threading.Lock()
        self._client: Any = None

    def call(self, operation: str, *, repeatable: bool = True, **arguments: Any) -> dict[str, Any]:
        """The answer. Raises BackendError; its detail is the code or class of the error. Not ``repeatable`` is what
        must not be done twice when its answer is lost: only a refusal to do it at all, throttling, is tried again."""

        def once() -> dict[str, Any]:
            try:
                answer: dict[str, Any] = getattr(self._opened(), operation)(**arguments)
            except (BotoCoreError, ClientError) as error:
                failure = _translated(error)
                if failure.reason is Reason.BACKEND_THROTTLED or (repeatable and _is_passing(error)):
                    raise failure from error
                raise  # asking again would change nothing
            return answer

        try:
            return self._retrying.call(once)
        except (BotoCoreError, ClientError) as error:
            raise _translated(error) from error

    def existing(self, operation: str, **arguments: Any) -> dict[str, Any] | None:
        """As ``call``, and None for what is not there or on its way out."""
        return none_if_missing(lambda: self.call(operation, **arguments))

    def pages(self, operation: str, member: str, limit: int) -> Iterator[dict[str, Any]]:
        """Every item of a listing, read page by page."""
        answer = self.call(operation, Limit=limit)
        yield from answer[member]
        while answer.get("NextMarker"):
            answer = self.call(operation, Limit=limit, Marker=answer["NextMarker"])
            yield from answer[member]

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _opened(self) -> Any:
        with self._lock:
            if self._client is None:
                config = Config(
                    connect_timeout=_CONNECT_TIMEOUT_S,
                    read_timeout=self._timeout_s,
                    max_pool_connections=_CONNECTIONS,
                    retries={"total_max_attempts": 1, "mode": "standard"},
                )
                self._client = boto3.session.Session().client("kms", **self._where, config=config)
            return self._client


def _translated(error: BotoCoreError | ClientError) -> BackendError:
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    reason = _REASONS.get(code, Reason.BACKEND_FAILED)
    if code == "KMSInvalidStateException" and "deletion" in str(error):
        reason = Reason.BACKEND_KEY_MISSING
    return BackendError(reason, MESSAGES[reason], detail=code)


def _is_passing(error: BotoCoreError | ClientError) -> bool:
    if isinstance(error, ClientError):
        return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500)
    return isinstance(error, HTTPClientError | botocore_exceptions.ConnectionError)
