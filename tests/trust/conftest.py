import queue
import threading

import pytest
from jwks_server import PATIENCE_S, JwksServer

from sealwright.clock import ManualClock
from sealwright.jose import strict_json
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.signing import sign
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.verifier import Verifier

ISSUER = "https://id.example"
AUDIENCE = "orders"
PATIENT = CacheSettings(unknown_kid_wait_s=10.0)


class Events:
    """An Observer that keeps what it saw, in order."""

    def __init__(self):
        self.seen = []
        self._queue = queue.Queue()

    def observe(self, event):
        self.seen.append(event)
        self._queue.put(event)

    def next(self):
        return self._queue.get(timeout=PATIENCE_S)


@pytest.fixture
def server():
    server = JwksServer()
    yield server
    server.stop()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def events():
    return Events()


@pytest.fixture(scope="session")
def k1():
    return PrivateJWK.generate("ES256", key_id="k1")


@pytest.fixture(scope="session")
def k2():
    return PrivateJWK.generate("ES256", key_id="k2")


@pytest.fixture
def remote(server, clock, events):
    """Makes sources of the server and closes them afterwards."""
    made = []

    def make(**changes):
        usual = {"clock": clock, "observer": events, "timeout_s": 10.0, "settings": PATIENT}
        source = RemoteJWKSet(server.url, **{**usual, **changes})
        made.append(source)
        return source

    yield make
    server.release()
    for source in made:
        source.close()


@pytest.fixture
def warm(server, remote, events, k1):
    """A source that has fetched k1 once; the fetch is forgotten again."""

    def make(**changes):
        server.publish(k1)
        source = remote(**changes)
        source.find("k1")
        events.next()
        server.requests.clear()
        return source

    return make


@pytest.fixture
def claims(clock):
    now = clock.now()
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": int(now), "exp": int(now) + 900}


@pytest.fixture
def token_of(claims):
    """Signs the usual claims with changes; a claim set to None is left out."""

    def make(key, typ=None, **changes):
        kept = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return sign(strict_json.encode_object(kept), key, typ=typ)

    return make


@pytest.fixture
def in_threads():
    """Runs calls at the same time; ``join`` gives their results or errors, in order."""
    return Crowd


class Crowd:
    def __init__(self, calls):
        calls = list(calls)
        self.results = [None] * len(calls)
        barrier = threading.Barrier(len(calls))
        self._threads = [
            threading.Thread(target=self._run, args=(index, call, barrier)) for index, call in enumerate(calls)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, index, call, barrier):
        barrier.wait(PATIENCE_S)
        try:
            self.results[index] = call()
        except Exception as error:  # noqa: BLE001 - handed to the test
            self.results[index] = error

    def join(self):
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a caller is still waiting"
        return self.results


@pytest.fixture
def verifier_of(clock):
    def make(keys, **changes):
        usual = {"issuer": "https://id.example", "audience": "orders", "keys": keys, "clock": clock}
        return Verifier(**{**usual, **changes})

    return make
