"""verify_chain(): from an "x5c" chain to a key that the caller's own anchors vouch for (RFC 5280)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.x509 import verification

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.jose.certificates import MAXIMUM_CHAIN, UNREADABLE, certificate_chain, signing_key, thumbprint_sha256
from sealwright.jose.jwk import PublicJWK
from sealwright.jose.key_formats import public_from

__all__ = ["certificate_chain", "thumbprint_sha256", "verify_chain"]


def verify_chain(x5c: Sequence[str], *, anchors: Sequence[bytes], now: Any, alg: str | None = None) -> PublicJWK:
    """The key of the first certificate, once a path from it to one of ``anchors`` (PEM or DER) is valid at ``now``.

    ``now`` is a ``datetime.datetime`` with a time zone; this room does not import what could read the clock.
    Any extended key usage passes, and so does a certificate without a name: who may sign what is the caller's to say,
    by its choice of anchors. Revocation lists are not asked. The first key may be of any kind; the path check does
    not know authorities with an Edwards or secp256k1 key.
    Raises RejectedError ``key.certificate``, or ``key.*`` as ``certificate_chain`` and ``read_public`` do, and
    ConfigurationError ``settings.invalid`` for anchors that are none.
    """
    if getattr(now, "tzinfo", None) is None:
        raise TypeError("now must be a datetime with a time zone")
    leaf, *others = certificate_chain(x5c)
    verifier = _builder(anchors).time(now).build_client_verifier()
    try:
        verifier.verify(leaf, others)
    except (verification.VerificationError, *UNREADABLE) as error:
        detail = str(error)
        raise RejectedError(Reason.KEY_CERTIFICATE, "no valid path leads to a known anchor", detail=detail) from None
    return public_from(signing_key(leaf), alg=alg)


def _builder(anchors: Sequence[bytes]) -> verification.PolicyBuilder:
    # The defaults are those of web servers: they ask for clientAuth and for a subject alternative name, and for key
    # identifiers, which only help to find a path and which private authorities leave out.
    ca_policy = _relaxed(
        verification.ExtensionPolicy.webpki_defaults_ca(),
        (x509.ExtendedKeyUsage, x509.AuthorityKeyIdentifier, x509.SubjectKeyIdentifier),
    )
    ee_policy = _relaxed(
        verification.ExtensionPolicy.webpki_defaults_ee(),
        (x509.ExtendedKeyUsage, x509.AuthorityKeyIdentifier, x509.SubjectAlternativeName),
    )
    builder = verification.PolicyBuilder().store(_store(anchors)).max_chain_depth(MAXIMUM_CHAIN)
    return builder.extension_policies(ca_policy=ca_policy, ee_policy=ee_policy)


def _relaxed(
    policy: verification.ExtensionPolicy, kinds: Sequence[type[x509.ExtensionType]]
) -> verification.ExtensionPolicy:
    for kind in kinds:
        policy = policy.may_be_present(kind, verification.Criticality.AGNOSTIC, None)
    return policy


def _store(anchors: Sequence[bytes]) -> verification.Store:
    try:
        return verification.Store([found for data in anchors for found in _read(data)])
    except UNREADABLE:
        raise ConfigurationError(Reason.SETTINGS_INVALID, "give at least one anchor, as PEM or DER") from None


def _read(data: bytes) -> list[x509.Certificate]:
    if b"-----BEGIN " in data:
        return x509.load_pem_x509_certificates(data)
    return [x509.load_der_x509_certificate(data)]
