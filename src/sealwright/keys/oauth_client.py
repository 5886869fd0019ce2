"""OAuthClient: what one program may ask an issuer for, and what proves that it is the one. Never its secret."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.algorithms import ASYMMETRIC
from sealwright.jose.claims import audience_of
from sealwright.jose.jwk import PublicJWK
from sealwright.jose.jwk_set import JWKSet

Authentication = Literal["client_secret", "private_key_jwt"]
CLIENT_CREDENTIALS = "client_credentials"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
AUTHENTICATION_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
GRANTS = (CLIENT_CREDENTIALS, TOKEN_EXCHANGE)
ASSERTION_LIFETIME_S, LONGEST_ASSERTION_S = 300.0, 3600.0
_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # the same in a form, in Basic and in a URL
_AUDIENCE = re.compile(r"[!-~]{1,500}")
_SCOPE = re.compile(r"[!#-\[\]-~]{1,200}")  # RFC 6749 §3.3
_MOST = 100
_NO_DIGEST = "0" * 64


class ClientSecret(NamedTuple):
    """What is kept of a secret: enough to know it again. ``created_at`` in seconds since the epoch."""

    digest: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """One client of one issuer. Times in seconds.

    ``lifetime_s`` caps its tokens below the issuer's own cap. ``subject_audiences`` are the names under which it is
    shown tokens of others, which it may exchange and introspect; those issued to it are its own anyway. ``jwks`` is
    the JSON text of its public keys, or they are at ``jwks_url``. ``assertion_lifetime_s`` is how far ahead an
    assertion may end, and ``token_endpoint_audience`` lets it name the token endpoint instead of the issuer.
    """

    issuer: str
    client_id: str
    authentication: Authentication = "client_secret"
    grants: tuple[str, ...] = (CLIENT_CREDENTIALS,)
    audiences: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    subject_audiences: tuple[str, ...] = ()
    lifetime_s: float | None = None
    jwks: str | None = None
    jwks_url: str | None = None
    assertion_lifetime_s: float = ASSERTION_LIFETIME_S
    token_endpoint_audience: bool = False
    secrets: tuple[ClientSecret, ...] = ()

    @property
    def actor(self) -> str:
        """Its name in the audit; the colon keeps it apart from subjects of credentials."""
        return f"client:{self.client_id}"

    def keys(self) -> JWKSet:
        """Its registered public keys."""
        return JWKSet.from_json((self.jwks or '{"keys":[]}').encode())

    def has_secret(self, presented: str) -> bool:
        return has_secret(self.secrets, presented)

    def is_shown(self, claims: Mapping[str, Any]) -> bool:
        """Whether a token is this client's business: issued to it, or for an audience that it goes by."""
        return claims.get("client_id") == self.client_id or not set(self.subject_audiences).isdisjoint(
            audience_of(claims)
        )

    def facts(self) -> dict[str, Any]:
        """What the audit has of it: of keys the thumbprints, of secrets nothing."""
        return {
            "client_id": self.client_id,
            "authentication": self.authentication,
            "grants": list(self.grants),
            "audiences": list(self.audiences),
            "scopes": list(self.scopes),
            "subject_audiences": list(self.subject_audiences),
            "lifetime_s": self.lifetime_s,
            "keys": [key.thumbprint() for key in self.keys()],
            "jwks_url": self.jwks_url,
        }

    def check(self) -> None:
        """Raises RejectedError ``request.malformed``, or ``key.*`` for a key that cannot be used."""
        if not _CLIENT_ID.fullmatch(self.client_id):
            raise _malformed("a client id is 1 to 100 letters, digits or ._- and begins with a letter or digit")
        if not self.grants or not set(self.grants) <= set(GRANTS):
            raise _malformed(f"the grants are {' and '.join(GRANTS)}")
        if not self.audiences:
            raise _malformed("a client needs an audience that it may ask tokens for")
        _check_each("audience", self.audiences, _AUDIENCE)
        _check_each("subject audience", self.subject_audiences, _AUDIENCE)
        _check_each("scope", self.scopes, _SCOPE)
        if any("*" in name for name in (*self.audiences, *self.subject_audiences)):
            raise _malformed("an audience is given in full, without wildcards")
        if self.lifetime_s is not None and not 1 <= self.lifetime_s <= 86_400:
            raise _malformed("a lifetime lies between 1 s and a day; the cap of the issuer counts as well")
        if not 1 <= self.assertion_lifetime_s <= LONGEST_ASSERTION_S:
            raise _malformed(f"an assertion may end 1 to {LONGEST_ASSERTION_S:.0f} s ahead")
        self._check_keys()

    def _check_keys(self) -> None:
        given = [one for one in (self.jwks, self.jwks_url) if one is not None]
        if self.authentication == "client_secret":
            if given:
                raise _malformed("a client with a secret has no keys: choose private_key_jwt")
        elif self.authentication != "private_key_jwt" or len(given) != 1:
            raise _malformed("the authentication is client_secret, or private_key_jwt with either jwks or jwks_url")


def has_secret(kept: Sequence[ClientSecret], presented: str) -> bool:
    """Compares with two digests, whatever is kept: how long it takes tells nothing."""
    digest, found = digest_of(presented), False
    for number in range(2):
        expected = kept[number].digest if number < len(kept) else _NO_DIGEST
        found |= hmac.compare_digest(expected, digest)
    return found


def digest_of(secret: str) -> str:
    """A secret is 256 random bits: there is nothing to guess that a slow digest would slow down."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def key_text(members: Mapping[str, Any]) -> str:
    """A JWK Set as it is kept: public keys, each with one algorithm. Raises RejectedError ``key.*``."""
    listed = members.get("keys")
    if not isinstance(listed, list) or not 1 <= len(listed) <= 10 or not all(isinstance(one, dict) for one in listed):
        raise RejectedError(Reason.KEY_MALFORMED, 'the keys of a client are a JWK Set: "keys" with 1 to 10 of them')
    keys = [PublicJWK.from_dict(one).bound_to(ASYMMETRIC) for one in listed]
    named = {key.key_id for key in keys}
    if len(keys) > 1 and (None in named or len(named) < len(keys)):
        raise RejectedError(Reason.KEY_AMBIGUOUS, "of several keys each needs a kid of its own")
    return strict_json.encode_object(JWKSet(keys).to_dict()).decode()


def _check_each(what: str, given: Collection[str], pattern: re.Pattern[str]) -> None:
    if len(given) > _MOST or len(set(given)) != len(given) or not all(pattern.fullmatch(one) for one in given):
        raise _malformed(f"there are {_MOST} of {what} at most, each once, in printable ASCII without spaces")


def _malformed(message: str) -> RejectedError:
    return RejectedError(Reason.REQUEST_MALFORMED, message)
