"""The experiments, by their letters: each takes a rig and a client and gives what it counted, by name.

Counts are of fetches beyond the first. Where keys must have expired, the client's process is stopped meanwhile:
otherwise a client that refreshes ahead would never see the expiry that the others are measured at.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.key_cache.clients import Client
from benchmarks.key_cache.rig import BAD_KEYS, Realm, Rig

Found = dict[str, float | bool | None]
Experiment = Callable[[Rig, Client], Found]
EXPIRED_S = 2.3
F_LIMIT_S = 35.0


def a(rig: Rig, client: Client) -> Found:
    """200 unknown kids, one after the other; inside of the cooldown and after it."""
    found: Found = {}
    for when in _when(client):
        realm = _warm(rig, client, when)
        client.ask("many", tokens=rig.tokens.unknown[:200])
        found[f"A {when}: fetches for 200 unknown kids"] = realm.since()
    return found


def a_same(rig: Rig, client: Client) -> Found:
    realm = _warm(rig, client, _when(client)[-1])
    client.ask("many", tokens=rig.tokens.unknown[:1] * 100)
    return {"A1: fetches for one unknown kid, 100 times": realm.since()}


def a_outage(rig: Rig, client: Client) -> Found:
    """100 unknown kids while the server fails."""
    found: Found = {}
    for when in _when(client):
        realm = _warm(rig, client, when)
        realm.set(mode="500")
        client.ask("many", tokens=rig.tokens.unknown[:100])
        found[f"A2 {when}: fetches for 100 unknown kids, outage"] = realm.since()
        found[f"A2 {when}: the known kid is accepted"] = client.once(rig.tokens.known)[0]
    return found


def b(rig: Rig, client: Client) -> Found:
    realm = rig.realm(delay_s=0.3)
    client.new(realm.url)
    seen = client.ask("together", tokens=[rig.tokens.known] * 50)
    return {
        "B: accepted of 50 cold callers": _accepted(seen),
        "B: fetches": realm.since(),
        "B: worst wait, s": _worst(seen),
    }


def c(rig: Rig, client: Client) -> Found:
    realm = _expired(rig, client, delay_s=0.3)
    seen = client.ask("together", tokens=[rig.tokens.known] * 50)
    time.sleep(0.1)
    return {
        "C: accepted of 50 at expiry": _accepted(seen),
        "C: fetches": realm.since(),
        "C: worst wait, s": _worst(seen),
    }


def d(rig: Rig, client: Client) -> Found:
    realm = _expired(rig, client, mode="500")
    seen = client.ask("many", tokens=[rig.tokens.known] * 50)
    time.sleep(0.1)  # a fetch in the background has reached the server by then
    found: Found = {"D: accepted of 50 in an outage after expiry": _accepted(seen), "D: fetches": realm.since()}
    realm.set(mode="ok")
    recovery, _ = client.ask("until", token=rig.tokens.known, every_s=0.05, limit_s=10.0)
    return {**found, "D: recovery, s": recovery}


def d_hang(rig: Rig, client: Client) -> Found:
    _expired(rig, client, timeout_s=1.0, mode="hang")
    seen = client.ask("together", tokens=[rig.tokens.known] * 8)
    return {"D2: accepted of 8 while the server hangs": _accepted(seen), "D2: worst wait, s": _worst(seen)}


def e(rig: Rig, client: Client) -> Found:
    """A known kid while an unknown one causes a slow refresh."""
    realm = _warm(rig, client, "after")
    realm.set(delay_s=1.5)
    known, _ = client.ask("overlap", first=rig.tokens.unknown[0], second=rig.tokens.known, gap_s=0.3)
    return {"E: a known kid beside a slow refresh, s": known[1] if realm.since() else None}


def f(rig: Rig, client: Client) -> Found:
    realm = _warm(rig, client, "at once")
    realm.set(rig.tokens.k1, rig.tokens.k2)
    seconds, failed = client.ask("until", token=rig.tokens.new, every_s=0.25, limit_s=F_LIMIT_S)
    return {"F: until a new key is accepted, s": seconds, "F: calls that failed before": failed}


def g(rig: Rig, client: Client) -> Found:
    """A removed key, for a client that idles past expiry, and for one that was stopped."""
    found: Found = {}
    for how, wait in (("idle", time.sleep), ("stopped", client.frozen)):
        realm = rig.realm()
        client.warm(realm.url, ttl_s=1.0)
        realm.set(rig.tokens.k2)
        wait(EXPIRED_S)
        (first, _), (second, _) = client.ask("many", tokens=[rig.tokens.known] * 2, pause_s=0.5)
        found[f"G {how}: a removed key is accepted at once"] = first
        found[f"G {how}: a removed key is accepted 0.5 s later"] = second
    return found


def h(rig: Rig, client: Client) -> Found:
    realm = rig.realm(etag='"v1"', modified="Wed, 01 Jan 2025 00:00:00 GMT")
    client.warm(realm.url, ttl_s=1.0)
    _again(rig, client)
    found: Found = {"H1: asks with a validator": realm.since("conditional") > 0}
    for name, ttl_s, max_age, again in (
        ("H2: obeys a short max-age", 300.0, 1, True),
        ("H3: obeys a long one", 1.0, 600, False),
    ):
        realm = rig.realm(headers={"Cache-Control": f"max-age={max_age}"})
        client.warm(realm.url, ttl_s=ttl_s)
        realm.forget()
        _again(rig, client)
        found[name] = (realm.since() > 0) is again
    return found


def i(rig: Rig, client: Client) -> Found:
    found: Found = {}
    for mode in ("large", "endless", "compressed"):
        realm = rig.realm(mode=mode)
        client.new(realm.url, timeout_s=5.0)
        accepted, wait_s = client.once(rig.tokens.known)
        found[f"I {mode}: 20 MB or more are refused"] = not accepted
        if mode == "endless":
            found["I endless: wait, s"] = wait_s
    return found


def j(rig: Rig, client: Client) -> Found:
    """A redirect to the same server, to another origin, and from https to http."""
    found: Found = {}
    for name, begin, target in (
        ("same server", "url", "elsewhere"),
        ("another origin", "url", "secure_url"),
        ("https to http", "secure_url", "elsewhere"),
    ):
        realm, other = rig.realm(), rig.realm()
        realm.set(mode="redirect", location=getattr(other, target))
        client.new(getattr(realm, begin))
        client.once(rig.tokens.known)
        assert realm.since() > 0, f"{client.contestant.name} never asked over {begin}"
        found[f"J {name}: a redirect is followed"] = other.since() + other.since("elsewhere") > 0
    return found


def k(rig: Rig, client: Client) -> Found:
    realm = rig.realm()
    realm.set(keys=[*BAD_KEYS, rig.tokens.k1.public.to_dict()])
    client.new(realm.url)
    return {"K: a good key beside broken ones is used": client.once(rig.tokens.known)[0]}


def k_empty(rig: Rig, client: Client) -> Found:
    realm = _expired(rig, client)
    realm.set(keys=[])
    seen = client.ask("many", tokens=[rig.tokens.known] * 2, pause_s=0.3)
    return {"K2: accepted of 2 after an empty set": _accepted(seen)}


def x(rig: Rig, client: Client, seconds: float = 12.0) -> Found:
    """The convoy: attackers with unknown kids while the server hangs; fresh keys, and expired ones."""
    found: Found = {}
    for state, ttl_s in (("fresh", 300.0), ("expired", 1.0)):
        realm = rig.realm()
        client.warm(realm.url, timeout_s=1.0, ttl_s=300.0)
        calm = client.ask("convoy", victim=rig.tokens.known, attackers=[], seconds=seconds / 2)["served"] / seconds * 2
        client.warm(realm.url, timeout_s=1.0, ttl_s=ttl_s)
        client.rest()
        if state == "expired":
            client.frozen(EXPIRED_S)
        realm.set(mode="hang")
        realm.forget()
        attackers = [rig.tokens.unknown[start:] + rig.tokens.unknown[:start] for start in (0, 100, 200, 300)]
        seen = client.ask("convoy", victim=rig.tokens.known, attackers=attackers, seconds=seconds)
        found |= {
            f"X {state}: of undisturbed throughput": seen["served"] / seconds / calm,
            f"X {state}: p50, ms": statistics.median(seen["waits"]) * 1000,
            f"X {state}: p99, ms": statistics.quantiles(seen["waits"], n=100, method="inclusive")[-1] * 1000,
            f"X {state}: worst, ms": max(seen["waits"]) * 1000,
            f"X {state}: attacks that were answered": seen["attempts"],
            f"X {state}: fetches": realm.since(),
        }
    return found


EXPERIMENTS: dict[str, Experiment] = {
    "A": a, "A1": a_same, "A2": a_outage, "B": b, "C": c, "D": d, "D2": d_hang, "E": e, "F": f, "G": g, "H": h,
    "I": i, "J": j, "K": k, "K2": k_empty, "X": x,
}  # fmt: skip
FOR_DEFAULTS = ("A", "A2", "F")  # where a long cooldown shows: read together


def _when(client: Client) -> tuple[str, ...]:
    """A long cooldown is not waited for."""
    return ("inside", "after") if client.contestant.everything else ("inside",)


def _warm(rig: Rig, client: Client, when: str) -> Realm:
    realm = rig.realm()
    client.warm(realm.url)
    if when == "after":
        client.rest()
    realm.forget()
    return realm


def _expired(rig: Rig, client: Client, *, timeout_s: float = 2.0, **manners: Any) -> Realm:
    """Warm keys that expired while the process stood still; then the server changes its manners."""
    realm = rig.realm()
    client.warm(realm.url, ttl_s=1.0, timeout_s=timeout_s)
    realm.set(**manners)
    realm.forget()
    client.frozen(EXPIRED_S)
    return realm


def _again(rig: Rig, client: Client) -> None:
    time.sleep(EXPIRED_S)
    client.ask("many", tokens=[rig.tokens.known] * 2, pause_s=0.5)


def _accepted(seen: list[tuple[bool, float]]) -> int:
    return sum(accepted for accepted, _ in seen)


def _worst(seen: list[tuple[bool, float]]) -> float:
    return max(wait_s for _, wait_s in seen)
