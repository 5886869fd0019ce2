"""Roles: the scopes of people and programs with one job, for every issuer or for some. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sealwright.errors import Reason, RejectedError
from sealwright.services.credentials import (
    APPROVALS_GRANT,
    AUDIT_ARCHIVE,
    AUDIT_READ,
    CLIENTS_WRITE,
    CREDENTIALS_ISSUE,
    KEYS_READ,
    KEYS_WRITE,
    METRICS_READ,
    OPERATOR_SCOPES,
    PAYLOADS_SIGN,
    SECRETS_REVEAL,
    TOKENS_INTROSPECT,
    TOKENS_ISSUE,
    TOKENS_REVOKE,
    VERIFIERS_POLL,
)

ROLES: Mapping[str, Sequence[str]] = {
    "operator": (
        *(KEYS_READ, KEYS_WRITE, CREDENTIALS_ISSUE, METRICS_READ),
        *(TOKENS_REVOKE, TOKENS_INTROSPECT, CLIENTS_WRITE),
    ),
    "signer": (TOKENS_ISSUE, PAYLOADS_SIGN),
    "approver": (KEYS_READ, APPROVALS_GRANT),
    "auditor": (KEYS_READ, AUDIT_READ, METRICS_READ),
    "archivist": (AUDIT_READ, AUDIT_ARCHIVE),
    "custodian": (KEYS_READ, SECRETS_REVEAL),
    "verifier": (VERIFIERS_POLL,),
    "revoker": (TOKENS_REVOKE, TOKENS_INTROSPECT),
    "resource": (TOKENS_INTROSPECT,),
}
_OF_ALL_ISSUERS = frozenset({METRICS_READ})  # there is no part of a scrape for one issuer


def scopes_of(roles: Collection[str], issuers: Collection[str] = ()) -> list[str]:
    """Sorted scopes; without issuers for all of them. Raises RejectedError ``request.malformed``."""
    if not roles or (unknown := set(roles) - ROLES.keys()):
        names = ", ".join(unknown) if roles else "none given"
        raise RejectedError(Reason.REQUEST_MALFORMED, f"the roles are {', '.join(ROLES)}; not known: {names}")
    wide = {scope for role in roles for scope in ROLES[role]}
    if not issuers:
        return sorted(wide)
    return sorted(f"{scope}:{issuer}" for scope in wide - _OF_ALL_ISSUERS for issuer in issuers)


def only_report(scopes: Collection[str]) -> bool:
    """Whether a credential can do nothing but say what a verifier enforces."""
    return bool(scopes) and all(_parts(scope)[0] == VERIFIERS_POLL for scope in scopes)


def check_covered(held: Collection[str], wanted: Collection[str]) -> None:
    """Nobody gives what they do not hold, nor for an issuer for which they may not issue credentials.

    Raises RejectedError ``credential.scope``.
    """
    for scope in wanted:
        base, issuer = _parts(scope)
        needed = (base, CREDENTIALS_ISSUE)
        if not all(name in held or (issuer and f"{name}:{issuer}" in held) for name in needed):
            message = f"you can only give what you hold yourself, and {scope} is not of that"
            raise RejectedError(Reason.CREDENTIAL_SCOPE, message)


def _parts(scope: str) -> tuple[str, str | None]:
    """The scope for all issuers, and the issuer; "keys:read:payments" is "keys:read" and "payments"."""
    base = next(known for known in OPERATOR_SCOPES if scope == known or scope.startswith(f"{known}:"))
    return base, scope[len(base) + 1 :] or None
