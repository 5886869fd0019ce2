"""DpopProofs: whether the DPoP proof of a request is one, made for this request by the holder of this key.

RFC 9449 §4.3. What is cheap comes first, the signature after it, and the store of seen proofs last, in binding.py.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from sealwright.errors import ConfigurationError, Reason, RejectedError, SealwrightError
from sealwright.jose import base64url, compact
from sealwright.jose.algorithms import ALGORITHMS, ASYMMETRIC
from sealwright.jose.claims import MAXIMUM_LEEWAY_S, check_types
from sealwright.jose.compact import UnverifiedJWS
from sealwright.jose.header import Header
from sealwright.jose.jwk import PublicJWK
from sealwright.jose.verification import check_signature
from sealwright.trust.dpop_nonces import DpopNonces
from sealwright.trust.evidence import Evidence
from sealwright.trust.request_url import normalized

TYP = "dpop+jwt"
ALGORITHMS_OF_PROOFS = frozenset({"ES256", "ES384", "ES512", "Ed25519", "PS256", "RS256", "ML-DSA-44"})
MAXIMUM_PROOF_BYTES = 16 * 1024
MAXIMUM_ID_CHARACTERS = 256
MAXIMUM_AGE_S = 3600.0


class Presented(NamedTuple):
    """One proof that holds: what names it among all others, and for how long to remember it."""

    url: str
    thumbprint: str
    proof_id: str
    remember_for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DpopProofs:
    """The rules for DPoP proofs. Pure.

    A proof is good for ``maximum_age_s`` seconds after its iat and from ``maximum_ahead_s`` before it, with
    ``leeway_s`` for clocks added at its end; it is remembered for ``clock_margin_s`` longer, which is how far the
    clocks of verifiers may lie apart. With ``nonces`` a proof needs one of theirs as well. Raises
    ConfigurationError ``settings.invalid``.
    """

    algorithms: frozenset[str] = ALGORITHMS_OF_PROOFS
    maximum_age_s: float = 60.0
    maximum_ahead_s: float = 10.0
    leeway_s: float = 10.0
    clock_margin_s: float = 240.0
    nonces: DpopNonces | None = None
    _names: frozenset[str] = field(init=False, repr=False)  # the "alg" names that a proof may carry

    def __post_init__(self) -> None:
        if not self.algorithms or not self.algorithms <= ASYMMETRIC:
            raise _wrong("the proofs' algorithms are a set of asymmetric ones")
        ahead = all(0 <= time_s <= MAXIMUM_LEEWAY_S for time_s in (self.maximum_ahead_s, self.leeway_s))
        if not ahead or not 1 <= self.maximum_age_s <= MAXIMUM_AGE_S or not 0 <= self.clock_margin_s <= MAXIMUM_AGE_S:
            raise _wrong("a proof is good for an hour at most, and ahead of time for two minutes")
        names = frozenset().union(*(ALGORITHMS[name].accepts for name in self.algorithms))
        object.__setattr__(self, "_names", names)

    def check(self, evidence: Evidence, token: str | bytes, thumbprint: str, now: float) -> Presented:
        """The one proof of a request that presents ``token``, which is bound to the key of ``thumbprint``.

        Raises RejectedError ``binding.missing`` without proof, ``binding.proof`` for one that does not hold,
        ``binding.nonce`` and ``binding.mismatch``.
        """
        proof, method, url = _of_request(evidence)
        try:
            unverified = compact.parse(proof, max_bytes=MAXIMUM_PROOF_BYTES)
            self._check_header(unverified.header)
            claims = unverified.unverified_claims()
            check_types(claims)
        except RejectedError as error:
            _refuse("the DPoP proof is malformed", error)
        target = normalized(url)
        self._check_request(claims, method, target)
        _check_token(claims, token)
        proof_id = _identifier(claims)
        if self.nonces is not None:
            self.nonces.check(claims.get("nonce"), now)
        remember_for_s = self._remember_for_s(claims, now)
        self._check_key(unverified, thumbprint)
        return Presented(target, thumbprint, proof_id, remember_for_s)

    def _check_header(self, header: Header) -> None:
        header.check_type(TYP)
        if header.algorithm not in self._names or not header.b64:
            raise RejectedError(Reason.ALGORITHM_NOT_ALLOWED, "the proof's algorithm is not allowed here")

    def _check_request(self, claims: Mapping[str, Any], method: str, target: str) -> None:
        if claims.get("htm") != method:
            _refuse("the DPoP proof is for another method")
        url = claims.get("htu")
        if not isinstance(url, str) or normalized(url) != target:
            _refuse("the DPoP proof is for another URL")

    def _remember_for_s(self, claims: Mapping[str, Any], now: float) -> float:
        issued = claims.get("iat")
        if issued is None:
            _refuse('the DPoP proof has no "iat"')
        if issued > now + self.maximum_ahead_s:
            _refuse("the DPoP proof was made in the future")
        left_s = float(issued) + self.maximum_age_s + self.leeway_s - now
        if left_s <= 0:
            _refuse("the DPoP proof was made too long ago")
        return left_s + self.clock_margin_s

    def _check_key(self, unverified: UnverifiedJWS, thumbprint: str) -> None:
        """The key in the header proves its own possession, and is used for nothing else."""
        try:
            key = _key(unverified.header)
        except RejectedError as error:
            _refuse("the DPoP proof has no usable key", error)
        if not hmac.compare_digest(key.thumbprint().encode(), thumbprint.encode()):
            raise RejectedError(Reason.BINDING_MISMATCH, "the DPoP proof is by another key than the token's")
        try:
            check_signature(unverified, key.bound_to(self.algorithms))
        except RejectedError as error:
            _refuse("the DPoP proof is not signed by its key", error)


def _of_request(evidence: Evidence) -> tuple[str, str, str]:
    if not evidence.proofs:
        raise RejectedError(Reason.BINDING_MISSING, "the token is bound to a key, and came without a DPoP proof")
    if len(evidence.proofs) > 1:
        _refuse("the request has more than one DPoP proof")
    if evidence.method is None or evidence.url is None:
        raise RejectedError(Reason.BINDING_MISSING, "nobody said which request the DPoP proof came with")
    return evidence.proofs[0], evidence.method, evidence.url


def _check_token(claims: Mapping[str, Any], token: str | bytes) -> None:
    digest = hashlib.sha256(token.encode() if isinstance(token, str) else token).digest()
    if claims.get("ath") != base64url.encode_text(digest):
        _refuse("the DPoP proof is for another token")


def _identifier(claims: Mapping[str, Any]) -> str:
    proof_id = claims.get("jti", "")  # text: check_types saw to it
    if not 0 < len(proof_id) <= MAXIMUM_ID_CHARACTERS:
        _refuse(f'the DPoP proof needs a "jti" of {MAXIMUM_ID_CHARACTERS} characters at most')
    return str(proof_id)


def _key(header: Header) -> PublicJWK:
    members = header.members.get("jwk")
    if not isinstance(members, dict):
        raise RejectedError(Reason.KEY_MALFORMED, 'the header has no "jwk"')
    key = PublicJWK.from_dict(members)
    return key if key.algorithm is not None else key.with_algorithm(header.algorithm)


def _refuse(message: str, cause: SealwrightError | None = None) -> NoReturn:
    detail = None if cause is None else str(cause)
    raise RejectedError(Reason.BINDING_PROOF, message, detail=detail) from cause


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
