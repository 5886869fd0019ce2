"""One HTTP connection to a key source: checked addresses, one deadline for everything, no redirects."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress

from urllib3.connection import HTTPConnection, HTTPSConnection

from sealwright.clock import SYSTEM_CLOCK
from sealwright.trust.flight import unavailable
from sealwright.trust.sources.key_address import KeyAddress


class Checked(HTTPConnection):
    """Connects only to addresses that were checked after resolution, so that a name cannot rebind in between."""

    address: KeyAddress
    deadline: float
    line: socket.socket | None = None
    was_cut = False

    def _new_conn(self) -> socket.socket:
        found = socket.getaddrinfo(self.address.host, self.address.port, type=socket.SOCK_STREAM)
        for *_, where in found:
            self.address.check_resolved(str(where[0]))
        self.line = _first_that_answers([(str(where[0]), int(where[1])) for *_, where in found], self.deadline)
        return self.line

    def connect(self) -> None:
        super().connect()
        self.line = self.sock
        if self.was_cut:
            raise TimeoutError("cut while connecting")

    def cut(self) -> None:
        """End the exchange from any thread: whoever reads sees the end of the stream."""
        self.was_cut = True
        if self.line is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.line, socket.SHUT_RDWR)


class CheckedTls(Checked, HTTPSConnection):
    pass


class KeyConnection:
    """A context in which one exchange may run until its deadline, when it is cut."""

    def __init__(self, address: KeyAddress, timeout_s: float, tls: ssl.SSLContext | None) -> None:
        self.http = _connection(address, timeout_s, tls)
        self.http.address, self.http.deadline = address, SYSTEM_CLOCK.monotonic() + timeout_s
        # urllib3's timeout starts anew with every byte: a drip could hold the flight for hours.
        self._alarm = threading.Timer(timeout_s, self.http.cut)
        self._alarm.daemon = True

    def __enter__(self) -> Checked:
        self._alarm.start()
        return self.http

    def __exit__(self, *_: object) -> None:
        self._alarm.cancel()
        self._alarm.join()
        self.http.close()


def _connection(address: KeyAddress, timeout_s: float, tls: ssl.SSLContext | None) -> Checked:
    if address.scheme == "http":
        return Checked(address.host, address.port, timeout=timeout_s)
    return CheckedTls(address.host, address.port, timeout=timeout_s, ssl_context=tls)


def _first_that_answers(targets: list[tuple[str, int]], deadline: float) -> socket.socket:
    """Each address gets its share of what is left: one that swallows packets must not use up the others' time."""
    failure: OSError | None = None
    for index, target in enumerate(targets):
        left_s = deadline - SYSTEM_CLOCK.monotonic()
        if left_s <= 0:
            break
        try:
            found = socket.create_connection(target, timeout=left_s / (len(targets) - index))
        except OSError as error:
            failure = error
        else:
            found.settimeout(left_s)
            return found
    raise unavailable("the key source could not be reached") from failure
