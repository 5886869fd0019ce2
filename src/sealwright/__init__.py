"""The few names most callers need: signing and verifying in every form, the JWK types, Verifier and the errors."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

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
from sealwright.trust.sources.discovered import DiscoveredJWKSet
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.verifier import Verifier

if TYPE_CHECKING:
    from sealwright.jose.detached import sign_stream, verify_stream
    from sealwright.jose.json_forms import add_signature, sign_flattened, sign_general
    from sealwright.jose.key_formats import export_private_pem, read_private, read_public, write_public
    from sealwright.jose.multi_verification import decide_signatures, verify_signatures
    from sealwright.jose.signature_policy import ANY_SIGNATURE, EVERY_SIGNATURE, SignaturePolicy, SignatureReport
    from sealwright.jose.x509 import verify_chain

__version__ = "0.1.0"

__all__ = [
    "ANY_SIGNATURE",
    "EVERY_SIGNATURE",
    "IGNORE_AUDIENCE",
    "IGNORE_ISSUER",
    "BackendError",
    "ConfigurationError",
    "Decision",
    "DiscoveredJWKSet",
    "JWKSet",
    "PrivateJWK",
    "PublicJWK",
    "Reason",
    "RefusedError",
    "RejectedError",
    "RemoteJWKSet",
    "SealwrightError",
    "SecretJWK",
    "SignaturePolicy",
    "SignatureReport",
    "Signer",
    "TrustedIssuer",
    "UnavailableError",
    "VerificationPolicy",
    "Verified",
    "VerifiedJWS",
    "Verifier",
    "__version__",
    "add_signature",
    "decide_signatures",
    "export_private_pem",
    "read_private",
    "read_public",
    "sign",
    "sign_claims",
    "sign_flattened",
    "sign_general",
    "sign_stream",
    "verify_chain",
    "verify_signature",
    "verify_signatures",
    "verify_stream",
    "write_public",
]

# Imported at their first use (PEP 562): most processes need none of these, and every start would pay for them.
_LATER = {
    "detached": ("sign_stream", "verify_stream"),
    "json_forms": ("add_signature", "sign_flattened", "sign_general"),
    "key_formats": ("export_private_pem", "read_private", "read_public", "write_public"),
    "multi_verification": ("decide_signatures", "verify_signatures"),
    "signature_policy": ("ANY_SIGNATURE", "EVERY_SIGNATURE", "SignaturePolicy", "SignatureReport"),
    "x509": ("verify_chain",),
}

if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        for module, names in _LATER.items():
            if name in names:
                return globals().setdefault(name, getattr(import_module(f"sealwright.jose.{module}"), name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
