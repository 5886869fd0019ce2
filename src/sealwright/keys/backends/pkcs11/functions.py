"""Three calls of a PKCS#11 module, made past python-pkcs11, which makes them unfit for threads."""

from __future__ import annotations

import ctypes

from pkcs11 import PKCS11Error

from sealwright.errors import BackendError, Reason

OK = 0x000
USER_ALREADY_LOGGED_IN = 0x100
ALREADY_INITIALIZED = 0x191
# PIN incorrect, invalid, of a wrong length, expired, locked, and not set yet (PKCS#11 v2.40, pkcs11t.h).
PIN_REFUSED = frozenset({0x0A0, 0x0A1, 0x0A2, 0x0A3, 0x0A4, 0x102})
_OS_LOCKING_OK = 2
_USER = 1
_INITIALIZE, _FINALIZE, _LOGIN = 0, 1, 18  # places in CK_FUNCTION_LIST


class _FunctionList(ctypes.Structure):
    _fields_ = [("version", ctypes.c_ubyte * 2), ("functions", ctypes.c_void_p * 20)]


class _InitializeArguments(ctypes.Structure):
    _fields_ = [("mutexes", ctypes.c_void_p * 4), ("flags", ctypes.c_ulong), ("reserved", ctypes.c_void_p)]


class Functions:
    """Each answers with a CK_RV. Raises PKCS11Error for a file that is no PKCS#11 module.

    BackendError ``backend.unsupported`` for one that gives every caller a state of its own, as the p11-kit proxy
    does: what is initialised and logged in here would be unknown to python-pkcs11.
    """

    def __init__(self, path: str) -> None:
        listed, again = _function_list(path), _function_list(path)
        if ctypes.addressof(listed) != ctypes.addressof(again):
            raise BackendError(
                Reason.BACKEND_UNSUPPORTED,
                "module-path names a p11-kit proxy or client: name the PKCS#11 module of the HSM's vendor itself",
            )
        places = listed.functions
        one = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)
        self._initialize, self._finalize = one(places[_INITIALIZE]), one(places[_FINALIZE])
        self._login = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong)(
            places[_LOGIN]
        )

    def initialize(self) -> int:
        arguments = _InitializeArguments(flags=_OS_LOCKING_OK)
        return int(self._initialize(ctypes.addressof(arguments)))

    def finalize(self) -> int:
        return int(self._finalize(None))

    def log_in(self, session: int, pin: bytes) -> int:
        return int(self._login(session, _USER, pin, len(pin)))


def _function_list(path: str) -> _FunctionList:
    listed = ctypes.POINTER(_FunctionList)()
    try:
        # The same library that python-pkcs11 loads: dlopen answers twice with one handle.
        answer = ctypes.CDLL(path).C_GetFunctionList(ctypes.byref(listed))
    except (OSError, AttributeError) as error:
        raise PKCS11Error(f"this is no PKCS#11 module: {error}") from error
    if answer != OK or not listed:
        raise PKCS11Error(f"C_GetFunctionList: {answer:#x}")
    return listed.contents
