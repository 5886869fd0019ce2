"""TokenExchange: a token of this issuer for a narrower one, in which somebody acts for its subject (RFC 8693)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from sealwright.errors import Reason, RejectedError
from sealwright.jose.claims import audience_of
from sealwright.keys.oauth_client import OAuthClient
from sealwright.keys.rehearsal import is_rehearsal
from sealwright.services.key_service.narrowing import Asked, acting, narrowed_audience, narrowed_scopes
from sealwright.services.key_service.oauth_form import Form
from sealwright.statements.revoked_keys import token_digest
from sealwright.wiring.single_process import SingleProcess

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
_TYPES = (ACCESS_TOKEN, "urn:ietf:params:oauth:token-type:jwt")


class Granted(NamedTuple):
    """The token that is to be signed. ``ends_at`` in seconds since the epoch; ``facts`` are for the audit."""

    claims: dict[str, Any]
    audience: str | list[str]
    ends_at: float
    facts: dict[str, Any]


class TokenExchange:
    """Only of tokens that are the client's business: issued to it, or for an audience that it goes by."""

    def __init__(self, process: SingleProcess) -> None:
        self._process = process

    async def grant(self, issuer: str, client: OAuthClient, form: Form) -> Granted:
        """Raises RejectedError for what must not be exchanged, UnavailableError where that cannot be known."""
        if form.one("requested_token_type") not in (None, *_TYPES):
            raise _malformed("what is issued here is an access token, which is a JWT")
        _check_type(form, "subject_token_type")
        subject = await self._seen(issuer, client, form.needed("subject_token"))
        actor = await self._actor(issuer, client, form)
        asked = Asked.of(form)
        audience = narrowed_audience(asked.audiences, client.audiences)
        scopes = narrowed_scopes(asked.scopes, subject.get("scope", "").split(), client.scopes)
        named = {"iss": self._process.issuer_url(issuer)}
        named |= {name: actor[name] for name in ("sub", "client_id") if name in actor}
        kept = {"may_act": subject["may_act"]} if "may_act" in subject else {}
        claims = {"sub": subject["sub"], "client_id": client.client_id, "act": acting(subject, named), **kept}
        claims |= {"scope": " ".join(scopes)} if scopes else {}
        facts = {"exchanged": token_digest(subject["jti"]), "subject_sha256": _sha256(subject["sub"])}
        facts |= {"actor_token": token_digest(actor["jti"])} if "jti" in actor else {}
        return Granted(claims, audience, min(subject["exp"], actor.get("exp", subject["exp"])), facts)

    async def _actor(self, issuer: str, client: OAuthClient, form: Form) -> Mapping[str, Any]:
        """The claims of the actor token; without one the client itself acts."""
        token = form.one("actor_token")
        if token is None:
            if form.one("actor_token_type") is not None:
                raise _malformed("an actor_token_type comes with an actor_token")
            return {"sub": client.client_id, "client_id": client.client_id}
        _check_type(form, "actor_token_type")
        claims = await self._seen(issuer, client, token)
        if "act" in claims:
            raise RejectedError(Reason.CLAIMS_ACTOR, "an actor acts for itself: its token names another actor")
        return claims

    async def _seen(self, issuer: str, client: OAuthClient, token: str) -> Mapping[str, Any]:
        """The claims of a token that is good now."""
        claims = (await self._process.reader(issuer).averify(token)).claims
        if "cnf" in claims:
            raise RejectedError(Reason.BINDING_UNSUPPORTED, "a token that is bound to a key is not exchanged")
        if not claims.get("jti") or not claims.get("sub"):
            raise RejectedError(Reason.CLAIMS_MISSING, "a token without sub or jti is not exchanged")
        if not client.is_shown(claims) or any(is_rehearsal(one) for one in audience_of(claims)):
            raise RejectedError(Reason.GRANT_SUBJECT, "the token was neither issued to this client nor meant for it")
        return claims


def _check_type(form: Form, name: str) -> None:
    if form.needed(name) not in _TYPES:
        raise _malformed(f"the {name} is {' or '.join(_TYPES)}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _malformed(message: str) -> RejectedError:
    return RejectedError(Reason.REQUEST_MALFORMED, message)
