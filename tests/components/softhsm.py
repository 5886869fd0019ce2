"""SoftHSM, the HSM in software: tokens of this process alone, in a folder that goes with it."""

from __future__ import annotations

import atexit
import functools
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PIN, SO_PIN = "1234", "5678"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm.so")


@dataclass(frozen=True)
class Token:
    """A token that was just initialised, and where its files are."""

    folder: Path
    label: str
    pin_file: Path

    def uri(self, **options: object) -> str:
        """``module_path="…"`` and the like replace what is usual."""
        usual = {"module-path": module(), "pin-source": f"file:{self.pin_file}"}
        usual |= {name.replace("_", "-"): str(value) for name, value in options.items()}
        return f"pkcs11:token={self.label}?" + "&".join(f"{name}={value}" for name, value in usual.items())

    @property
    def environment(self) -> Mapping[str, str]:
        """For programs that shall see the same tokens."""
        return {**os.environ, "SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}


def module() -> str:
    """Skips the test where SoftHSM is not installed."""
    found = next((path for path in MODULES if Path(path).exists()), None)
    if found is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM is not installed: apt-get install softhsm2")
    return found


def new_folder(**settings: str) -> Path:
    """A folder with a configuration for tokens in it; ``slots_mechanisms="-CKM_EDDSA"`` and the like are added."""
    folder = Path(tempfile.mkdtemp(prefix="sealwright-softhsm-"))
    atexit.register(_remove, folder, os.getpid())
    (folder / "tokens").mkdir()
    usual = {
        "directories.tokendir": f"{folder}/tokens",
        "objectstore.backend": "file",
        "library.reset_on_fork": "true",  # so that whoever uses an inherited session hears of it
        "log.level": "ERROR",
    } | {name.replace("_", ".", 1): value for name, value in settings.items()}
    (folder / "softhsm2.conf").write_text("".join(f"{name} = {value}\n" for name, value in usual.items()))
    return folder


@functools.cache
def folder_of_this_process() -> Path:
    """SoftHSM reads its environment when the module is initialised, so a process has one configuration."""
    folder = new_folder()
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    return folder


def new_token(folder: Path | None = None, label: str | None = None) -> Token:
    module()
    folder = folder or folder_of_this_process()
    label = label or secrets.token_hex(8)
    token = Token(folder, label, folder / f"{label}.pin")
    token.pin_file.write_text(f"{PIN}\n")
    command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", SO_PIN]
    subprocess.run(command, check=True, capture_output=True, env=token.environment, timeout=60)
    return token


@contextmanager
def raw_session(token: Token) -> Iterator[Any]:
    """Past Sealwright, with a backend open beside it: what an operator's own program sees and changes."""
    from sealwright.keys.backends.pkcs11.module import module_of_this_process

    pkcs11_module = module_of_this_process(str(Path(module()).resolve()))
    with pkcs11_module.call(token, 5.0):
        session = pkcs11_module.open_session(token.label, lambda: PIN, rw=True)
        try:
            yield session
        finally:
            session.close()
    pkcs11_module.leave(token, 5.0)


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
