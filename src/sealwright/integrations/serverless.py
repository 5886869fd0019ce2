"""Functions behind a gateway: a handler that is guarded, and an authorizer that decides for others (AWS Lambda)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any

from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.integrations.function_event import Event, asked_of, is_second
from sealwright.integrations.guard import Guard
from sealwright.integrations.refusal import Refusal
from sealwright.trust.decision import Verified

Answer = dict[str, Any]
Handler = Callable[[Event, Any, Verified | None], Any]


class UnauthorizedError(Exception):
    """By this very message a gateway knows that it has to answer 401."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


def guarded(guard: Guard) -> Callable[[Handler], Callable[[Event, Any], Any]]:
    """Decorates ``handler(event, context, seen)``: it is called for acceptable tokens only, and ``seen`` is the
    Verified; None where the path is public. Everybody else gets the answer of the guard.
    """

    def decorated(handler: Handler) -> Callable[[Event, Any], Any]:
        @wraps(handler)
        def entered(event: Event, context: Any) -> Any:
            found = _admitted(guard, event, opening=True)
            return answer_of(event, found) if isinstance(found, Refusal) else handler(event, context, found)

        return entered

    return decorated


def authorizer(guard: Guard) -> Callable[[Event, Any], Answer]:
    """A Lambda authorizer: TOKEN and REQUEST of a REST API, or of an HTTP API with simple responses.

    A policy is for the whole stage, since the gateway keeps it and uses it for other methods too. Raises
    UnauthorizedError, which a REST API answers with 401, and UnavailableError, which it answers with 500, for what
    could not be decided.
    """

    def decide(event: Event, _: Any) -> Answer:
        found = _admitted(guard, event)
        if isinstance(found, Refusal) and found.status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise UnavailableError(Reason.SOURCE_UNAVAILABLE, "the token could not be decided over")
        if is_second(event):
            return {"isAuthorized": isinstance(found, Verified), "context": _told(found)}
        if isinstance(found, Refusal) and found.status != HTTPStatus.FORBIDDEN:
            raise UnauthorizedError
        return _policy(event, found)

    return decide


def answer_of(event: Event, refusal: Refusal) -> Answer:
    """A refusal in the form in which the gateway of this event takes answers."""
    lines: dict[str, list[str]] = {}
    for name, value in refusal.lines:
        lines.setdefault(name, []).append(value)
    headers: dict[str, Any] = (
        {"multiValueHeaders": lines}
        if isinstance(event, Mapping) and event.get("multiValueHeaders") is not None
        else {"headers": {name: ", ".join(values) for name, values in lines.items()}}
    )
    return {"statusCode": refusal.status, "body": refusal.body.decode(), "isBase64Encoded": False, **headers}


def _admitted(guard: Guard, event: Event, *, opening: bool = False) -> Verified | Refusal | None:
    """None where the path is public and the guard is asked to open such paths."""
    try:
        asked = asked_of(event)
    except RejectedError:
        return Refusal(HTTPStatus.BAD_REQUEST, (("Cache-Control", "no-store"),))
    return None if opening and guard.opens(asked) else guard.admit(asked)


def _policy(event: Event, found: Verified | Refusal | None) -> Answer:
    stage = "/".join(str(event.get("methodArn", "")).split("/")[:2])
    if stage.count(":") != 5 or "/" not in stage:
        raise UnauthorizedError
    effect = "Allow" if isinstance(found, Verified) else "Deny"
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": f"{stage}/*"}
    told = _told(found)
    return {
        "principalId": told.get("subject") or told.get("issuer", "refused"),
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": told,
    }


def _told(found: Verified | Refusal | None) -> dict[str, str]:
    """What the gateway hands on to the function behind it, as plain text."""
    if not isinstance(found, Verified):
        return {}
    return {
        "issuer": found.issuer,
        "subject": found.subject or "",
        "scope": " ".join(sorted(found.scopes)),
        "key_id": found.key_id or "",
    }
