"""Changes to JSON that keep it JSON, so that inputs get past its parser and into what reads the members."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

import seeds

Mutate = Callable[[bytes, int], bytes]

_STRANGE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**70,
    10**400,
    "",
    "A",
    "AA",
    "AQAB",
    "\u00e9",
    "A" * 43,
    [],
    {},
    [[]],
    ["sign"],
)


def json_mutator(mutate: Mutate) -> Callable[[bytes, int, int], bytes]:
    """A mutator for atheris: half of the time ``mutate`` on the bytes, or on what is no JSON, else on one member."""

    def change(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        try:
            value = json.loads(data) if random.getrandbits(1) else None
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            return mutate(data, max_size)
        for _ in range(random.randint(1, 3)):
            _change_one(value, random, mutate)
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=random.getrandbits(2) == 0)
        return text.encode("utf-8", "surrogatepass")[:max_size]

    return change


def _change_one(value: dict[str, Any], random: Random, mutate: Mutate) -> None:
    owner = random.choice(list(_objects(value)))
    if not owner:
        owner[random.choice(seeds.WORDS)] = copy.copy(random.choice(_STRANGE))
        return
    name = random.choice(list(owner))
    match random.randrange(6):
        case 0:
            del owner[name]
        case 1:
            owner[name] = copy.copy(random.choice(_STRANGE))
        case 2:
            owner[name] = copy.deepcopy(random.choice(list(owner.values())))  # never an owner within itself
        case 3:
            owner[random.choice(seeds.WORDS)] = copy.deepcopy(owner[name])
        case 4:
            owner[name] = random.choice(seeds.WORDS)
        case _:
            owner[name] = _changed(owner[name], random, mutate)


def _changed(value: Any, random: Random, mutate: Mutate) -> Any:
    if isinstance(value, str):
        return mutate(value.encode("utf-8", "surrogatepass"), len(value) + 16).decode("utf-8", "replace")
    if isinstance(value, list) and value:
        return [*value, random.choice(value)] if random.getrandbits(1) else value[1:]
    return [value]


def _objects(value: Any) -> Any:
    """Every object in the value, the outermost first. What is nested too deeply was not loaded to begin with."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(inner)
