"""The tables of verifier.toml in the pages are valid, and the pages name every option and every profile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sealwright.config.verifier_file import check_file
from sealwright.config.verifier_tables import EdgeTable, VerifierFile, VerifierIssuerTable
from sealwright.trust.token_profiles import PROFILE_NAMES

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = [
    (page, block)
    for page in ("sidecar.md", *(f"guides/{name}.md" for name in ("third-party-issuers", "binding", "gateway", "mesh")))
    for block in re.findall(r"```toml\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)
]


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_every_table_in_the_pages_is_valid(tmp_path: Path, page: str, block: str) -> None:
    path = tmp_path / "verifier.toml"
    path.write_text(block)
    read = check_file(path)
    assert [read.written(fault) for fault in read.faults] == []


def test_the_page_of_the_sidecar_names_every_table_option_and_profile() -> None:
    page = (DOCS / "sidecar.md").read_text("utf-8")
    options = {*VerifierIssuerTable.model_fields, *EdgeTable.model_fields, *PROFILE_NAMES} - {"profile"}
    assert {name for name in options if f"`{name}" not in page} == set()
    assert {name for name in VerifierFile.model_fields if f"`[{name}" not in page} == set()
