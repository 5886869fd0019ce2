"""The listening sockets of a service, taken before anything else is touched."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

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


@contextlib.contextmanager
def listening_at(path: Path, mode: int) -> Iterator[socket.socket]:
    """A unix socket that those whom ``mode`` names may connect to; its folder is made, and itself removed at the end.

    What a process left that is no more is replaced: nobody answers there. Raises ConfigurationError
    ``settings.port_in_use`` for a path where somebody does, and for one that is another kind of file.
    """
    own = path.with_name(f".{path.name}.{os.getpid()}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _check_free(path)
            own.unlink(missing_ok=True)
            listener.bind(str(own))
            own.chmod(mode)
            listener.listen(1024)
            own.replace(path)  # at no moment is there a path that does not answer, or that others may use
            made = path.lstat()
        except OSError as error:
            own.unlink(missing_ok=True)
            raise _no_socket(path, error.strerror or str(error)) from error
        try:
            yield listener
        finally:
            with contextlib.suppress(OSError):
                if os.path.samestat(path.lstat(), made):
                    path.unlink()


def _check_free(path: Path) -> None:
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise _no_socket(path, "something else is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(1.0)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            return
        except TimeoutError:
            pass  # it listens, and is busy
    raise _no_socket(path, "another process answers there")


def _no_socket(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        Reason.SETTINGS_PORT_IN_USE, f"cannot listen on {path} ({why}): stop what uses it, or choose another socket"
    )


def _cannot_listen(host: str, port: int, setting: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        Reason.SETTINGS_PORT_IN_USE,
        f"cannot listen on {host}:{port} ({error.strerror}): stop what uses the port, or choose another with {setting}",
    )
