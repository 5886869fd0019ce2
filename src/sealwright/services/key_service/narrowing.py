"""What a client asks for, within what it may have and never beyond; and who acts for whom (RFC 8693 §4). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.jose.claims import MAXIMUM_ACTORS, actors_of
from sealwright.services.key_service.oauth_form import Form

_SCOPES = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*")  # RFC 6749 §3.3
_ACTOR_NAMES = frozenset({"iss", "sub", "client_id"})


@dataclass(frozen=True, slots=True)
class Asked:
    """The scopes, None for whatever there is, and the audiences of a request."""

    scopes: frozenset[str] | None
    audiences: tuple[str, ...]

    @classmethod
    def of(cls, form: Form) -> Asked:
        """Raises RejectedError ``client.scope`` for what cannot be scopes."""
        text = form.one("scope")
        if text is not None and not _SCOPES.fullmatch(text):
            raise RejectedError(Reason.CLIENT_SCOPE, "scopes are names with one space between them")
        scopes = None if text is None else frozenset(text.split(" "))
        return cls(scopes, tuple(dict.fromkeys((*form.every("resource"), *form.every("audience")))))


def narrowed_scopes(asked: frozenset[str] | None, *allowed: Collection[str]) -> list[str]:
    """Sorted; those that are asked for, or all that each of ``allowed`` has. Raises RejectedError ``client.scope``."""
    most = frozenset(allowed[0]).intersection(*allowed[1:])
    if asked is None:
        return sorted(most)
    if not asked <= most:
        raise RejectedError(Reason.CLIENT_SCOPE, "a scope that is asked for is not one that this request may have")
    return sorted(asked)


def narrowed_audience(asked: Sequence[str], allowed: Sequence[str]) -> str | list[str]:
    """Those that are asked for, or the only one that is allowed. Raises RejectedError ``client.audience``."""
    chosen = list(asked) or list(allowed)
    if not asked and len(allowed) != 1:
        raise RejectedError(Reason.CLIENT_AUDIENCE, "say by resource or audience whom the token is for")
    if not set(chosen) <= set(allowed):
        raise RejectedError(Reason.CLIENT_AUDIENCE, "this client gets no tokens for such an audience")
    return chosen[0] if len(chosen) == 1 else chosen


def acting(subject: Mapping[str, Any], actor: Mapping[str, str]) -> dict[str, Any]:
    """The "act" of a token in which ``actor``, named by iss, sub and client_id, acts for the subject of another.

    Whoever acted before is history inside of it. Raises RejectedError ``claims.actor`` for too many of them, and for an
    actor whom the "may_act" of the subject does not name.
    """
    if len(actors_of(subject, MAXIMUM_ACTORS)) >= MAXIMUM_ACTORS:
        raise RejectedError(Reason.CLAIMS_ACTOR, f"{MAXIMUM_ACTORS} act for this subject already, one for the other")
    if "may_act" in subject:
        _check_may_act(subject["may_act"], actor)
    before = {"act": subject["act"]} if "act" in subject else {}
    return {"sub": actor["sub"], **before}


def _check_may_act(named: Any, actor: Mapping[str, str]) -> None:
    """RFC 8693 §4.4. A name that nobody here can compare is one that does not match."""
    whole = isinstance(named, dict) and not named.keys() <= {"iss"} and named.keys() <= _ACTOR_NAMES
    if not whole or any(actor.get(name) != value for name, value in named.items()):
        raise RejectedError(Reason.CLAIMS_ACTOR, "the subject of the token lets somebody else act for it, not this one")
