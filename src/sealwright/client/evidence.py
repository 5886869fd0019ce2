"""Evidence for bound tokens as the members of POST /v1/verify."""

from __future__ import annotations

from sealwright.trust.evidence import Evidence


def evidence_members(evidence: Evidence) -> dict[str, str]:
    """What ``evidence`` has; several proofs are joined as HTTP joins equal headers, and refused by the service."""
    members = {
        "method": evidence.method,
        "url": evidence.url,
        "scheme": evidence.scheme,
        "dpop": ", ".join(evidence.proofs) if evidence.proofs else None,
        "certificate_thumbprint": evidence.certificate_thumbprint,
    }
    return {name: value for name, value in members.items() if value is not None}
