"""Proof that each contestant does the work before it is timed: a good token passes, bad ones do not."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import sealwright as sw
from benchmarks.work import AUDIENCE, ISSUER, Work
from sealwright.jose import base64url


class NotProvenError(Exception):
    """A contestant refuses a good token."""


def unchecked(url: str, work: Work) -> list[str]:
    """What a contestant accepts and should not. Raises NotProvenError."""
    if _status(url, work.token()) != 200:
        raise NotProvenError(f"{url} refuses a good token of {work.alg}")
    return [name for name, token in _bad(work) if _status(url, token) not in (400, 401, 403)]


def _bad(work: Work) -> Iterator[tuple[str, str]]:
    now, good = int(time.time()), work.token()
    signing_input, _, signature = good.rpartition(".")
    flipped = bytearray(base64url.decode_text(signature))
    flipped[len(flipped) // 2] ^= 1
    yield "the signature", f"{signing_input}.{base64url.encode(bytes(flipped)).decode()}"
    yield "alg", _unsigned(good)
    yield "iss", work.token(iss=f"{ISSUER}.evil")
    yield "aud", work.token(aud=f"{AUDIENCE}-too")
    yield "exp", work.token(exp=now - 600)
    yield "nbf", work.token(nbf=now + 600)
    yield "the kid of another key", work.token(_renamed(work))


def _unsigned(good: str) -> str:
    header = base64url.encode(b'{"alg":"none","typ":"JWT"}').decode()
    return f"{header}.{good.split('.')[1]}."


def _renamed(work: Work) -> sw.PrivateJWK:
    other = work.keys[0]
    assert isinstance(other, sw.PrivateJWK)
    return sw.PrivateJWK.from_dict({**other.export_private_dict(), "kid": work.kid})


def _status(url: str, token: str) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
