"""The listening socket of a service, taken before anything else is touched."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from sealwright.errors import ConfigurationError, Reason


@contextlib.contextmanager
def listening(host: str, port: int, *, setting: str) -> Iterator[socket.socket]:
    """A bound socket; port 0 takes a free one. Raises ConfigurationError ``settings.port_in_use``."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_listen(host, port, setting, error) from error
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(1024)
        except OSError as error:
            raise _cannot_listen(host, port, setting, error) from error
        yield listener


def _cannot_listen(host: str, port: int, setting: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        Reason.SETTINGS_PORT_IN_USE,
        f"cannot listen on {host}:{port} ({error.strerror}): stop what uses the port, or choose another with {setting}",
    )
