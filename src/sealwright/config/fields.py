"""The values that settings and sealwright.toml have in common, each with its rule."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from sealwright.jose.algorithms import ALGORITHMS, ASYMMETRIC
from sealwright.jose.claims import MAXIMUM_LEEWAY_S

ISSUER_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
LONGEST_S = 400 * 86_400
LONGEST_TOKEN_S = 86_400
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = r"^[0-9]{1,9}[smhd]$"


def _signing_algorithm(name: str) -> str:
    if name not in ASYMMETRIC:
        raise ValueError(f"not a signing algorithm; known: {', '.join(sorted(ASYMMETRIC))}")
    return name


def _verifying_algorithm(name: str) -> str:
    if name not in ALGORITHMS:
        raise ValueError(f"not an algorithm; known: {', '.join(sorted(ALGORITHMS))}")
    return name


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("not an http(s) URL without query and fragment")
    return url.rstrip("/")


def _seconds(given: Any) -> Any:
    """ "90s", "15m", "12h" or "30d"; a number is seconds already."""
    if not isinstance(given, str):
        return given
    if not re.match(_DURATION, given):
        raise ValueError('a duration is a number of seconds, or text like "90s", "15m", "12h" or "30d"')
    return float(given[:-1]) * _UNITS_S[given[-1]]


def _duration(least_s: float = 0, most_s: float = LONGEST_S) -> Any:
    number = {"type": "number", "minimum": least_s, "maximum": most_s}
    schema = {"anyOf": [number, {"type": "string", "pattern": _DURATION}]}
    rule = Field(ge=least_s, le=most_s, allow_inf_nan=False)
    return Annotated[float, BeforeValidator(_seconds), rule, WithJsonSchema(schema)]


SigningAlgorithm = Annotated[
    str,
    AfterValidator(_signing_algorithm),
    WithJsonSchema({"type": "string", "enum": sorted(ASYMMETRIC)}),
]
VerifyingAlgorithm = Annotated[
    str,
    AfterValidator(_verifying_algorithm),
    WithJsonSchema({"type": "string", "enum": sorted(ALGORITHMS)}),
]
BackendName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
ReplicaName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,89}$")]
IssuerName = Annotated[str, Field(pattern=ISSUER_PATTERN)]
HttpUrl = Annotated[str, AfterValidator(_http_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
Seconds = Annotated[float, Field(ge=0, le=LONGEST_S, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Leeway = Annotated[float, Field(ge=0, le=MAXIMUM_LEEWAY_S)]
Duration = _duration()
TokenDuration = _duration(4, LONGEST_TOKEN_S)
LeewayDuration = _duration(0, MAXIMUM_LEEWAY_S)
OutageDuration = _duration(0, 86_400)
PositiveDuration = _duration(0, 60)
RefreshDuration = _duration(1, 120)
ClaimDuration = _duration(0.01, 60)
CredentialDuration = _duration(4, 900)
DrainDuration = _duration(0, 300)
Workers = Annotated[int, Field(ge=1, le=256)]
PublishedKeys = Annotated[int, Field(ge=2, le=100)]
