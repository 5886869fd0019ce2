"""Issuers: the configured issuers, and which of them a token claims to be from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.jose.algorithms import ALGORITHMS, algorithm
from sealwright.jose.compact import MAXIMUM_TOKEN_BYTES
from sealwright.jose.header import Header
from sealwright.jose.secret_jwk import SecretJWK
from sealwright.trust.key_source import KeySource, VerificationKey
from sealwright.trust.policy import IGNORE_ISSUER, VerificationPolicy
from sealwright.trust.token_check import UNBOUND, TokenCheck


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One issuer's rules and where its keys come from. Nothing is shared between issuers.

    ``binding`` judges the evidence for a token that is bound to a key; ``checks`` follow in their order, so one that
    writes, such as that against replay, comes last.
    """

    policy: VerificationPolicy
    source: KeySource
    binding: TokenCheck = UNBOUND
    checks: tuple[TokenCheck, ...] = ()
    _names: frozenset[str] = field(init=False, repr=False)  # the "alg" names that its tokens may carry

    def __post_init__(self) -> None:
        names = frozenset().union(*(ALGORITHMS[name].accepts for name in self.policy.algorithms))
        object.__setattr__(self, "_names", names)

    def check_size(self, token: str | bytes) -> None:
        if len(token) > self.policy.maximum_token_bytes:
            raise RejectedError(Reason.TOKEN_TOO_LARGE, "the token is larger than its issuer's tokens may be")

    def check_header(self, header: Header) -> None:
        """Raises RejectedError ``algorithm.unknown``, ``algorithm.not_allowed``, ``header.type`` or ``.forbidden``."""
        if header.algorithm not in self._names:
            algorithm(header.algorithm)
            raise RejectedError(Reason.ALGORITHM_NOT_ALLOWED, "the token's algorithm is not allowed here")
        if self.policy.typ is not None:
            header.check_type(self.policy.typ)
        self.policy.profile.check_header(header)

    def checks_for(self, claims: Mapping[str, Any]) -> tuple[TokenCheck, ...]:
        """What is left once signature and claims hold."""
        if self.binding is UNBOUND and "cnf" not in claims:
            return self.checks
        return (self.binding, *self.checks)

    def name_in(self, claims: Mapping[str, Any]) -> str:
        """The verified issuer: the configured one, or what the token says where any is accepted."""
        return self.policy.issuer if isinstance(self.policy.issuer, str) else str(claims.get("iss", ""))

    def bind(self, key: VerificationKey) -> VerificationKey:
        """The key with its one algorithm, which the policy allows. Raises as ``PublicJWK.bound_to``."""
        if not isinstance(key, SecretJWK):
            return key.bound_to(self.policy.algorithms)
        if key.algorithm.name not in self.policy.algorithms:
            raise RejectedError(Reason.ALGORITHM_NOT_ALLOWED, "the key's algorithm is not allowed here")
        return key


class Issuers:
    """Matches configured issuers only. Raises ConfigurationError ``settings.invalid`` for a set that is ambiguous."""

    def __init__(self, trusted: Iterable[TrustedIssuer]) -> None:
        self._trusted = tuple(trusted)
        self._by_name: dict[object, TrustedIssuer] = {one.policy.issuer: one for one in self._trusted}
        self._any = self._by_name.get(IGNORE_ISSUER)
        self._by_subject = [one for one in self._trusted if one.policy.issuer_in_subject]
        if not self._trusted or len(self._by_name) != len(self._trusted):
            raise ConfigurationError(Reason.SETTINGS_INVALID, "give at least one issuer, and each of them once")
        if self._any is not None and len(self._trusted) > 1:
            raise ConfigurationError(Reason.SETTINGS_INVALID, "IGNORE_ISSUER stands alone: nothing else could match")
        self.maximum_token_bytes = min(
            MAXIMUM_TOKEN_BYTES, max(one.policy.maximum_token_bytes for one in self._trusted)
        )

    def match(self, claims: Mapping[str, Any]) -> TrustedIssuer:
        """The issuer whose name is exactly the unverified "iss": a hint, which the claim rules check again later.

        Where a profile allows it, a token without "iss" is of the issuer that its unverified "sub" lies below.
        Raises RejectedError ``issuer.missing`` or ``issuer.unknown``.
        """
        if self._any is not None:
            return self._any
        name = claims.get("iss")
        if name is None and (named := self._named_by_subject(claims)):
            return named
        if not isinstance(name, str):
            raise RejectedError(Reason.ISSUER_MISSING, 'the token has no "iss" claim')
        found = self._by_name.get(name)
        if found is None:
            raise RejectedError(Reason.ISSUER_UNKNOWN, "the token's issuer is not one that is trusted here")
        return found

    def _named_by_subject(self, claims: Mapping[str, Any]) -> TrustedIssuer | None:
        subject = claims.get("sub")
        return next(
            (one for one in self._by_subject if str(subject).startswith(str(one.policy.profile.subject_prefix))), None
        )

    def __iter__(self) -> Iterator[TrustedIssuer]:
        return iter(self._trusted)
