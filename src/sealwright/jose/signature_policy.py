"""SignaturePolicy: which signatures of a JWS must hold, and SignatureReport: which of them do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.jose.header import Header
from sealwright.jose.jwk import PublicJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.jose.verification import VerificationKey


@dataclass(frozen=True, slots=True, kw_only=True)
class SignaturePolicy:
    """All conditions that are given must hold. Raises ConfigurationError ``settings.invalid`` for none that could.

    ``at_least``   so many different signers, each counted once
    ``every``      no signature may fail; says nothing about signatures that were stripped: name those in ``signers``
    ``signers``    each must have signed: a kid, or a key set of which one key is enough; several kids are several keys
    ``hybrid``     a classical and a post-quantum signer (ML-DSA), so that breaking one family is not enough
    """

    at_least: int = 1
    every: bool = False
    signers: Sequence[str | JWKSet] = ()
    hybrid: bool = False

    def __post_init__(self) -> None:
        if self.at_least < 1 or isinstance(self.signers, str):
            raise ConfigurationError(Reason.SETTINGS_INVALID, "a policy needs at least one signature, signers a list")

    def check(self, results: Sequence[SignatureResult]) -> None:
        """Raises RejectedError: of the only signature its own reason, otherwise ``signatures.*``."""
        failed = [one for one in results if not one.verified]
        if failed and (self.every or len(results) == 1):
            first = failed[0]
            assert first.reason is not None
            raise RejectedError(first.reason, f"signature {first.index} does not hold: {first.message}")
        keys = [one.key for one in results if one.key is not None]
        self._check_signers(keys)
        counted = sum(one.counted for one in results)
        if counted < self.at_least:
            message = f"{counted} different signers have signed, {self.at_least} must"
            raise RejectedError(Reason.SIGNATURES_TOO_FEW, message)
        if self.hybrid and {_post_quantum(key) for key in keys} != {True, False}:
            message = "a classical and a post-quantum signature must both hold"
            raise RejectedError(Reason.SIGNATURES_SIGNER_MISSING, message)

    def _check_signers(self, keys: Sequence[VerificationKey]) -> None:
        for signer in self.signers:
            if not any(_is(key, signer) for key in keys):
                raise RejectedError(Reason.SIGNATURES_SIGNER_MISSING, f"{_name(signer)} has not signed")
        names = {signer for signer in self.signers if isinstance(signer, str)}
        if len({identity(key) for key in keys if key.key_id in names}) < len(names):
            message = "one key has signed under the names of several signers"
            raise RejectedError(Reason.SIGNATURES_SIGNER_MISSING, message)


ANY_SIGNATURE = SignaturePolicy()
EVERY_SIGNATURE = SignaturePolicy(every=True)


@dataclass(frozen=True, slots=True)
class SignatureResult:
    """The verdict on one signature. ``counted`` False while verified: this signer was counted already."""

    index: int
    key_id: str | None
    header: Header | None
    key: VerificationKey | None = field(repr=False)
    reason: Reason | None
    message: str

    @property
    def algorithm(self) -> str | None:
        return None if self.header is None else self.header.algorithm

    @property
    def verified(self) -> bool:
        return self.key is not None

    @property
    def counted(self) -> bool:
        return self.verified and self.reason is None


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """What ``decide_signatures`` found. ``payload`` is None unless the policy is satisfied, and
    where the content was a stream."""

    satisfied: bool
    reason: Reason | None
    message: str
    results: tuple[SignatureResult, ...]
    payload: bytes | None = field(default=None, repr=False)


def identity(key: VerificationKey) -> object:
    """Equal for keys that are one signer, whatever kid and algorithm they were given."""
    return key.thumbprint() if isinstance(key, PublicJWK) else key


def _is(key: VerificationKey, signer: str | JWKSet) -> bool:
    return key.key_id == signer if isinstance(signer, str) else any(key is one or key == one for one in signer)


def _name(signer: str | JWKSet) -> str:
    return f'the signer "{signer}"' if isinstance(signer, str) else "a signer of a required key set"


def _post_quantum(key: VerificationKey) -> bool:
    return key.algorithm is not None and key.algorithm.post_quantum
