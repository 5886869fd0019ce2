"""ObservedBackend: reports every backend call, and distrusts every public key that a backend answers with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import BackendError, Reason, SealwrightError
from sealwright.events import BackendCall, BackendCalled, Observer, tell
from sealwright.jose.jwk import PrivateJWK
from sealwright.keys.backend import BackendSignature, KeyBackend, PublicHalf

T = TypeVar("T")


class ObservedBackend:
    """A KeyBackend around another one, so that backends contain no line about metrics."""

    def __init__(self, inner: KeyBackend, observer: Observer | None, clock: Clock = SYSTEM_CLOCK) -> None:
        self.name = inner.name
        self.algorithms = inner.algorithms
        self.inner = inner
        self._observer = observer
        self._clock = clock

    def generate(self, handle: str, algorithm: str) -> PublicHalf:
        if algorithm not in self.algorithms:
            message = f"the backend {self.name} has no {algorithm} keys, but {', '.join(sorted(self.algorithms))}"
            raise BackendError(Reason.BACKEND_UNSUPPORTED, message)
        return _checked(self._observed("generate", lambda: self.inner.generate(handle, algorithm)), algorithm)

    def find(self, handle: str) -> PublicHalf | None:
        return self._observed("find", lambda: self.inner.find(handle))

    def sign(self, handle: str, signing_input: bytes) -> BackendSignature:
        return self._observed("sign", lambda: self.inner.sign(handle, signing_input))

    def disable(self, handle: str) -> None:
        self._observed("disable", lambda: self.inner.disable(handle))

    def enable(self, handle: str) -> None:
        self._observed("enable", lambda: self.inner.enable(handle))

    def destroy(self, handle: str) -> None:
        self._observed("destroy", lambda: self.inner.destroy(handle))

    def handles(self) -> Iterable[str]:
        return self._observed("handles", lambda: list(self.inner.handles()))

    def adopt(self, handle: str, reference: str, algorithm: str) -> PublicHalf:
        return _checked(self._observed("adopt", lambda: self.inner.adopt(handle, reference, algorithm)), algorithm)

    def import_private(self, handle: str, key: PrivateJWK) -> PublicHalf:
        return self._observed("import", lambda: self.inner.import_private(handle, key))

    def close(self) -> None:
        self.inner.close()

    def _observed(self, call: BackendCall, answer: Callable[[], T]) -> T:
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


def _checked(public: PublicHalf, algorithm: str) -> PublicHalf:
    if public.algorithm is None or public.algorithm.name != algorithm or public.key_id != public.thumbprint():
        raise BackendError(Reason.BACKEND_FAILED, "the key backend made another key than was asked for")
    return public
