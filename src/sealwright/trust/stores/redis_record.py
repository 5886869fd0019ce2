"""RedisRecord: what a Redis says about its own completeness, in a key among the claims themselves. Pure.

Whatever loses claims loses or ages the record with them: a restart from an old file, a failover to a replica that was
behind, FLUSHALL, eviction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self

RECORD_KEY = b"sealwright:replay"
NEW = b"new"  # written by an operator who knows that nothing was claimed before


class RedisFacts(NamedTuple):
    """What decides whether a Redis keeps what it was told."""

    run_id: str
    policy: str  # maxmemory-policy
    evicted: int  # since this run began
    primary: bool
    durable: bool  # answers after fsync, and is all alone: a replica that takes over may have missed the last claims
    cluster: bool

    @classmethod
    def parse(cls, info: Mapping[str, str], fsync: Mapping[str, str]) -> Self:
        """From the fields of INFO, and the settings about fsync where Redis tells them."""
        written = info.get("aof_enabled") == "1" and fsync.get("appendfsync") == "always"
        alone = info.get("connected_slaves") == "0" and set(info.get("master_replid2", "")) == {"0"}
        return cls(
            run_id=info["run_id"],
            policy=info["maxmemory_policy"],
            evicted=int(info["evicted_keys"]),
            primary=info.get("role") == "master",
            durable=written and alone and fsync.get("no-appendfsync-on-rewrite") == "no",
            cluster="cluster" in (info.get("redis_mode"), info.get("server_mode")),
        )


class RedisRecord(NamedTuple):
    """``complete_since_ms`` by the clock of Redis: every claim that was made after it is there, if it still lives."""

    run_id: str
    evicted: int
    durable: bool
    complete_since_ms: int

    @classmethod
    def parse(cls, text: bytes) -> Self | None:
        """None for what nobody of us wrote."""
        try:
            run_id, evicted, durable, since = text.decode("ascii").split(" ")
            return cls(run_id, int(evicted), durable == "1", int(since))
        except ValueError:
            return None

    def encode(self) -> bytes:
        return f"{self.run_id} {self.evicted} {int(self.durable)} {self.complete_since_ms}".encode("ascii")


def renewed(found: bytes | None, facts: RedisFacts, now_ms: int) -> RedisRecord:
    """The record as it should be, after one was found or none."""
    before = RedisRecord.parse(found) if found else None
    since_ms = 0 if found == NEW else now_ms
    if before is not None and _kept(before, facts):
        since_ms = before.complete_since_ms
    return RedisRecord(facts.run_id, facts.evicted, facts.durable, since_ms)


def evicted_since(found: bytes | None, facts: RedisFacts) -> int:
    """How many entries were evicted since the record was written, as far as one can know."""
    before = RedisRecord.parse(found) if found else None
    return 0 if before is None or before.run_id != facts.run_id else facts.evicted - before.evicted


def _kept(before: RedisRecord, facts: RedisFacts) -> bool:
    """Nothing was lost in between: the same run that evicted nothing more, or a restart of one that lost nothing."""
    if before.run_id == facts.run_id:
        return before.evicted == facts.evicted
    return before.durable and facts.durable and facts.evicted == 0
