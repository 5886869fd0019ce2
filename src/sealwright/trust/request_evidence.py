"""evidence_of(): from what an HTTP edge has of a request to the Evidence for its token. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sealwright.errors import Reason, RejectedError
from sealwright.trust.bearer import scheme_of
from sealwright.trust.client_certificates import TrustedProxies
from sealwright.trust.evidence import Evidence


def evidence_of(
    method: str,
    url: str,
    headers: Sequence[tuple[str, str]],
    *,
    peer: str | None = None,
    peer_certificate: bytes | None = None,
    proxies: TrustedProxies | None = None,
) -> Evidence:
    """``url`` is the one that the client sent, ``headers`` are all of them in their order, one pair a line.

    ``peer`` is the address at the other end of the connection, and ``peer_certificate`` the DER certificate which that
    end proved to hold in TLS. A listed proxy speaks of its caller's certificate in a header; its own is nobody's proof,
    and from everybody else the header is ignored. Raises RejectedError ``binding.proof`` for a certificate that cannot
    be read, and ``request.malformed`` for two Authorization headers.
    """
    lower = [(name.lower(), value) for name, value in headers]
    authorizations = [value for name, value in lower if name == "authorization"]
    if len(authorizations) > 1:
        raise RejectedError(Reason.REQUEST_MALFORMED, "the request has more than one Authorization header")
    if proxies is not None and proxies.include(peer):
        thumbprint = proxies.thumbprint(lower)
    else:
        thumbprint = None if peer_certificate is None else _thumbprint(peer_certificate)
    return Evidence(
        method=method,
        url=url,
        scheme=scheme_of(authorizations[0]) if authorizations else None,
        proofs=tuple(value.strip(" \t") for name, value in lower if name == "dpop"),
        certificate_thumbprint=thumbprint,
    )


def _thumbprint(der: bytes) -> str:
    from sealwright.jose.certificates import certificate_thumbprint  # slow to import, and few callers show any

    try:
        return certificate_thumbprint(der)
    except RejectedError as error:
        raise RejectedError(Reason.BINDING_PROOF, "the caller's certificate cannot be read") from error
