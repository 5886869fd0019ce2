"""PollLine: one POST that the service may hold for a while, and that can be cut from any thread."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any

from urllib3.exceptions import HTTPError

from sealwright.client.calling import MAXIMUM_ANSWER_BYTES, error_of
from sealwright.errors import Reason, SealwrightError, UnavailableError
from sealwright.jose import strict_json
from sealwright.statements.verifier_reports import LONGEST_WAIT_S
from sealwright.trust.sources.key_address import KeyAddress
from sealwright.trust.sources.key_connection import Checked, KeyConnection

PATH = "/v1/verifiers/poll"
_MARGIN_S = 10.0


class PollLine:
    """One connection at a time. Raises the error that the service meant, UnavailableError ``service.unreachable``, or
    RejectedError ``json.*`` for an answer that is none.

    Making one raises ConfigurationError ``settings.invalid`` for a URL that is not https, or http to this machine: a
    credential goes with each poll.
    """

    def __init__(self, service_url: str, credential: Callable[[], str], tls: ssl.SSLContext | None = None) -> None:
        self._address = KeyAddress.parse(service_url.rstrip("/") + PATH)
        self._credential, self._tls = credential, tls
        self._http: Checked | None = None
        self._closed = False
        self.was_cut = False  # since it was last set to False

    def post(self, body: Mapping[str, Any]) -> dict[str, Any]:
        headers = {
            "Authorization": f"Bearer {self._credential()}",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Connection": "close",
        }
        status, text = self._exchange(json.dumps(body, separators=(",", ":")).encode(), headers)
        if status >= 400:
            raise error_of(status, _problem(text))
        return strict_json.parse_object(text)

    def cut(self) -> None:
        """End the poll that is under way, or about to be; what it should have brought comes with the next."""
        self.was_cut = True
        if (http := self._http) is not None:
            http.cut()

    def forget(self) -> None:
        """In a child of a fork: the connection is the parent's."""
        self._http = None

    def close(self) -> None:
        self._closed = True
        self.cut()

    def _exchange(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        try:
            with KeyConnection(self._address, LONGEST_WAIT_S + _MARGIN_S, self._trusted()) as http:
                self._http = http
                if self._closed or self.was_cut:
                    raise _unreachable("the poll was cut")
                http.request("POST", self._address.target, body=body, headers=headers, preload_content=False)
                response: Any = http.getresponse()
                text = response.read(MAXIMUM_ANSWER_BYTES + 1)
                if http.was_cut or len(text) > MAXIMUM_ANSWER_BYTES:
                    raise _unreachable("the poll was cut, or the answer is too large")
                return response.status, text
        except (HTTPError, HTTPException, OSError, UnicodeError) as error:
            raise _unreachable(type(error).__name__) from error
        finally:
            self._http = None

    def _trusted(self) -> ssl.SSLContext | None:
        if self._address.scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _problem(text: bytes) -> dict[str, Any]:
    try:
        return strict_json.parse_object(text)
    except SealwrightError:
        return {}


def _unreachable(detail: str) -> UnavailableError:
    return UnavailableError(Reason.SERVICE_UNREACHABLE, "the key service does not answer", detail=detail)
