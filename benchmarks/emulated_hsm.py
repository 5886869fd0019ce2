"""EmulatedHsm: a key backend that is as slow as an HSM, and no HSM: real keys in memory behind one slow door."""

from __future__ import annotations

import threading
import time

from sealwright.keys.backend import BackendSignature
from sealwright.keys.backends.memory import MemoryBackend

SIGNATURE_S = 0.01  # so 100 a second, whatever the number of callers


class EmulatedHsm(MemoryBackend):
    """One signature at a time, each of 10 ms. ``calls`` counts them."""

    name = "hsm"

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self._door = threading.Lock()

    def sign(self, handle: str, signing_input: bytes) -> BackendSignature:
        with self._door:
            time.sleep(SIGNATURE_S)
            self.calls += 1
            return super().sign(handle, signing_input)
