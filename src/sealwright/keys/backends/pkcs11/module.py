"""Module: one PKCS#11 module of this process, which every backend on it shares, with the login to its tokens."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from pkcs11 import NoSuchToken, PKCS11Error, TokenNotPresent, _pkcs11

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import BackendError, Reason
from sealwright.keys.backends.pkcs11 import functions
from sealwright.keys.backends.pkcs11.functions import Functions

RENEWAL_INTERVAL_S = 1.0
_PIN_REFUSED = (
    "the PIN in the file of pin-source was refused {}: put the right one into the file, which is read again at the "
    "next call, or let the token's security officer unlock it"
)
_modules: dict[tuple[int, str], Module] = {}


def module_of_this_process(path: str) -> Module:
    """After a fork the child gets one of its own: sessions, locks and logins of the parent mean nothing in it."""
    key = os.getpid(), path
    return _modules.get(key) or _modules.setdefault(key, Module(path))


class PinRefusedError(BackendError):
    """The token has just refused the PIN."""


class Module:
    """Calls run inside of ``call``, so that the module is renewed only while none is in it.

    ``generation`` counts the renewals: a session of an earlier one is void.
    """

    def __init__(self, path: str) -> None:
        self.generation = 0
        self.writing = threading.Lock()  # one key is made or destroyed at a time
        self._path = path
        self._functions: Functions | None = None
        self._library: Any = None
        self._held = False  # initialised by us, and not finalised yet
        self._keepers: dict[str, Any] = {}  # by token: the open session that keeps the process logged in
        self._refused: dict[str, bytes] = {}  # by token: the digest of the PIN that it refused
        self._logging_in = threading.Lock()
        self._changed = threading.Condition()
        self._users: set[int] = set()
        self._calls = 0
        self._renewing = False
        self._renewed_at = -RENEWAL_INTERVAL_S

    @contextlib.contextmanager
    def call(self, user: object, wait_s: float) -> Iterator[int]:
        """The generation. BackendError ``backend.throttled`` if a renewal takes too long; PKCS11Error."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._renewing, wait_s):
                raise BackendError(Reason.BACKEND_THROTTLED, "the PKCS#11 module is being opened anew: try again")
            if self._library is None:
                self._start()
            self._users.add(id(user))
            self._calls += 1
            generation = self.generation
        try:
            yield generation
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()

    def renew(self, generation: int, wait_s: float) -> None:
        """Finalise, so that the next call initialises: the way back from a lost token. At most once a second."""
        with self._changed:
            now = SYSTEM_CLOCK.monotonic()
            if self._renewing or generation != self.generation or now - self._renewed_at < RENEWAL_INTERVAL_S:
                return
            self._stop(wait_s)
            self._renewed_at = SYSTEM_CLOCK.monotonic()

    def leave(self, user: object, wait_s: float) -> None:
        """The last user finalises: nothing is left open then, and nothing is inherited by a fork."""
        with self._changed:
            self._users.discard(id(user))
            if not self._users and not self._renewing:
                self._stop(wait_s)

    def open_session(self, label: str, read_pin: Callable[[], str], *, rw: bool = False) -> Any:
        """A session that sees private keys. Raises PKCS11Error, and BackendError for a PIN that is refused."""
        with self._logging_in:
            keeper = self._keepers.get(label)
            if keeper is None:
                keeper = self._token(label).open()
                try:
                    self._log_in(keeper, label, read_pin)
                except Exception:
                    with contextlib.suppress(PKCS11Error):
                        keeper.close()
                    raise
                self._keepers[label] = keeper
        return keeper.token.open(rw=rw)

    def confirm(self, label: str, read_pin: Callable[[], str]) -> bool:
        """Whether the process had been logged out, and is in again; PKCS11Error if the token does not answer.

        Without this a token that was lost, or that somebody else's library logged out, would look like an empty one.
        """
        keeper = self._keepers[label]
        if keeper.token.slot.get_token().label != label:
            raise TokenNotPresent
        with self._logging_in:
            return self._log_in(keeper, label, read_pin)

    def _start(self) -> None:
        self._functions = self._functions or Functions(self._path)
        answer = self._functions.initialize()
        if answer == functions.ALREADY_INITIALIZED and (self._held or self._forked()):
            self._functions.finalize()
            answer = self._functions.initialize()
        if answer == functions.ALREADY_INITIALIZED:
            raise BackendError(
                Reason.BACKEND_FAILED,
                "another library in this process uses the same PKCS#11 module: give Sealwright a process of its own",
            )
        if answer != functions.OK:
            raise PKCS11Error(f"C_Initialize: {answer:#x}")
        self._held = True
        # Without __init__, which calls C_Initialize(NULL): the promise that no second thread will ever call.
        library: Any = _pkcs11.lib
        self._library = library.__new__(library, self._path)

    def _forked(self) -> bool:
        """A parent process held it, so that a module which does not notice forks is initialised in this one too."""
        return any(
            one._held for (pid, path), one in list(_modules.items()) if path == self._path and pid != os.getpid()
        )

    def _stop(self, wait_s: float) -> None:
        self._renewing = True
        try:
            if self._changed.wait_for(lambda: not self._calls, wait_s) and self._library is not None:
                self._library = None
                self._keepers.clear()
                self.generation += 1
                if self._functions is not None:
                    self._held = self._functions.finalize() != functions.OK
        finally:
            self._renewing = False
            self._changed.notify_all()

    def _token(self, label: str) -> Any:
        """By its label, since slot numbers change. A slot that cannot answer hides no other one."""
        found = []
        for slot in self._library.get_slots(token_present=True):
            with contextlib.suppress(PKCS11Error):
                found.append(slot.get_token())
        named = [token for token in found if token.label == label]
        if len(named) > 1:
            raise BackendError(Reason.BACKEND_FAILED, "several tokens have the label that the backend's URI names")
        if not named:
            raise NoSuchToken("no token has the label that the backend's URI names")
        return named[0]

    def _log_in(self, session: Any, label: str, read_pin: Callable[[], str]) -> bool:
        """Never sends a PIN again that was refused: a few more of these, and an HSM locks or erases itself."""
        assert self._functions is not None
        pin = read_pin().encode()
        digest = hashlib.sha256(pin).digest()
        if self._refused.get(label) == digest:
            raise BackendError(Reason.BACKEND_FAILED, _PIN_REFUSED.format("before, and is not sent again"))
        answer = self._functions.log_in(session.handle, pin)
        if answer in functions.PIN_REFUSED:
            self._refused[label] = digest
            raise PinRefusedError(Reason.BACKEND_FAILED, _PIN_REFUSED.format(f"by the token (CKR {answer:#x})"))
        if answer not in (functions.OK, functions.USER_ALREADY_LOGGED_IN):
            raise PKCS11Error(f"C_Login: {answer:#x}")
        return answer == functions.OK
