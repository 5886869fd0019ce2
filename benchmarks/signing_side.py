"""A signing side on disk, as ``sealwright up`` has it: SQLite, audited, behind queues; and how it is timed."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.work import AUDIENCE, ISSUER
from sealwright.clock import SYSTEM_CLOCK
from sealwright.keys.backend import KeyBackend
from sealwright.keys.backends.local import LocalBackend
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.delegation import DelegatedKeys
from sealwright.keys.journal import Journal
from sealwright.keys.lifecycle import KeyLifecycle
from sealwright.keys.managed_signer import ManagedSigner
from sealwright.keys.policy import FixedPolicies, IssuerPolicy
from sealwright.keys.sealing import Sealer
from sealwright.keys.signing_queue import SigningQueue
from sealwright.keys.timings import KeyTimings
from sealwright.profiles.access_token import TYP, access_token_payload

NAME, WHO = "default", {"actor": "benchmark", "reason": "benchmark"}
NO_DWELL = KeyTimings(jwks_max_age_s=0, worst_consumer_cache_s=0, replication_s=0)


@dataclass
class SigningSide:
    """One issuer, whose key is at ``backend``."""

    backend: KeyBackend
    catalog: SqlCatalog
    signer: ManagedSigner
    queue: SigningQueue
    delegated: DelegatedKeys


@contextmanager
def signing_side(backend: KeyBackend, algorithm: str, *, in_process: bool = False) -> Iterator[SigningSide]:
    """``in_process`` for keys in our own memory. Delegated keys are not made before the first tick."""
    with tempfile.TemporaryDirectory() as folder, closing(SqlCatalog.open(f"sqlite:///{folder}/catalog.db")) as catalog:
        backends: dict[str, KeyBackend] = {
            "software": LocalBackend(Path(folder) / "keys", Sealer.fixed(b"k" * 32)),
            NAME: backend,
        }
        policies = FixedPolicies(IssuerPolicy(algorithm, NAME, NO_DWELL, delegated_lifetime_s=3600))
        lifecycle = KeyLifecycle(catalog, backends, policies=policies)
        lifecycle.open_issuer(NAME, **WHO)
        cores = os.cpu_count() or 1
        queue = SigningQueue(NAME, concurrency=cores if in_process else 4, in_process=in_process)
        software = SigningQueue("software", concurrency=cores, in_process=True)
        signer = ManagedSigner(catalog, backends, NAME, queues={NAME: queue, "software": software})
        journal = Journal(catalog, backends, policies, SYSTEM_CLOCK, None)
        delegated = DelegatedKeys(journal, backends, lambda _: signer, backend="software")
        with closing(queue), closing(software):
            yield SigningSide(backend, catalog, signer, queue, delegated)


def token_payload(number: int) -> tuple[bytes, str]:
    """The claims of an access token, as the service writes them at each call."""
    claims = {"sub": f"user-{number}", "client_id": "benchmark", "scope": "read write"}
    payload = access_token_payload(
        claims, issuer=ISSUER, audience=AUDIENCE, lifetime_s=900, longest_s=900, now=SYSTEM_CLOCK.now()
    )
    return payload, TYP


@dataclass
class Load:
    """What callers saw: ``tokens`` in ``seconds`` in all, how long each call took, and the processor time of it all.

    The latter says what the machine could do when nobody else was on it.
    """

    tokens: int
    seconds: float
    cpu_s: float
    took_s: list[float] = field(default_factory=list, repr=False)

    @property
    def per_second(self) -> float:
        return self.tokens / self.seconds

    @property
    def p95_s(self) -> float:
        return statistics.quantiles(self.took_s, n=20)[-1] if len(self.took_s) > 1 else self.took_s[0]


def under_load(call: Callable[[], object], *, callers: int, seconds: float, tokens: int = 1) -> Load:
    """So many callers, each asking again as soon as it has its answer. ``tokens`` in each answer."""
    call()
    began, busy = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(callers) as pool:
        shares = [pool.submit(_ask, call, began + seconds) for _ in range(callers)]
        took = [one for share in shares for one in share.result()]
    return Load(len(took) * tokens, time.perf_counter() - began, time.process_time() - busy, took)


def _ask(call: Callable[[], object], until: float) -> list[float]:
    took: list[float] = []
    now = time.perf_counter()
    while now < until:
        began = now
        call()
        now = time.perf_counter()
        took.append(now - began)
    return took
