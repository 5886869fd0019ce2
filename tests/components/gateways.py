"""The proxies of examples/gateway as real programs: the very files, with other ports."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from servers import BIN, Server, free_port

EXAMPLES = Path(__file__).parents[2] / "examples" / "gateway"
Command = Callable[[Path], Sequence[str]]


class Gateway:
    """One proxy on ``port``, between the sidecar and the application; ``changes`` are what a user adds."""

    def __init__(
        self,
        name: str,
        folder: Path,
        sidecar_port: int,
        app_port: int,
        *,
        changes: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name, self.port, self.folder, self._tls = name, free_port(), folder, tls
        ports = {"8000": str(self.port), "8701": str(sidecar_port), "8080": str(app_port)}
        for example in (EXAMPLES / name).iterdir():
            text = example.read_text("utf-8")
            for line, instead in (changes or {}).items():
                assert line in text
                text = text.replace(line, instead)
            text = re.sub(r"(:|port_value: )(8000|8701|8080)\b", lambda found: found[1] + ports[found[2]], text)
            (folder / example.name).write_text(_in_folder(text, folder) if name == "nginx" else text)
        run, self._check = _COMMANDS[name]
        environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        self._server = Server(run(folder), environment, self._listens)

    def check(self) -> subprocess.CompletedProcess[str]:
        """What the program itself says of its configuration."""
        assert self._check is not None
        return subprocess.run(
            self._check(self.folder), capture_output=True, text=True, timeout=60, check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
        )  # fmt: skip

    def stop(self) -> None:
        self._server.stop()

    def _listens(self) -> bool:
        """It asks the sidecar: Traefik opens its port before it has its rules."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            try:
                connection.connect()
                connection.sock = connection.sock if self._tls is None else self._tls.wrap_socket(connection.sock)
                connection.request("GET", "/orders/1")
                return connection.getresponse().status == 401
            except (OSError, http.client.HTTPException):
                return False


def _in_folder(text: str, folder: Path) -> str:
    """nginx keeps bodies in a folder of the system, which is not everybody's."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f" {kind}_temp_path {folder / kind};" for kind in kinds)
    return text.replace("http {", f"http {{{paths}", 1)


def _nginx(folder: Path, *more: str) -> list[str]:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("NO NGINX: apt-get install nginx-light")
    own = f"daemon off; pid {folder}/pid; error_log {folder}/error.log;"
    return [program, "-p", str(folder), "-e", f"{folder}/start.log", "-c", f"{folder}/nginx.conf", "-g", own, *more]


def _packaged(name: str) -> list[str]:
    if not (BIN / name).exists():
        pytest.skip(f"NO {name.upper()}: scripts/system-tools.sh installs it below .tools/servers")
    return [str(BIN / "python"), str(BIN / name)] if name == "envoy" else [str(BIN / name)]


def _envoy(folder: Path, *more: str) -> list[str]:
    given = ["-c", str(folder / "envoy.yaml"), "--concurrency", "1", "--use-dynamic-base-id"]
    return [*_packaged("envoy"), *given, "--log-level", "off", *more]


def _caddy(folder: Path, verb: str) -> list[str]:
    return [*_packaged("caddy"), verb, "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def _traefik(folder: Path) -> list[str]:
    own = folder / "traefik.yml"
    own.write_text(own.read_text().replace("filename: dynamic.yml", f"filename: {folder / 'dynamic.yml'}"))
    return [*_packaged("traefik"), f"--configFile={own}"]


_COMMANDS: dict[str, tuple[Command, Command | None]] = {
    "nginx": (_nginx, lambda folder: _nginx(folder, "-t")),
    "envoy": (_envoy, lambda folder: _envoy(folder, "--mode", "validate")),
    "caddy": (lambda folder: _caddy(folder, "run"), lambda folder: _caddy(folder, "validate")),
    "traefik": (_traefik, None),
}
