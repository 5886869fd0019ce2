"""SessionPool: a bounded number of sessions on one token; lost ones are replaced, and driver errors translated."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pkcs11
from pkcs11 import PKCS11Error

from sealwright.errors import BackendError, ConfigurationError, Reason
from sealwright.keys.backends.pkcs11.module import Module, PinRefusedError, module_of_this_process

# What is wrong with one call; everything else may be the connection, and is worth opening the module anew.
_UNSUPPORTED = (
    pkcs11.MechanismInvalid,
    pkcs11.MechanismParamInvalid,
    pkcs11.KeySizeRange,
    pkcs11.DomainParamsInvalid,
    pkcs11.FunctionNotSupported,
    pkcs11.TemplateInconsistent,
    pkcs11.AttributeTypeInvalid,
    pkcs11.AttributeValueInvalid,
)
_REFUSED = (
    pkcs11.AttributeReadOnly,
    pkcs11.AttributeSensitive,
    pkcs11.ArgumentsBad,
    pkcs11.DataInvalid,
    pkcs11.DataLenRange,
    pkcs11.DeviceMemory,
    pkcs11.FunctionRejected,
    pkcs11.KeyTypeInconsistent,
    pkcs11.TemplateIncomplete,
    pkcs11.TokenWriteProtected,
    ValueError,
    NotImplementedError,
)


@dataclass(frozen=True, slots=True)
class TokenAddress:
    """Where the token is, and how long a call waits for a session."""

    module_path: str
    label: str
    read_pin: Callable[[], str]
    sessions: int
    wait_s: float


@dataclass(slots=True)
class OpenSession:
    """One session, and the keys that were found through it."""

    raw: Any
    generation: int
    confirm: Callable[[], bool]  # Module.confirm of its token
    epoch: int = 0
    keys: dict[str, Any] = field(default_factory=dict)


class SessionPool:
    """Of one backend in one process."""

    def __init__(self, address: TokenAddress) -> None:
        self._address = address
        self._module: Module = module_of_this_process(address.module_path)
        self._places = threading.BoundedSemaphore(address.sessions)
        self._idle: deque[OpenSession] = deque()
        self._epoch = 0
        self._closed = False

    @contextlib.contextmanager
    def session(self) -> Iterator[OpenSession]:
        """BackendError ``backend.throttled`` when all stay busy, and what ``_translated`` makes of driver errors."""
        if not self._places.acquire(timeout=self._address.wait_s):
            raise BackendError(Reason.BACKEND_THROTTLED, "all sessions of the HSM are busy: try again, or allow more")
        try:
            with self._translated(), self._module.call(self, self._address.wait_s) as generation:
                held = self._taken(generation)
                try:
                    yield held
                except _DRIVER_ERRORS:
                    _close(held.raw)
                    raise
                except BaseException:
                    self._give_back(held)
                    raise
                self._give_back(held)
        finally:
            self._places.release()

    @contextlib.contextmanager
    def writing(self) -> Iterator[OpenSession]:
        """A session that may change the token; one at a time in this process. What it does not see is not there."""
        if not self._module.writing.acquire(timeout=self._address.wait_s):
            raise BackendError(Reason.BACKEND_THROTTLED, "the HSM is busy making or destroying another key: try again")
        try:
            with self._translated(), self._module.call(self, self._address.wait_s) as generation:
                held = self._opened(generation, rw=True)
                try:
                    held.confirm()
                    yield held
                finally:
                    _close(held.raw)
        finally:
            self._epoch += 1  # a token may give the number of a destroyed object to a new one
            self._module.writing.release()

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(IndexError):
            while True:
                held = self._idle.pop()
                if held.generation == self._module.generation:
                    _close(held.raw)
        self._module.leave(self, self._address.wait_s)

    def _taken(self, generation: int) -> OpenSession:
        with contextlib.suppress(IndexError):
            while True:
                held = self._idle.pop()
                if held.generation == generation:
                    if held.epoch != self._epoch:
                        held.keys.clear()
                        held.epoch = self._epoch
                    return held
        return self._opened(generation)

    def _opened(self, generation: int, *, rw: bool = False) -> OpenSession:
        place = self._address
        raw = self._module.open_session(place.label, place.read_pin, rw=rw)
        return OpenSession(
            raw, generation, lambda: self._module.confirm(place.label, place.read_pin), epoch=self._epoch
        )

    def _give_back(self, held: OpenSession) -> None:
        if self._closed:
            _close(held.raw)
        else:
            self._idle.append(held)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        generation = self._module.generation
        try:
            yield
        except PinRefusedError:  # SoftHSM sees a PIN that was changed elsewhere only after this
            self._module.renew(generation, self._address.wait_s)
            raise
        except ConfigurationError as error:  # the PIN file is gone since the start
            raise BackendError(Reason.BACKEND_FAILED, error.message, detail=error.detail) from error
        except _UNSUPPORTED as error:
            raise _failure(Reason.BACKEND_UNSUPPORTED, "the token cannot do that", error) from error
        except pkcs11.SessionCount as error:
            raise _failure(Reason.BACKEND_THROTTLED, "the token has no session left: try again", error) from error
        except _REFUSED as error:
            raise _failure(Reason.BACKEND_FAILED, "the token refused the call", error) from error
        except PKCS11Error as error:
            self._module.renew(generation, self._address.wait_s)
            message = "the token failed or is not there; the module is opened anew for the next call"
            raise _failure(Reason.BACKEND_FAILED, message, error) from error


_DRIVER_ERRORS = (PKCS11Error, ValueError, NotImplementedError)


def _close(session: Any) -> None:
    with contextlib.suppress(PKCS11Error):
        session.close()


def _failure(reason: Reason, message: str, error: Exception) -> BackendError:
    name = type(error).__name__
    return BackendError(reason, f"{message} ({name})", detail=f"{name}: {error}")
