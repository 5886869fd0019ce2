"""Where an engine of OpenBao or Vault is, from a URI."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sealwright.keys.backend_uri import BackendUri, backend_setting

_PATH = re.compile(r"[\w.-]+(/[\w.-]+)*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the engine is. ``read_token`` may raise ConfigurationError."""

    host: str
    port: int
    mount: str
    tls: bool
    read_token: Callable[[], str]
    ca_file: str | None = None
    namespace: str | None = None
    timeout_s: float = 5.0


def place_of(uri: BackendUri, engine: str, *more_options: str) -> Place:
    """Raises ConfigurationError ``settings.backend``."""
    uri.check_options("token-source", "ca", "tls", "namespace", "timeout", *more_options)
    mount, tls, ca_file = uri.path.strip("/"), uri.options.get("tls", "on"), uri.options.get("ca")
    if not uri.host or not is_path(mount):
        example = f"{uri.scheme}://host:8200/{engine}?…"
        raise backend_setting(f"{uri.scheme}: names a host and the path of the {engine} engine: {example}")
    if tls not in ("on", "off") or (tls == "off" and not uri.on_loopback):
        raise backend_setting("the option tls is on, or off for this machine only")
    if ca_file is not None and not Path(ca_file).is_file():
        raise backend_setting("the file that the option ca names is not there")
    timeout_s = uri.number("timeout", 5, least=0.1, most=60)
    return Place(
        uri.host,
        uri.port or 8200,
        mount,
        tls == "on",
        lambda: _printable(uri.secret("token-source")),
        ca_file,
        uri.options.get("namespace"),
        timeout_s,
    )


def is_path(text: str) -> bool:
    """Names with slashes between them."""
    return _PATH.fullmatch(text) is not None


def _printable(token: str) -> str:
    if not (token.isascii() and token.isprintable()):
        raise backend_setting("the file that the option token-source names holds no token")
    return token
