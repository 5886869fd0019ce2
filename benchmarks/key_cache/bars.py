"""The bars of the experiments, and who is how good at each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Value = float | bool | None
BUDGET = 5  # of CacheSettings: the fetches that strangers may cause at once
PROMPT_S = 0.1  # "no one waits": far below the shortest delay of the server, far above a busy machine's hiccups


@dataclass(frozen=True)
class Bar:
    """``limit`` as text, whether a value meets it, and which of two values is better (``slack`` apart is equal)."""

    limit: str
    met: Callable[[float], bool]
    higher: bool = False
    slack: float = 0.0
    beside_f: bool = False  # few fetches are worth nothing to a client that does not find new keys

    def is_met(self, value: Value) -> bool | None:
        return None if value is None else self.met(float(value))

    def worse_by(self, mine: Value, other: Value) -> bool:
        """Whether mine is worse than another's. A value that could not be had is the worst."""
        if other is None or mine is None:
            return mine is None and other is not None
        return float(other) - float(mine) > self.slack if self.higher else float(mine) - float(other) > self.slack


def at_most(limit: float, *, slack: float = 0.0, beside_f: bool = False) -> Bar:
    return Bar(f"≤ {limit:g}", lambda value: value <= limit, slack=slack, beside_f=beside_f)


def at_least(limit: float, *, slack: float = 0.0) -> Bar:
    return Bar(f"≥ {limit:g}", lambda value: value >= limit, higher=True, slack=slack)


YES, NO = Bar("yes", bool, higher=True), Bar("no", lambda value: not value)
WITHOUT_WAITING = at_most(PROMPT_S, slack=PROMPT_S)
NEW_KEY = "F: until a new key is accepted, s"

BARS: Mapping[str, Bar] = {
    "A inside: fetches for 200 unknown kids": at_most(BUDGET, beside_f=True),
    "A after: fetches for 200 unknown kids": at_most(BUDGET, beside_f=True),
    "A1: fetches for one unknown kid, 100 times": at_most(1, beside_f=True),
    "A2 inside: fetches for 100 unknown kids, outage": at_most(1, beside_f=True),
    "A2 inside: the known kid is accepted": YES,
    "A2 after: fetches for 100 unknown kids, outage": at_most(1, beside_f=True),
    "A2 after: the known kid is accepted": YES,
    "B: accepted of 50 cold callers": at_least(50),
    "B: fetches": at_most(1),
    "B: worst wait, s": at_most(0.6, slack=0.2),
    "C: accepted of 50 at expiry": at_least(50),
    "C: fetches": at_most(1),
    "C: worst wait, s": WITHOUT_WAITING,
    "D: accepted of 50 in an outage after expiry": at_least(50),
    "D: fetches": at_most(1),
    "D: recovery, s": WITHOUT_WAITING,
    "D2: accepted of 8 while the server hangs": at_least(8),
    "D2: worst wait, s": WITHOUT_WAITING,
    "E: a known kid beside a slow refresh, s": WITHOUT_WAITING,
    NEW_KEY: at_most(0.5, slack=PROMPT_S),
    "F: calls that failed before": at_most(0),
    "G idle: a removed key is accepted at once": NO,
    "G idle: a removed key is accepted 0.5 s later": NO,
    "G stopped: a removed key is accepted 0.5 s later": NO,
    "H1: asks with a validator": YES,
    "H2: obeys a short max-age": YES,
    "H3: obeys a long one": YES,
    "I large: 20 MB or more are refused": YES,
    "I endless: 20 MB or more are refused": YES,
    "I endless: wait, s": at_most(1.0, slack=0.5),
    "I compressed: 20 MB or more are refused": YES,
    "J same server: a redirect is followed": NO,
    "J another origin: a redirect is followed": NO,
    "J https to http: a redirect is followed": NO,
    "K: a good key beside broken ones is used": YES,
    "K2: accepted of 2 after an empty set": at_least(2),
    "X fresh: of undisturbed throughput": at_least(0.95, slack=0.05),
    "X fresh: p50, ms": at_most(1.0, slack=1.0),
    "X fresh: p99, ms": at_most(10.0, slack=10.0),
    "X fresh: fetches": at_most(4),
    "X expired: of undisturbed throughput": at_least(0.95, slack=0.05),
    "X expired: p50, ms": at_most(1.0, slack=1.0),
    "X expired: p99, ms": at_most(10.0, slack=10.0),
    "X expired: fetches": at_most(4),
}

# Told, and not judged: a key that is removed while the process stands still is gone after its next refresh, and whether
# one call comes before that is the price of making nobody wait. One call of the convoy's 600 may be the one that the
# machine gave no processor to. A client whose attackers are answered more often blocks less, or refuses more.
TOLD = (
    "G stopped: a removed key is accepted at once",
    *(f"X {state}: {what}" for state in ("fresh", "expired") for what in ("worst, ms", "attacks that were answered")),
)


def better_peers(name: str, mine: Mapping[str, Value], peers: Mapping[str, Mapping[str, Value]]) -> list[str]:
    """The peers that are better than mine at this. Counts of fetches are read together with F."""
    bar = BARS[name]

    def is_better(other: Mapping[str, Value]) -> bool:
        if name not in other or not bar.worse_by(mine.get(name), other[name]):
            return False
        return not bar.beside_f or not BARS[NEW_KEY].worse_by(other.get(NEW_KEY), mine.get(NEW_KEY))

    return [who for who, other in peers.items() if is_better(other)]
