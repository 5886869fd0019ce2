"""The few names most callers need: sign, verify_signature, the JWK types, Verifier and the errors."""

from sealwright.errors import (
    BackendError,
    ConfigurationError,
    Reason,
    RefusedError,
    RejectedError,
    SealwrightError,
    UnavailableError,
)
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.jose.secret_jwk import SecretJWK
from sealwright.jose.signing import Signer, sign
from sealwright.jose.verification import VerifiedJWS, verify_signature
from sealwright.profiles.claims_token import sign_claims
from sealwright.trust.decision import Decision, Verified
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.policy import IGNORE_AUDIENCE, IGNORE_ISSUER, VerificationPolicy
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.verifier import Verifier

__version__ = "0.1.0"

__all__ = [
    "IGNORE_AUDIENCE",
    "IGNORE_ISSUER",
    "BackendError",
    "ConfigurationError",
    "Decision",
    "JWKSet",
    "PrivateJWK",
    "PublicJWK",
    "Reason",
    "RefusedError",
    "RejectedError",
    "RemoteJWKSet",
    "SealwrightError",
    "SecretJWK",
    "Signer",
    "TrustedIssuer",
    "UnavailableError",
    "VerificationPolicy",
    "Verified",
    "VerifiedJWS",
    "Verifier",
    "__version__",
    "sign",
    "sign_claims",
    "verify_signature",
]
