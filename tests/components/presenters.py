"""Presenters: processes that present one token many times at the same moment, each to a verifier of its own.

As a program it is one of them: a line of JSON in, a token and when to present it; a line out, what came of it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import sealwright as sw
from sealwright.jose import strict_json
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.replay_check import ReplayCheck
from sealwright.trust.sources.static import StaticKeys
from sealwright.wiring.replay_stores import ReplayStoreOptions, open_replay_store

ISSUER, AUDIENCE = "https://id.example", "orders"
KEY = sw.PrivateJWK.generate("EdDSA", key_id="presented")
PROCESSES, PRESENTATIONS = 4, 50
AHEAD_S = 0.004
Outcome = tuple[str, str | None]


def token(lifetime_s: float = 600.0, **claims: Any) -> str:
    usual = {"iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + lifetime_s, "jti": str(uuid.uuid4())}
    return sw.sign(strict_json.encode_object(usual | claims), KEY)


def verifier(key: sw.PublicJWK, check: ReplayCheck) -> sw.Verifier:
    policy = VerificationPolicy(issuer=ISSUER, audience=AUDIENCE, leeway_s=0.0)
    return sw.Verifier(issuers=[TrustedIssuer(policy, StaticKeys(key), checks=(check,))])


class Presenters:
    """``timeout_s`` is that of the store: long, where a slow machine must not count as a store that is down."""

    def __init__(self, url: str, *, timeout_s: float = 10.0, margin_s: float = 60.0, **options: float) -> None:
        key = json.dumps(KEY.public.to_dict())
        chosen = json.dumps({"timeout_s": timeout_s, **options})
        command = [sys.executable, __file__, url, key, chosen, str(margin_s)]
        self._running = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
            for _ in range(PROCESSES)
        ]
        for one in self._running:
            assert self._read(one) == "ready"

    def present(self, text: str, presentations: int = PRESENTATIONS) -> list[Outcome]:
        """What came of each, all of them at the same moment."""
        return self.sent(text, presentations)()

    def sent(self, text: str, presentations: int = PRESENTATIONS) -> Any:
        at = time.monotonic() + AHEAD_S
        for number, one in enumerate(self._running):
            share = (presentations + number) // PROCESSES
            assert one.stdin is not None
            one.stdin.write(json.dumps({"token": text, "at": at, "times": share}) + "\n")
        return lambda: [tuple(outcome) for one in self._running for outcome in self._read(one)]

    def kill(self) -> None:
        for one in self._running:
            one.kill()

    def close(self) -> None:
        for one in self._running:
            assert one.stdin is not None
            assert one.stdout is not None
            with suppress(BrokenPipeError):
                one.stdin.close()
            one.wait(30)
            one.stdout.close()

    def _read(self, one: subprocess.Popen[str]) -> Any:
        assert one.stdout is not None
        return json.loads(one.stdout.readline())


@contextmanager
def presenters(url: str, **options: float) -> Iterator[Presenters]:
    made = Presenters(url, **options)
    try:
        yield made
    finally:
        made.close()


def _answer(decision: Any) -> Outcome:
    return decision.outcome, decision.reason


async def _from_loop(one: sw.Verifier, text: str, times: int) -> list[Outcome]:
    return [_answer(await task) for task in [asyncio.ensure_future(one.adecide(text)) for _ in range(times)]]


def _main(url: str, key: str, options: str, margin_s: str) -> None:
    store = open_replay_store(url, ReplayStoreOptions(**json.loads(options)))
    one = verifier(sw.PublicJWK.from_dict(json.loads(key)), ReplayCheck(store, clock_margin_s=float(margin_s)))
    print(json.dumps("ready"), flush=True)
    with ThreadPoolExecutor(16) as pool:
        for line in sys.stdin:
            asked = json.loads(line)
            time.sleep(max(0.0, asked["at"] - time.monotonic()))
            print(json.dumps(_presented(one, pool, asked["token"], asked["times"])), flush=True)
    store.close()


def _presented(one: sw.Verifier, pool: ThreadPoolExecutor, text: str, times: int) -> Sequence[Outcome]:
    """Half of them from threads, half of them from an event loop."""
    threads = [pool.submit(one.decide, text) for _ in range(times // 2)]
    return [*asyncio.run(_from_loop(one, text, times - times // 2)), *(_answer(thread.result()) for thread in threads)]


if __name__ == "__main__":
    _main(*sys.argv[1:])
