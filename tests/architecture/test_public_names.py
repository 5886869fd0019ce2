"""The names at the package's root: all there, and no start pays for the forms that it does not use."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sealwright as sw


def test_every_public_name_is_there_and_no_other_is_made_up() -> None:
    assert all(getattr(sw, name) is not None for name in sw.__all__)
    with pytest.raises(AttributeError, match="no attribute 'sign_everything'"):
        _ = sw.sign_everything  # type: ignore[attr-defined]


def test_every_name_that_is_imported_later_is_public() -> None:
    assert {name for names in sw._LATER.values() for name in names} <= set(sw.__all__)


def test_forms_that_are_not_used_are_not_imported() -> None:
    code = (
        "import sys, sealwright as sw; late = {f'sealwright.jose.{name}' for name in sw._LATER};"
        "print(*sorted((late | {'cryptography.x509'}) & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.strip()
