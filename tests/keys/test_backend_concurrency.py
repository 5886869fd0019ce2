"""A backend that may be called so many times at once is not called more often."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sealwright.keys.backend import BackendSignature
from sealwright.keys.backends.memory import MemoryBackend
from sealwright.keys.observed_backend import ObservedBackend


class Crowded(MemoryBackend):
    """Holds callers until as many have come as there is room for."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.full = threading.Barrier(room, timeout=20)
        self.lock = threading.Lock()
        self.inside = self.most = 0

    def sign(self, handle: str, signing_input: bytes) -> BackendSignature:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.full.wait()
        with self.lock:
            self.inside -= 1
        return super().sign(handle, signing_input)


@pytest.mark.parametrize("room", [1, 3])
def test_no_more_calls_to_sign_than_there_is_room_for(room: int) -> None:
    inner = Crowded(room)
    backend = ObservedBackend(inner, None, concurrency=room)
    backend.generate("0" * 32, "Ed25519")
    with ThreadPoolExecutor(6) as threads:
        signatures = list(threads.map(lambda _: backend.sign("0" * 32, b"x").value, range(6)))
    assert (len(signatures), inner.most) == (6, room)
