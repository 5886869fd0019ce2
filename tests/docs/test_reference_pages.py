"""Reference pages say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from sealwright.errors import Reason
from sealwright.services.roles import ROLES
from sealwright.settings import ClientSettings, FleetSettings, ServiceSettings, Timings, VerifierSettings

DOCS = Path(__file__).parents[2] / "docs"


def first_cells(page: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)`", (DOCS / page).read_text("utf-8"), re.MULTILINE))


def test_every_reason_is_documented_and_nothing_else() -> None:
    documented = {cell for cell in first_cells("reasons.md") if "." in cell}
    assert documented == {str(reason) for reason in Reason}


NESTED = ("timings", "fleet")


def test_every_setting_is_documented_and_nothing_else() -> None:
    names = {f"SEALWRIGHT_{name.upper()}" for name in ServiceSettings.model_fields if name not in NESTED}
    names |= {f"SEALWRIGHT_FLEET__{name.upper()}" for name in FleetSettings.model_fields}
    names |= {f"SEALWRIGHT_{name.upper()}" for name in ClientSettings.model_fields}
    names |= {f"SEALWRIGHT_VERIFIER_{name.upper()}" for name in VerifierSettings.model_fields}
    assert first_cells("settings.md") == names | {"SEALWRIGHT_TIMINGS__…"}


def test_every_timing_is_documented_with_its_default() -> None:
    page = (DOCS / "lifecycle.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([A-Z_]+)`(?: \([A-Z]\))? \| (\d+) ", page, re.MULTILINE))
    assert {name.lower(): float(value) for name, value in rows.items()} == Timings().model_dump()


def test_every_role_is_documented_with_its_scopes() -> None:
    page = (DOCS / "access.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z]+)` \| ((?:`[a-z:]+` ?)+)\|", page, re.MULTILINE)
    assert {role: tuple(re.findall(r"`([a-z:]+)`", scopes)) for role, scopes in rows} == dict(ROLES)
