"""Tokens put together by hand, and why a remote source failed."""

import json

import pytest

from sealwright.errors import Reason, UnavailableError
from sealwright.jose import base64url


def parts(header, claims):
    return b".".join(base64url.encode(json.dumps(part).encode()) for part in (header, claims))


def forged(header, claims, signature=b""):
    return (parts(header, claims) + b"." + base64url.encode(signature)).decode()


def failure(source):
    with pytest.raises(UnavailableError) as caught:
        source.find("k1")
    assert caught.value.reason == Reason.SOURCE_UNAVAILABLE
    assert isinstance(caught.value.__cause__, UnavailableError)
    return caught.value.__cause__
