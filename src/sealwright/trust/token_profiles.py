"""TokenProfile: the rules of one kind of token. A policy may tighten them and never loosens one. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.jose.algorithms import ALGORITHMS
from sealwright.jose.claims import ClaimCheck
from sealwright.jose.header import Header

_RSA_AND_EC = frozenset(name for name in ALGORITHMS if name[:2] in ("RS", "PS", "ES") and name != "ES256K")
_PLAIN_TYPES: frozenset[str | None] = frozenset({None, "JWT"})
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SPIFFE_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+)+")
_LONGEST_SPIFFE_ID = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenProfile:
    """What every token of one kind is. Times in seconds.

    ``types`` are the values of "typ" that it may have, None for its absence; without any, "typ" does not matter.
    ``header_members`` are all that its header may have, if they are limited. ``pinned`` are claims of which a policy
    must give at least one its values, for an issuer whose tokens anybody can have. ``subject_prefix`` is what "sub"
    begins with where that alone says whose the token is: an issuer of that name, without the slash, may omit "iss".
    """

    name: str
    types: frozenset[str | None] = frozenset()
    header_members: frozenset[str] | None = None
    algorithms: frozenset[str] = frozenset(ALGORITHMS)
    required: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()
    require_expiry: bool = True
    maximum_lifetime_s: float | None = None
    pinned: frozenset[str] = frozenset()
    subject_prefix: str | None = None
    further: tuple[ClaimCheck, ...] = ()

    def spelled_types(self) -> frozenset[str | None]:
        """The types as most tokens write them; others are compared as media types."""
        return self.types | {f"application/{name}" for name in self.types if name}

    def check_header(self, header: Header) -> None:
        """Raises RejectedError ``header.type`` or ``header.forbidden``."""
        if self.types and not any(_has_type(header, name) for name in self.types):
            raise RejectedError(Reason.HEADER_TYPE, f"the token is not of the type of {self.name} tokens")
        if self.header_members is not None and not header.members.keys() <= self.header_members:
            raise RejectedError(Reason.HEADER_FORBIDDEN, f"{self.name} tokens have no such header members")


def spiffe(trust_domain: str) -> TokenProfile:
    """JWT-SVIDs of one trust domain. Raises ConfigurationError ``settings.invalid`` for what is no trust domain."""
    if _TRUST_DOMAIN.fullmatch(trust_domain) is None:
        raise ConfigurationError(
            Reason.SETTINGS_INVALID, "a trust domain has lower case letters, digits, '.', '-', '_'"
        )
    prefix = f"spiffe://{trust_domain}/"

    def check(claims: Mapping[str, Any]) -> None:
        subject = claims["sub"]
        path = subject.removeprefix(prefix[:-1])
        if len(subject) > _LONGEST_SPIFFE_ID or _SPIFFE_PATH.fullmatch(path) is None:
            raise RejectedError(Reason.CLAIMS_VALUE, 'the claim "sub" is not a workload of the trust domain')

    return TokenProfile(
        name="spiffe",
        types=frozenset({None, "JWT", "JOSE"}),
        header_members=frozenset({"alg", "kid", "typ"}),
        algorithms=_RSA_AND_EC,
        required=frozenset({"sub", "aud", "exp"}),
        subject_prefix=prefix,
        further=(ClaimCheck("SPIFFE ID", f"sub below {prefix}", check),),
    )


def _check_events(claims: Mapping[str, Any]) -> None:
    """RFC 8417 §2.2: event identifiers and, for each, an object."""
    events = claims["events"]
    if not isinstance(events, dict) or not events or not all(isinstance(one, dict) for one in events.values()):
        raise RejectedError(Reason.CLAIMS_MALFORMED, 'the claim "events" is not an object of events')


def _check_one_audience(claims: Mapping[str, Any]) -> None:
    """Whoever is named beside us could present the assertion to us, and we to them (draft-ietf-oauth-rfc7523bis)."""
    if not isinstance(claims["aud"], str):
        raise RejectedError(Reason.CLAIMS_AUDIENCE, "an assertion is for one audience alone")


def _check_service_account(claims: Mapping[str, Any]) -> None:
    bound = claims["kubernetes.io"]
    account = bound.get("serviceaccount") if isinstance(bound, dict) else None
    parts = [bound.get("namespace"), account.get("name"), account.get("uid")] if isinstance(account, dict) else []
    if not parts or not all(isinstance(part, str) and part for part in parts):
        raise RejectedError(Reason.CLAIMS_MALFORMED, 'the claim "kubernetes.io" names no service account')
    if claims["sub"] != f"system:serviceaccount:{parts[0]}:{parts[1]}":
        raise RejectedError(Reason.CLAIMS_MALFORMED, 'the claims "sub" and "kubernetes.io" name different accounts')
    for name in ("pod", "node", "secret"):
        of = bound.get(name, {"name": "", "uid": ""})
        if not isinstance(of, dict) or not all(isinstance(of.get(part), str) for part in ("name", "uid")):
            raise RejectedError(Reason.CLAIMS_MALFORMED, 'the claim "kubernetes.io" is bound to something malformed')


def _check_workflow(claims: Mapping[str, Any]) -> None:
    if not all(isinstance(claims[name], str) and claims[name] for name in _WORKFLOW):
        raise RejectedError(Reason.CLAIMS_WRONG_TYPE, "the claims about the workflow are not text")
    if not claims["repository"].startswith(f"{claims['repository_owner']}/"):
        raise RejectedError(Reason.CLAIMS_MALFORMED, "the repository is not one of its owner")


_WORKFLOW = frozenset(
    {"repository", "repository_owner", "ref", "sha", "workflow", "event_name", "actor", "run_id", "sub"}
)
_WHOSE = {"repository", "repository_id", "repository_owner", "repository_owner_id", "enterprise", "job_workflow_ref"}

ANY = TokenProfile(name="any")
AT_JWT = TokenProfile(  # RFC 9068 §2.2, §4
    name="at+jwt",
    types=frozenset({"at+jwt"}),
    required=frozenset({"iss", "exp", "aud", "sub", "client_id", "iat", "jti"}),
)
JWT = TokenProfile(name="jwt", types=_PLAIN_TYPES, forbidden=frozenset({"at_hash", "c_hash", "events"}))  # no ID token
SECEVENT = TokenProfile(
    name="secevent",
    types=frozenset({"secevent+jwt"}),
    required=frozenset({"iss", "iat", "jti", "events"}),
    forbidden=frozenset({"exp", "sub"}),
    require_expiry=False,
    further=(ClaimCheck("events", "an object of events", _check_events),),
)
CLIENT_ASSERTION = TokenProfile(  # RFC 7523 §3; to insist on the type would shut out most of its clients
    name="client-assertion",
    types=frozenset({*_PLAIN_TYPES, "client-authentication+jwt"}),
    required=frozenset({"iss", "sub", "aud", "exp", "jti"}),
    further=(ClaimCheck("one audience", "text, not a list", _check_one_audience),),
)
KUBERNETES = TokenProfile(
    name="kubernetes",
    types=_PLAIN_TYPES,
    algorithms=frozenset({"RS256", "ES256", "ES384", "ES512"}),
    required=frozenset({"iss", "aud", "exp", "iat", "sub", "jti", "kubernetes.io"}),
    further=(ClaimCheck("service account", "kubernetes.io with an account that sub names", _check_service_account),),
)
GITHUB_ACTIONS = TokenProfile(
    name="github-actions",
    types=_PLAIN_TYPES,
    algorithms=_RSA_AND_EC,
    required=frozenset({"iss", "aud", "exp", "iat", "jti"}) | _WORKFLOW,
    maximum_lifetime_s=3600,
    pinned=frozenset(_WHOSE | {"sub"}),
    further=(ClaimCheck("workflow", "text about the workflow and its repository", _check_workflow),),
)
# What can be named in a configuration; the profile "spiffe" is made for a trust domain.
PROFILES: Mapping[str, TokenProfile] = MappingProxyType(
    {one.name: one for one in (ANY, AT_JWT, JWT, SECEVENT, KUBERNETES, GITHUB_ACTIONS)}
)
PROFILE_NAMES = frozenset({*PROFILES, "spiffe"})


def _has_type(header: Header, name: str | None) -> bool:
    return header.type is None if name is None else header.is_type(name)
