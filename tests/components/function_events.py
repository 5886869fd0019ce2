"""What gateways hand to functions, and take from them: the two payload formats, and the three kinds of authorizers."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from typing import Any

from http_callers import Answered

Lines = Iterable[tuple[str, str]]
ARN = "arn:aws:execute-api:eu-central-1:123456789012:abcdef123/prod/GET/orders/1"


def first_event(method: str, target: str, lines: Lines = (), body: bytes | None = None) -> dict[str, Any]:
    """A REST API, or a balancer that was told to keep all values: names as they were sent, the last value, and all."""
    several: dict[str, list[str]] = {}
    for name, value in lines:
        several.setdefault(name, []).append(value)
    path, _, query = target.partition("?")
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {name: values[-1] for name, values in several.items()} or None,
        "multiValueHeaders": several or None,
        "queryStringParameters": {"query": query} if query else None,
        "requestContext": {
            "path": path,
            "stage": "prod",
            "domainName": "abcdef123.execute-api.eu-central-1.amazonaws.com",
            "identity": {"sourceIp": "127.0.0.1", "clientCert": None},
        },
        **_body(body),
    }


def second_event(method: str, target: str, lines: Lines = (), body: bytes | None = None) -> dict[str, Any]:
    """An HTTP API or a function URL: small names, the values of one name joined by a comma."""
    headers: dict[str, str] = {}
    for name, value in lines:
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    path, _, query = target.partition("?")
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "stage": "$default",
            "domainName": "abcdef123.execute-api.eu-central-1.amazonaws.com",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
        },
        **_body(body),
    }


def token_event(authorization: str) -> dict[str, Any]:
    return {"type": "TOKEN", "authorizationToken": authorization, "methodArn": ARN}


def request_event(lines: Lines) -> dict[str, Any]:
    return {"type": "REQUEST", "methodArn": ARN, **first_event("GET", "/orders/1", lines)}


def simple_event(lines: Lines) -> dict[str, Any]:
    return {"type": "REQUEST", "routeArn": ARN, "identitySource": [], **second_event("GET", "/orders/1", lines)}


def answered(answer: dict[str, Any]) -> Answered:
    """As a gateway passes it on; what was joined by a comma is two challenges to every client."""
    lines = [(name, value) for name, values in answer.get("multiValueHeaders", {}).items() for value in values]
    for name, value in answer.get("headers", {}).items():
        lines += [(name, one) for one in re.split(r", (?=(?:Bearer|DPoP) realm)", value)]
    return Answered(answer["statusCode"], lines, answer.get("body", "").encode())


def call_function(
    handler: Callable[..., Any], event_of: Callable[..., dict[str, Any]], method: str, target: str, lines: Lines = ()
) -> Answered:
    return answered(handler(event_of(method, target, lines), None))


def _body(body: bytes | None) -> dict[str, Any]:
    if body is None:
        return {"body": None, "isBase64Encoded": False}
    return {"body": base64.b64encode(body).decode("ascii"), "isBase64Encoded": True}
