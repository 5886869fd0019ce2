"""One client in a process of its own: answers one JSON line for each JSON line, as npm_jose.mjs does.

``verify`` may be sync (then each call has a thread) or async (then all share one loop); waits are measured around it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

CALLERS = 64
Seen = tuple[bool, float]  # accepted, and how long it took


class Child:
    def __init__(self, make: Callable[..., tuple[Callable[[str], Any], Callable[[], None]]], *, is_async: bool) -> None:
        self._make, self._is_async = make, is_async
        self.close: Callable[[], None] = lambda: None
        self._pool = ThreadPoolExecutor(CALLERS)
        self._verify: Callable[[str], Any] = str

    async def new(self, **configured: Any) -> None:
        self.close()
        self._verify, self.close = self._make(**configured)

    async def many(self, tokens: list[str], pause_s: float = 0.0) -> list[Seen]:
        """One after the other."""
        seen = []
        for token in tokens:
            seen.append(await self._once(token))
            await asyncio.sleep(pause_s)
        return seen

    async def together(self, tokens: list[str]) -> list[Seen]:
        return list(await asyncio.gather(*map(self._once, tokens)))

    async def overlap(self, first: str, second: str, gap_s: float) -> list[Seen]:
        """The second starts while the first is still under way."""
        waiting = asyncio.create_task(self._once(first))
        await asyncio.sleep(gap_s)
        return [await self._once(second), await waiting]

    async def until(self, token: str, every_s: float, limit_s: float) -> tuple[float | None, int]:
        """Seconds until it was accepted, None when it never was; and how many calls failed before."""
        began, failed = time.monotonic(), 0
        while time.monotonic() - began < limit_s:
            if (await self._once(token))[0]:
                return time.monotonic() - began, failed
            failed += 1
            await asyncio.sleep(every_s)
        return None, failed

    async def convoy(self, victim: str, attackers: list[list[str]], seconds: float) -> dict[str, Any]:
        """One victim with pauses of 20 ms beside attackers with pauses of 10 ms."""
        until = time.monotonic() + seconds
        attacks = [asyncio.create_task(self._attack(tokens, until)) for tokens in attackers]
        waits, served = [], 0
        while time.monotonic() < until:
            accepted, wait_s = await self._once(victim)
            waits.append(wait_s)
            served += accepted
            await asyncio.sleep(0.02)
        return {"served": served, "waits": waits, "attempts": sum([await attack for attack in attacks])}

    async def _attack(self, tokens: list[str], until: float) -> int:
        attempts = 0
        while time.monotonic() < until:
            await self._once(tokens[attempts % len(tokens)])
            attempts += 1
            await asyncio.sleep(0.01)
        return attempts

    async def _once(self, token: str) -> Seen:
        if self._is_async:
            return await self._timed(token)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._timed_sync, token)

    async def _timed(self, token: str) -> Seen:
        began = time.perf_counter()
        try:
            await self._verify(token)
        except Exception:  # noqa: BLE001 - whatever a client raises, the token was not accepted
            return False, time.perf_counter() - began
        return True, time.perf_counter() - began

    def _timed_sync(self, token: str) -> Seen:
        began = time.perf_counter()
        try:
            self._verify(token)
        except Exception:  # noqa: BLE001 - whatever a client raises, the token was not accepted
            return False, time.perf_counter() - began
        return True, time.perf_counter() - began


async def _serve(child: Child) -> None:
    loop = asyncio.get_running_loop()
    lines = ThreadPoolExecutor(1)
    while line := await loop.run_in_executor(lines, sys.stdin.readline):
        asked = json.loads(line)
        operation: Callable[..., Awaitable[Any]] = getattr(child, asked.pop("call"))
        try:
            answer = {"given": await operation(**asked)}
        except Exception as error:  # noqa: BLE001 - told to who asked
            answer = {"refused": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    child.close()


def main(name: str, how: str) -> None:
    """``name`` of a module of clients beside this one, ``how`` sync or async."""
    module = import_module(f"benchmarks.key_cache.client_{name}")
    asyncio.run(_serve(Child(getattr(module, f"make_{how}"), is_async=how == "async")))


if __name__ == "__main__":
    main(*sys.argv[1:])
