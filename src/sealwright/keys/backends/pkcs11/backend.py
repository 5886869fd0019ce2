"""Pkcs11Backend: keys that are made in an HSM, never leave it, and are known there by their handle as label and id."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self, TypeVar

from pkcs11 import Attribute, ObjectClass, PKCS11Error

from sealwright.errors import BackendError, Reason
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.keys.backend import BackendSignature
from sealwright.keys.backend_uri import BackendUri, backend_setting
from sealwright.keys.backends.pkcs11 import key_pairs
from sealwright.keys.backends.pkcs11.key_pairs import KeyPair
from sealwright.keys.backends.pkcs11.sessions import OpenSession, SessionPool, TokenAddress
from sealwright.keys.retrying import Retrying

T = TypeVar("T")
_OPTIONS = ("module-path", "pin-source", "sessions", "wait-s", "rsa-bits")
_ONCE_MORE = Retrying(attempts=2, first_wait_s=0.05, reasons=frozenset({Reason.BACKEND_FAILED}))


class Pkcs11Backend:
    """A KeyBackend on one token. What a token's mechanisms do not offer is ``backend.unsupported`` when it is asked."""

    name = "pkcs11"
    algorithms = key_pairs.ALGORITHMS

    def __init__(self, address: TokenAddress, rsa_bits: int) -> None:
        self._address = address
        self._rsa_bits = rsa_bits
        self._pools: dict[int, SessionPool] = {}  # by process: nothing that was opened before a fork is used after it

    @classmethod
    def open(cls, uri: BackendUri) -> Self:
        """``pkcs11:token=LABEL?module-path=FILE&pin-source=file:FILE[&sessions=4][&wait-s=5][&rsa-bits=2048]``.

        Raises ConfigurationError ``settings.backend``.
        """
        uri.check_options(*_OPTIONS)
        label = uri.path.removeprefix("token=")
        if label == uri.path or not label or ";" in label or uri.host:
            raise backend_setting("a token is named by its label alone: pkcs11:token=LABEL?…")
        module = Path(uri.required("module-path"))
        if not module.is_file():
            raise backend_setting("there is no file at module-path, which is the PKCS#11 module of the HSM's vendor")
        rsa_bits = uri.number("rsa-bits", 2048)
        if rsa_bits not in (2048, 3072, 4096):
            raise backend_setting("the option rsa-bits is 2048, 3072 or 4096")
        uri.secret("pin-source")  # read again at each login; here only to complain at the start
        sessions, wait_s = int(uri.number("sessions", 4, least=1, most=256)), uri.number("wait-s", 5.0, least=0.01)
        address = TokenAddress(str(module.resolve()), label, lambda: uri.secret("pin-source"), sessions, wait_s)
        return cls(address, int(rsa_bits))

    def generate(self, handle: str, algorithm: str) -> PublicJWK:
        if algorithm not in self.algorithms:
            raise BackendError(Reason.BACKEND_UNSUPPORTED, f"keys for {algorithm} cannot be made on a PKCS#11 token")

        def make(session: OpenSession) -> PublicJWK:
            found = key_pairs.pair(session.raw, handle)
            if found is None:
                for left_over in key_pairs.halves(session.raw, handle):
                    left_over.destroy()
                found = key_pairs.make(session.raw, handle, algorithm, self._rsa_bits)
            return found.public_jwk()

        return self._changing(make)

    def find(self, handle: str) -> PublicJWK | None:
        def look(session: OpenSession) -> PublicJWK | None:
            found = _pair(session, handle)
            return found.public_jwk() if found else None

        return self._asking(look)

    def sign(self, handle: str, signing_input: bytes) -> BackendSignature:
        def sign(session: OpenSession) -> bytes:
            known: KeyPair | None = session.keys.pop(handle, None)
            if known is not None:
                with contextlib.suppress(PKCS11Error):  # looked up again below: its object may be another one by now
                    signature = known.sign(signing_input)
                    session.keys[handle] = known
                    return signature
            found = _signing_pair(session, handle)
            signature = found.sign(signing_input)
            session.keys[handle] = found
            return signature

        return BackendSignature(self._asking(sign))

    def disable(self, handle: str) -> None:
        """Takes CKA_SIGN from the key; on a token that does not allow it, its record alone stops it from signing."""
        self._switch(handle, on=False)

    def enable(self, handle: str) -> None:
        self._switch(handle, on=True)

    def destroy(self, handle: str) -> None:
        def destroy(session: OpenSession) -> None:
            for one in key_pairs.halves(session.raw, handle):
                one.destroy()

        self._changing(destroy)

    def handles(self) -> Iterable[str]:
        def read(session: OpenSession) -> set[str]:
            session.confirm()
            return {label for label in _labels(session.raw) if key_pairs.is_handle(label)}

        return sorted(self._asking(read))

    def adopt(self, handle: str, reference: str, algorithm: str) -> PublicJWK:
        """The pair whose label is ``reference``, or whose id it is as ``id:HEX``; it loses both names to the handle."""
        if algorithm not in self.algorithms:
            raise BackendError(Reason.BACKEND_UNSUPPORTED, f"keys for {algorithm} cannot sign on a PKCS#11 token")
        named = _named(reference)

        def take(session: OpenSession) -> PublicJWK:
            found = key_pairs.pair(session.raw, handle)
            if found is None:
                private, public = _existing(session, handle, named)
                _check_adoptable(private, public, algorithm)
                for one in (public, private):
                    key_pairs.rename(one, handle, algorithm)
                found = _signing_pair(session, handle)
            return found.public_jwk()

        return self._changing(take)

    def import_private(self, handle: str, key: PrivateJWK) -> PublicJWK:  # noqa: ARG002
        raise BackendError(Reason.BACKEND_UNSUPPORTED, "an HSM makes its keys itself: none is put in from outside")

    def close(self) -> None:
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.close()

    def _switch(self, handle: str, *, on: bool) -> None:
        def switch(session: OpenSession) -> None:
            found = key_pairs.pair(session.raw, handle)
            if found is not None and found.private[Attribute.SIGN] != on:
                try:
                    found.private[Attribute.SIGN] = on
                except PKCS11Error:  # not allowed by this token, which is no error if it is still there
                    session.confirm()

        self._changing(switch)

    def _asking(self, work: Callable[[OpenSession], T]) -> T:
        def once() -> T:
            with self._pool().session() as session:
                return work(session)

        return _ONCE_MORE.call(once)

    def _changing(self, work: Callable[[OpenSession], T]) -> T:
        def once() -> T:
            with self._pool().writing() as session:
                return work(session)

        return _ONCE_MORE.call(once)

    def _pool(self) -> SessionPool:
        process = os.getpid()
        return self._pools.get(process) or self._pools.setdefault(process, SessionPool(self._address))


def _pair(session: OpenSession, handle: str) -> KeyPair | None:
    """None only if the token is there and we are logged in to it; PKCS11Error otherwise."""
    found = key_pairs.pair(session.raw, handle)
    if found is None and session.confirm():
        found = key_pairs.pair(session.raw, handle)
    return found


def _signing_pair(session: OpenSession, handle: str) -> KeyPair:
    found = _pair(session, handle)
    if found is None:
        raise BackendError(Reason.BACKEND_KEY_MISSING, "the token does not have this key")
    if not found.private[Attribute.SIGN]:
        raise BackendError(Reason.BACKEND_KEY_DISABLED, "this key is switched off at its token (CKA_SIGN)")
    return found


def _labels(session: Any) -> Iterable[str]:
    for which in key_pairs.HALVES:
        for one in list(session.get_objects({Attribute.CLASS: which})):
            with contextlib.suppress(UnicodeDecodeError):  # keys of others are called anything
                yield one[Attribute.LABEL]


def _named(reference: str) -> dict[str, Any]:
    if not reference.startswith("id:"):
        return {"label": reference}
    try:
        return {"id": bytes.fromhex(reference.removeprefix("id:"))}
    except ValueError:
        raise BackendError(Reason.BACKEND_KEY_MISSING, "an id is written as id: and hexadecimal digits") from None


def _existing(session: OpenSession, handle: str, named: dict[str, Any]) -> tuple[Any, Any]:
    """Either half may have its new name already, if an earlier adoption was killed."""
    private, public = (
        key_pairs.half(session.raw, which, label=handle) or key_pairs.half(session.raw, which, **named)
        for which in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)
    )
    if private is None or public is None:
        which = "private" if private is None else "public"
        raise BackendError(Reason.BACKEND_KEY_MISSING, f"the token has no {which} key of this name")
    return private, public


def _check_adoptable(private: Any, public: Any, algorithm: str) -> None:
    try:
        key_pairs.public_jwk(public, algorithm)
    except BackendError as error:
        raise BackendError(Reason.BACKEND_UNSUPPORTED, error.message) from error
    if not private[Attribute.SIGN]:
        raise BackendError(Reason.BACKEND_UNSUPPORTED, "the key on the token may not sign (CKA_SIGN)")
