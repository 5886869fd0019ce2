"""Before anybody is timed: does each do the whole work? A check that is missing is shown beside the times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from benchmarks.contestants import Sign, Verify
from benchmarks.ours import verifier
from benchmarks.work import Key, Work, make, members


def unchecked(verify: Verify, work: Work) -> list[str]:
    """What this contestant accepts though the work says that it must not. Raises when it refuses the good token."""
    claims = verify(work.token())
    if type(claims) is not dict or len(claims) != 10:
        raise AssertionError("the good token must give a dict of its 10 claims")
    return [name for name, token in _bad_tokens(work) if _accepts(verify, token)]


def check_signed(sign: Sign, work: Work) -> None:
    """What was signed is a token with the kid and 10 claims that our verifier accepts."""
    seen = verifier(work).verify(sign())
    if seen.key_id != work.kid or len(seen.claims) != 10:
        raise AssertionError("the signed token must have its kid and 10 claims")


def _bad_tokens(work: Work) -> Iterator[tuple[str, str]]:
    now = int(time.time())
    yield "iss", work.token(iss="https://other.example")
    yield "aud", work.token(aud="other")
    yield "exp", work.token(exp=now - 3600)
    yield "nbf", work.token(nbf=now + 3600)
    yield "kid of no key", work.token(make(work.alg))
    yield "kid of another key", work.token(_named(work.key, work.keys[2].key_id))
    head, payload, signature = work.token().split(".")
    yield "signature", ".".join((head, payload, ("B" if signature[0] == "A" else "A") + signature[1:]))


def _named(key: Key, key_id: str | None) -> Key:
    changed: dict[str, Any] = {**members(key), "kid": key_id}
    return type(key).from_dict(changed)


def _accepts(verify: Verify, token: str) -> bool:
    try:
        verify(token)
    except Exception:  # noqa: BLE001 - each library has its own
        return False
    return True
