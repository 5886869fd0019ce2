"""BackendUri: one line that says where private keys live, such as ``pkcs11:token=prod?pin-source=file:/run/pin``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from sealwright.errors import ConfigurationError, Reason

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class BackendUri:
    """scheme:[//host[:port]][/path][?options]. Its repr shows no option: one could be a secret given by mistake."""

    scheme: str
    host: str
    port: int | None
    path: str  # unquoted, without the slash at its beginning
    options: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ConfigurationError ``settings.backend``; never echoes the text."""
        try:
            parts = urlsplit(text)
            options = parse_qsl(parts.query, strict_parsing=bool(parts.query), keep_blank_values=True)
            port = parts.port
        except ValueError:
            raise backend_setting("a backend URI is scheme:[//host[:port]][/path][?option=value&…]") from None
        if not parts.scheme or parts.fragment or parts.password or parts.username:
            raise backend_setting("a backend URI has a scheme, no fragment, and neither user nor password in it")
        if len(dict(options)) != len(options):
            raise backend_setting("an option of a backend URI is given twice")
        return cls(parts.scheme, parts.hostname or "", port, unquote(parts.path).removeprefix("/"), dict(options))

    def check_options(self, *known: str) -> None:
        """An option that nobody reads is a misunderstanding. Raises ConfigurationError ``settings.backend``."""
        if unknown := sorted(self.options.keys() - set(known)):
            raise backend_setting(
                f"unknown option {unknown[0]}; {self.scheme}: has {', '.join(sorted(known)) or 'none'}"
            )

    def required(self, name: str) -> str:
        """Raises ConfigurationError ``settings.backend`` for an option that is missing or empty."""
        value = self.options.get(name, "")
        if not value:
            raise backend_setting(f"the {self.scheme}: backend needs the option {name}")
        return value

    def number(self, name: str, default: float, *, least: float = 0.0, most: float = 3600.0) -> float:
        """Raises ConfigurationError ``settings.backend``."""
        try:
            value = float(self.options.get(name, default))
        except ValueError:
            value = -1.0
        if not least <= value <= most:
            raise backend_setting(f"the option {name} is a number from {least:g} to {most:g}")
        return value

    def secret(self, name: str) -> str:
        """The first line of the file that the option names as ``file:PATH``; a secret itself never stands in a URI.

        Raises ConfigurationError ``settings.backend``.
        """
        source = self.required(name)
        if not source.startswith("file:"):
            raise backend_setting(f"the option {name} is file:PATH, a file that only its owner can read")
        try:
            return Path(source.removeprefix("file:")).read_text("utf-8").splitlines()[0].strip()
        except (OSError, UnicodeDecodeError, IndexError) as error:
            raise backend_setting(f"the file that the option {name} names cannot be read or is empty") from error

    @property
    def on_loopback(self) -> bool:
        return self.host in _LOOPBACK

    def __repr__(self) -> str:
        return f"BackendUri({self.scheme}:…)"


def backend_setting(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_BACKEND, f"backend: {message}")
