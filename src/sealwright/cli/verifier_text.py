"""The text of a verifier.toml for the issuers of one key service. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyService:
    """The service as the verifier sees it; files are names in the folder of verifier.toml."""

    name: str
    url: str
    trust_root_file: str
    credential_file: str
    ca_file: str | None


def verifier_text(service: KeyService, issuers: Sequence[str], audience: Sequence[str]) -> str:
    """Access tokens of these issuers, for this audience, with their feeds and the poll."""
    ca = {} if service.ca_file is None else {"ca_file": service.ca_file}
    tables: dict[str, Mapping[str, object]] = {
        "service": {"host": "127.0.0.1", "port": 8701},
        "sealwright": {
            "name": service.name,
            "trust_root_file": service.trust_root_file,
            "state_folder": "state",
            "url": service.url,
            "credential_file": service.credential_file,
            **ca,
        },
        **{f"issuers.{_quoted(issuer)}": _issuer(issuer, audience) | ca for issuer in issuers},
    }
    return "\n".join(line for name, table in tables.items() for line in _table(name, table))


def _issuer(issuer: str, audience: Sequence[str]) -> dict[str, object]:
    feed_url = f"{issuer}/.well-known/revoked-keys"
    return {"profile": "at+jwt", "audience": list(audience), "discovery": True, "feed_url": feed_url}


def _table(name: str, table: Mapping[str, object]) -> Iterator[str]:
    yield f"[{name}]"
    yield from (f"{key} = {_quoted(value)}" for key, value in table.items())
    yield ""


def _quoted(value: object) -> str:
    # A JSON text, number, list or truth is one of TOML as well, but for DEL, which no value that is checked may have.
    return json.dumps(value, ensure_ascii=False)
