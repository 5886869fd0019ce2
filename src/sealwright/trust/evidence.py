"""Evidence: what came with a token that may prove who presents it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Scheme = Literal["bearer", "dpop"]


class Evidence(NamedTuple):
    """The request that a token came with, as far as a binding needs it; None is what nobody vouched for.

    ``method`` and ``url`` are those of the request itself, ``scheme`` is how its Authorization header presented the
    token, ``proofs`` are the values of its DPoP headers (RFC 9449), and ``certificate_thumbprint`` is the base64url
    SHA-256 of the DER certificate that the caller proved to hold in TLS (RFC 8705 §3.1), as this process or a proxy
    that it trusts saw it. ``path`` is what stood in the request line, for rules about routes.
    """

    method: str | None = None
    url: str | None = None
    path: str | None = None
    scheme: Scheme | None = None
    proofs: tuple[str, ...] = ()
    certificate_thumbprint: str | None = None

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self._asdict().items() if name != "proofs")
        return f"Evidence({', '.join(shown)}, <{len(self.proofs)} proofs>)"


NO_EVIDENCE = Evidence()
