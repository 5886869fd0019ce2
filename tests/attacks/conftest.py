"""Every door that a token or a key can come in by, and what each of them says."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from forging import AUDIENCE, ISSUER
from jwks_server import JwksServer

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.jose import base64url, compact
from sealwright.jose.algorithms import ASYMMETRIC
from sealwright.jose.detached import verify_stream
from sealwright.jose.multi_verification import verify_signatures
from sealwright.jose.signature_policy import ANY_SIGNATURE, EVERY_SIGNATURE
from sealwright.trust.cache_settings import CacheSettings

PATIENT = CacheSettings(unknown_kid_wait_s=10.0)


@pytest.fixture(scope="session")
def signers() -> dict[str, sw.PrivateJWK]:
    """One private key called k1 for each asymmetric algorithm; RSA keys take a while to make."""
    return {alg: sw.PrivateJWK.generate(alg, key_id="k1") for alg in sorted(ASYMMETRIC)}


@pytest.fixture(scope="session")
def impostor() -> sw.PrivateJWK:
    """The attacker's own key, under the name of ours."""
    return sw.PrivateJWK.generate("ES256", key_id="k1")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def server() -> Iterator[JwksServer]:
    server = JwksServer()
    yield server
    server.stop()


@pytest.fixture
def remote(server: JwksServer, clock: ManualClock) -> Iterator[Callable[..., sw.RemoteJWKSet]]:
    """Sources of the server, closed afterwards."""
    made: list[sw.RemoteJWKSet] = []

    def make(url: str | None = None, **changes: Any) -> sw.RemoteJWKSet:
        usual: dict[str, Any] = {"clock": clock, "timeout_s": 10.0, "settings": PATIENT}
        made.append(sw.RemoteJWKSet(url or server.url, **{**usual, **changes}))
        return made[-1]

    yield make
    server.release()
    for source in made:
        source.close()


def reason_of(call: Callable[..., Any], *arguments: Any) -> sw.Reason | None:
    """Why a call was refused, None when it was not; any other kind of error is a failure of the test."""
    try:
        call(*arguments)
    except sw.RejectedError as error:
        return error.reason
    return None


class Doors:
    """Tries one token at every entry point. All of a kind must agree; their one reason is the answer."""

    def __init__(self, server: JwksServer, remote: Callable[..., sw.RemoteJWKSet], clock: ManualClock) -> None:
        self._server, self._remote, self._clock = server, remote, clock

    def signature(self, token: str, key: sw.PublicJWK | sw.SecretJWK) -> sw.Reason | None:
        """verify_signature with text and bytes, one key and a set; the same token as JSON, detached and streamed."""
        reasons = {reason_of(sw.verify_signature, token, key), reason_of(sw.verify_signature, token.encode(), key)}
        if isinstance(key, sw.PublicJWK):
            reasons.add(reason_of(sw.verify_signature, token, sw.JWKSet([key])))
        if token.count(".") == 2:
            reasons |= set(in_other_forms(*token.split("."), key))
        return only(reasons)

    def verifier(self, token: str, key: sw.PublicJWK | sw.SecretJWK, **rules: Any) -> sw.Reason | None:
        """A Verifier: deciding and raising, sync and async, over a key at hand and over one that is fetched."""
        reasons = set()
        for verifier in self._verifiers(key, rules):
            reasons.add(verifier.decide(token).reason)
            reasons.add(asyncio.run(verifier.adecide(token)).reason)
            reasons.add(reason_of(verifier.verify, token))
            reasons.add(reason_of(verifier.verify, token.encode()))
        return only(reasons)

    def everywhere(self, token: str, key: sw.PublicJWK | sw.SecretJWK, **rules: Any) -> sw.Reason | None:
        return only({self.signature(token, key), self.verifier(token, key, **rules)})

    def _verifiers(self, key: sw.PublicJWK | sw.SecretJWK, rules: dict[str, Any]) -> Iterator[sw.Verifier]:
        usual: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "clock": self._clock, **rules}
        yield sw.Verifier(keys=key, **usual)
        if isinstance(key, sw.PublicJWK):
            yield sw.Verifier(keys=sw.JWKSet([key]), **usual)
            self._server.keys = [key.to_dict()]
            yield sw.Verifier(keys=self._remote(), **usual)


def in_other_forms(head: str, body: str, signature: str, key: Any) -> Iterator[sw.Reason | None]:
    one = {"protected": head, "signature": signature}
    for form in ({"payload": body, **one}, {"payload": body, "signatures": [one]}):
        for policy in (ANY_SIGNATURE, EVERY_SIGNATURE):
            yield reason_of(lambda form=form, policy=policy: verify_signatures(json.dumps(form), key, policy=policy))
    try:
        content = base64url.decode(body.encode())
    except sw.RejectedError:
        return  # a payload that cannot be read cannot be detached
    if len(body) > compact.MAXIMUM_TOKEN_BYTES:
        return  # content of the caller's own has no limit: it is not the token's
    detached = f"{head}..{signature}"
    yield reason_of(lambda: sw.verify_signature(detached, key, payload=content))
    yield reason_of(lambda: verify_stream(detached, io.BytesIO(content), key))
    yield reason_of(lambda: verify_signatures(json.dumps(one), key, policy=ANY_SIGNATURE, payload=content))


def only(reasons: set[sw.Reason | None]) -> sw.Reason | None:
    assert len(reasons) == 1, f"the doors disagree: {reasons}"
    return next(iter(reasons))


@pytest.fixture
def doors(server: JwksServer, remote: Callable[..., sw.RemoteJWKSet], clock: ManualClock) -> Doors:
    return Doors(server, remote, clock)


class Imports:
    """Tries the members of one key wherever keys are read."""

    def __init__(self, server: JwksServer, remote: Callable[..., sw.RemoteJWKSet]) -> None:
        self._server, self._remote = server, remote

    def public(self, members: dict[str, Any]) -> sw.Reason | None:
        """PublicJWK, a JWKSet from members and from text, and a fetched set, each beside a good key."""
        good = sw.PrivateJWK.generate("Ed25519", key_id="good").public.to_dict()
        listed = {"keys": [good, members]}
        sets = [sw.JWKSet.from_dict(listed), sw.JWKSet.from_json(json.dumps(listed).encode())]
        self._server.keys = listed["keys"]
        fetched = self._remote()
        sets.append(fetched.fetch())
        assert all(keys.find("good").key_id == "good" for keys in sets)
        reasons = {reason_of(sw.PublicJWK.from_dict, members)}
        reasons |= {keys.unusable[0].reason if keys.unusable else None for keys in sets}
        return only(reasons)


@pytest.fixture
def imports(server: JwksServer, remote: Callable[..., sw.RemoteJWKSet]) -> Imports:
    return Imports(server, remote)
