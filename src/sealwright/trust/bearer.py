"""Tokens at an HTTP edge, bearer (RFC 6750) and DPoP (RFC 9449): the header in, challenge and status out. Pure."""

from __future__ import annotations

import re
import string
from collections.abc import Collection

from sealwright.errors import ConfigurationError, Reason, RejectedError, SealwrightError
from sealwright.trust.dpop_nonces import NonceError
from sealwright.trust.evidence import Scheme

_OF_TOKENS = (string.ascii_letters + string.digits + "-._~+/").encode()
_NO_TOKEN = (Reason.CREDENTIAL_MISSING, Reason.TOKEN_MISSING)
_STATUSES = {
    Reason.REQUEST_MALFORMED: 400,
    Reason.ROUTE_MALFORMED: 400,
    Reason.CLAIMS_SCOPE: 403,
    Reason.ROUTE_DENIED: 403,
}
_CODES = {400: "invalid_request", 401: "invalid_token", 403: "insufficient_scope"}
_PROOF_CODES = {Reason.BINDING_NONCE: "use_dpop_nonce", Reason.BINDING_PROOF: "invalid_dpop_proof"}
_SPEAKABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")  # everything but the characters of RFC 6750 §3


def bearer_token(authorization: str | None) -> str:
    """The token of an Authorization header.

    Raises RejectedError ``credential.missing`` without a bearer credential, ``request.malformed`` for a broken one.
    """
    if scheme_of(authorization) != "bearer":
        raise RejectedError(Reason.CREDENTIAL_MISSING, "the request has no bearer token")
    return _token(authorization or "")


def presented_token(authorization: str | None) -> tuple[Scheme, str]:
    """How an Authorization header presents a token, and the token. Raises as ``bearer_token`` does."""
    if authorization is not None and authorization.startswith("Bearer ") and _is_token(token := authorization[7:]):
        return "bearer", token
    scheme = scheme_of(authorization)
    if scheme == "dpop":
        return scheme, _token(authorization or "")
    return "bearer", bearer_token(authorization)


def scheme_of(authorization: str | None) -> Scheme | None:
    """The scheme of an Authorization header, where it is one that presents tokens."""
    scheme = (authorization or "").strip(" ").partition(" ")[0].lower()
    return "bearer" if scheme == "bearer" else "dpop" if scheme == "dpop" else None


def challenge(error: SealwrightError | None, *, realm: str, scope: str | None = None) -> str:
    """The WWW-Authenticate value for an answer (RFC 6750 §3). No error code is named when no token was given."""
    return "Bearer " + ", ".join(_parameters(error, _code(error), realm, scope))


def dpop_challenge(
    error: SealwrightError | None, *, realm: str, algorithms: Collection[str], scope: str | None = None
) -> str:
    """The WWW-Authenticate value of the scheme DPoP (RFC 9449 §7.1); ``algorithms`` are those of the proof rules.

    A server that takes bearer tokens as well sends that challenge in a header of its own.
    """
    code = _PROOF_CODES.get(error.reason, _code(error)) if error is not None else None
    algs = f'algs="{_plain(" ".join(sorted(algorithms)))}"'
    return "DPoP " + ", ".join([*_parameters(error, code, realm, scope), algs])


def challenges(
    error: SealwrightError | None,
    *,
    realm: str,
    algorithms: Collection[str],
    by_proof: bool,
    takes_bearer: bool = True,
    scope: str | None = None,
) -> list[str]:
    """One for each scheme that is taken (RFC 9449 §7.1): Bearer, and DPoP where there are ``algorithms`` of proofs.

    The error stands in one of them: in that of DPoP if the failure is ``by_proof``.
    """
    plain = [challenge(None if by_proof else error, realm=realm, scope=scope)] if takes_bearer else []
    if not algorithms:
        return plain
    return [*plain, dpop_challenge(error if by_proof else None, realm=realm, algorithms=algorithms, scope=scope)]


def nonce_headers(error: SealwrightError | None) -> dict[str, str]:
    """The DPoP-Nonce header of an answer to a proof that needs one (RFC 9449 §9)."""
    return {"DPoP-Nonce": error.nonce} if isinstance(error, NonceError) else {}


def _parameters(error: SealwrightError | None, code: str | None, realm: str, scope: str | None) -> list[str]:
    parts = [f'realm="{_plain(realm)}"']
    if code is not None and error is not None:
        parts += [
            f'error="{code}"',
            f'error_description="{_SPEAKABLE.sub("", error.message.replace(chr(34), chr(39)))}"',
        ]
    if scope is not None:
        parts.append(f'scope="{_plain(scope)}"')
    return parts


def status(error: SealwrightError) -> int:
    """400 a broken request, 401 no acceptable token, 403 too little scope, 503 could not be decided."""
    if not isinstance(error, RejectedError):
        return 503
    return _STATUSES.get(error.reason, 401)


def _token(authorization: str) -> str:
    token = authorization.strip(" ").partition(" ")[2].strip(" ")
    if not _is_token(token):
        raise RejectedError(Reason.REQUEST_MALFORMED, "the Authorization header is not one token")
    return token


def _is_token(text: str) -> bool:
    """b64token, RFC 6750 §2.1. To delete all that is allowed takes a third of the time of a pattern."""
    body = text.rstrip("=")
    return body != "" and body.isascii() and not body.encode().translate(None, _OF_TOKENS)


def _code(error: SealwrightError | None) -> str | None:
    """RFC 6750 §3.1. An undecided token was not found invalid, so nothing is said about it."""
    if not isinstance(error, RejectedError) or error.reason in _NO_TOKEN:
        return None
    return _CODES.get(_STATUSES.get(error.reason, 401))


def _plain(value: str) -> str:
    if _SPEAKABLE.search(value):
        raise ConfigurationError(Reason.SETTINGS_INVALID, "realm and scope are printable ASCII without quotes")
    return value
