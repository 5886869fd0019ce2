"""ObservedBackend: reports every backend call, and distrusts every public key that a backend answers with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import BackendError, Reason, SealwrightError
from sealwright.events import BackendCalled, Observer, tell
from sealwright.jose.jwk import PublicJWK
from sealwright.keys.backend import KeyBackend

T = TypeVar("T")
Call = Literal["generate", "find", "sign", "destroy"]


class ObservedBackend:
    """A KeyBackend around another one, so that backends contain no line about metrics."""

    def __init__(self, inner: KeyBackend, observer: Observer | None, clock: Clock = SYSTEM_CLOCK) -> None:
        self.name = inner.name
        self._inner = inner
        self._observer = observer
        self._clock = clock

    def generate(self, handle: str, algorithm: str) -> PublicJWK:
        public = self._observed("generate", lambda: self._inner.generate(handle, algorithm))
        if public.algorithm is None or public.algorithm.name != algorithm or public.key_id != public.thumbprint():
            raise BackendError(Reason.BACKEND_FAILED, "the key backend made another key than was asked for")
        return public

    def find(self, handle: str) -> PublicJWK | None:
        return self._observed("find", lambda: self._inner.find(handle))

    def sign(self, handle: str, signing_input: bytes) -> bytes:
        return self._observed("sign", lambda: self._inner.sign(handle, signing_input))

    def destroy(self, handle: str) -> None:
        self._observed("destroy", lambda: self._inner.destroy(handle))

    def _observed(self, call: Call, answer: Callable[[], T]) -> T:
        if self._observer is None:
            return answer()
        began, reason = self._clock.monotonic(), None
        try:
            return answer()
        except SealwrightError as error:
            reason = error.reason
            raise
        finally:
            tell(self._observer, BackendCalled(self.name, call, self._clock.monotonic() - began, reason))
