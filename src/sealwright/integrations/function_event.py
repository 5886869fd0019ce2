"""The event of a function behind a gateway, balancer or URL of AWS, in both versions, as a request. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from sealwright.errors import Reason, RejectedError
from sealwright.integrations.asked import Asked

Event = Mapping[str, Any]
MAXIMUM_BODY_BYTES = 1024 * 1024
_KEPT_CHARACTERS = "/%:@!$&'()*+,;=~"  # what a path has as it is; a "%" was escaped by the client


def asked_of(event: Event) -> Asked:
    """Raises RejectedError ``request.malformed`` for what no gateway sends.

    ``target`` is the path that the client used, with the stage in it where that is part of the URL. So is ``path`` in
    the second version; the first leaves the stage out. A TOKEN authorizer is told nothing of its request but the token.
    """
    try:
        if event.get("type") == "TOKEN":
            return Asked("", "", "", [("authorization", _text(event["authorizationToken"]))])
        return _second(event) if is_second(event) else _first(event)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RejectedError(Reason.REQUEST_MALFORMED, "the event is no request of a gateway") from error


def body_of(event: Event, maximum_bytes: int = MAXIMUM_BODY_BYTES) -> bytes:
    """The bytes of the body, as they were sent where the gateway was told that they are binary.

    Raises RejectedError ``request.too_large`` or ``request.malformed``.
    """
    body = event.get("body")
    encoded = event.get("isBase64Encoded", False)
    if not isinstance(body, str | None) or not isinstance(encoded, bool):
        raise RejectedError(Reason.REQUEST_MALFORMED, "the body of the event is no text")
    if len(body or "") > maximum_bytes * (4 / 3 if encoded else 1) + 4:
        raise _too_large(maximum_bytes)
    try:
        content = base64.b64decode(body or "", validate=True) if encoded else (body or "").encode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise RejectedError(Reason.REQUEST_MALFORMED, "the body of the event cannot be decoded") from error
    if len(content) > maximum_bytes:
        raise _too_large(maximum_bytes)
    return content


def is_second(event: Event) -> bool:
    """Whether the event has the payload format 2.0: of an HTTP API or a function URL."""
    return isinstance(event, Mapping) and event.get("version") == "2.0"


def _first(event: Event) -> Asked:
    context = event.get("requestContext") or {}
    identity = context.get("identity") or {}
    return Asked(
        method=_text(event["httpMethod"]),
        path=_path(event["path"]),
        target=_path(context.get("path") or event["path"]),
        headers=list(_lines(event)),
        peer=identity.get("sourceIp"),
        peer_certificate=_certificate(identity),
    )


def _second(event: Event) -> Asked:
    """A header that was sent twice arrives as one, with a comma, which no Authorization header may have."""
    context = event["requestContext"]
    http, path = context["http"], _path(event["rawPath"])
    return Asked(
        method=_text(http["method"]),
        path=path,
        target=path,
        headers=list(_lines(event)),
        peer=http.get("sourceIp"),
        peer_certificate=_certificate(context.get("authentication") or {}),
    )


def _lines(event: Event) -> Iterator[tuple[str, str]]:
    """All lines of each header: the plain form of the first version keeps only the last of them."""
    several = event.get("multiValueHeaders")
    if several:
        for name, values in several.items():
            yield from ((_text(name), _text(value)) for value in values)
        return
    for name, value in (event.get("headers") or {}).items():
        yield _text(name), _text(value)


def _certificate(place: Mapping[str, Any]) -> bytes | None:
    """What the caller proved to hold to the gateway, where that asks for certificates."""
    pem = (place.get("clientCert") or {}).get("clientCertPem")
    return None if not pem else _text(pem).encode("ascii")


def _path(value: object) -> str:
    return quote(_text(value), safe=_KEPT_CHARACTERS)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text was expected")
    return value


def _too_large(maximum_bytes: int) -> RejectedError:
    return RejectedError(Reason.REQUEST_TOO_LARGE, f"the body is larger than {maximum_bytes} bytes")
