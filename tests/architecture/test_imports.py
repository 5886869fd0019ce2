"""The import contracts hold, and each catches the import it is there to forbid."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = str(Path(sys.executable).with_name("lint-imports"))
HOLDS_NO_KEYS = "Nothing that verifies can reach private-key code, even indirectly"
LAYERS = "Rooms are stacked; nothing imports upwards"

PLANTED = [
    ("keys/lifecycle.py", "sealwright.trust.verifier", LAYERS),
    ("trust/verifier.py", "sealwright.keys.record", HOLDS_NO_KEYS),
    ("trust/verifier.py", "sealwright.keys.record", LAYERS),
    ("jose/header.py", "sealwright.clock", LAYERS),
    ("jose/header.py", "time", "jose and statements do no I/O, read no clock and log nothing"),
    ("jose/header.py", "os", "jose and statements do no I/O, read no clock and log nothing"),
    ("statements/__init__.py", "logging", "jose and statements do no I/O, read no clock and log nothing"),
    ("trust/pipeline.py", "cryptography.x509", "Only jose and key backends touch cryptography"),
    ("profiles/access_token.py", "sealwright.settings", LAYERS),
    ("settings.py", "sealwright.wiring.signing", LAYERS),
    ("wiring/verifying.py", "sealwright.wiring.signing", HOLDS_NO_KEYS),
    ("wiring/verifying.py", "sqlalchemy", HOLDS_NO_KEYS),
    ("services/verifier_service/app.py", "sealwright.wiring.single_process", HOLDS_NO_KEYS),
    ("services/verifier_service/app.py", "sealwright.services.jwks_service.app", "Services do not know each other"),
    ("services/jwks_service/app.py", "sealwright.wiring.signing", "The JWKS service cannot reach private-key code"),
    ("services/console/__init__.py", "sealwright.wiring.verifying", "The console uses the same HTTP API as everyone"),
    ("services/console/__init__.py", "sealwright.keys.record", "The console uses the same HTTP API as everyone"),
    ("services/key_service/app.py", "sealwright.telemetry.metrics", "Only wiring names a concrete adapter"),
    ("services/key_service/app.py", "sealwright.keys.backends.local", "Only wiring names a concrete adapter"),
    ("keys/backends/local.py", "sealwright.keys.backends.memory", "Key backends do not know each other"),
    ("keys/backends/local.py", "sealwright.keys.backends.pkcs11.module", "Key backends do not know each other"),
    ("keys/backends/pkcs11/module.py", "sealwright.keys.backends.memory", "Key backends do not know each other"),
    ("services/key_service/app.py", "sealwright.keys.backends.pkcs11.backend", "Only wiring names a concrete adapter"),
    ("trust/verifier.py", "pkcs11", HOLDS_NO_KEYS),
    ("trust/verifier.py", "sealwright.jose.nested", "The core does not know of encryption"),
    ("jose/verification.py", "joserfc.jwe", "Only nested tokens touch joserfc"),
    ("__init__.py", "sealwright.keys.lifecycle", "The package root offers formats and verification"),
]


def lint(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache", "--no-logo"],
        cwd=project,
        env={"PYTHONPATH": str(project / "src"), "PATH": "/usr/bin:/bin", "COLUMNS": "500"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def broken_contracts(project: Path) -> list[str]:
    return [line for line in lint(project).stdout.splitlines() if " BROKEN" in line]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def test_every_contract_holds(project: Path) -> None:
    done = lint(project)
    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(("file", "imported", "contract"), PLANTED, ids=lambda value: str(value)[:40])
def test_a_planted_import_is_caught_by_its_contract(project: Path, file: str, imported: str, contract: str) -> None:
    path = project / "src" / "sealwright" / file
    path.write_text(path.read_text("utf-8") + f"\nimport {imported}\n", "utf-8")
    broken = broken_contracts(project)
    assert any(line.startswith(contract[:60]) for line in broken), broken


def test_a_room_that_is_not_on_the_map_is_caught(project: Path) -> None:
    (project / "src" / "sealwright" / "utils.py").write_text('"""A stray room."""\n', "utf-8")
    assert broken_contracts(project) == [f"{LAYERS} BROKEN"]
