"""Evidence: what came with a token that may prove who presents it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Scheme = Literal["bearer", "dpop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The request that a token came with, as far as a binding needs it; None is what nobody vouched for.

    ``method`` and ``url`` are those of the request itself, ``scheme`` is how its Authorization header presented the
    token, ``proofs`` are the values of its DPoP headers (RFC 9449), and ``certificate_thumbprint`` is the base64url
    SHA-256 of the DER certificate that the caller proved to hold in TLS (RFC 8705 §3.1), as this process or a proxy
    that it trusts saw it.
    """

    method: str | None = None
    url: str | None = None
    scheme: Scheme | None = None
    proofs: tuple[str, ...] = field(default=(), repr=False)
    certificate_thumbprint: str | None = None


NO_EVIDENCE = Evidence()
