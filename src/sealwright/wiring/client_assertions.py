"""ClientAssertions: whether an OAuth client made a JWT, just now and for this, to prove itself (RFC 7523 §3)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sealwright.clock import Clock
from sealwright.errors import Reason, RejectedError
from sealwright.jose.algorithms import ASYMMETRIC
from sealwright.keys.oauth_client import OAuthClient
from sealwright.settings import ServiceSettings
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.key_source import KeySource
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.replay import ReplayStore
from sealwright.trust.replay_check import ReplayCheck
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.sources.static import StaticKeys
from sealwright.trust.token_check import Proven
from sealwright.trust.token_profiles import CLIENT_ASSERTION
from sealwright.trust.verifier import Verifier
from sealwright.wiring.replay_stores import open_replay_store

LONGEST_ASSERTION_BYTES = 16 * 1024
_For = tuple[OAuthClient, frozenset[str], float]  # client, audiences, leeway in seconds


class ClientAssertions:
    """The service's own store of what was presented: the database that replicas share, or a file in the data folder."""

    def __init__(self, settings: ServiceSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._store: ReplayStore | None = None
        self._lock = threading.Lock()
        self._verifiers: dict[tuple[str, str], tuple[_For, Verifier]] = {}

    async def verify(self, client: OAuthClient, assertion: str, audiences: Collection[str], leeway_s: float) -> None:
        """Raises RejectedError, or UnavailableError while its keys or the store cannot be had."""
        verifier = await asyncio.to_thread(self._verifier_of, (client, frozenset(audiences), leeway_s))
        await verifier.averify(assertion)

    def keep_only(self, clients: Iterable[OAuthClient]) -> None:
        """Forget the others: nobody fetches the keys of a client any more that is gone."""
        names = {(one.issuer, one.client_id) for one in clients}
        with self._lock:
            self._verifiers = {name: made for name, made in self._verifiers.items() if name in names}

    def close(self) -> None:
        with self._lock:
            made, self._verifiers = self._verifiers.values(), {}
        for _, verifier in made:
            verifier.close()
        if self._store is not None:
            self._store.close()

    def _verifier_of(self, wanted: _For) -> Verifier:
        """The one that was made for just this; a client that has changed gets another."""
        name = wanted[0].issuer, wanted[0].client_id
        with self._lock:
            known = self._verifiers.get(name)
            if known is None or known[0] != wanted:
                self._verifiers[name] = known = (wanted, self._verifier(*wanted))
            return known[1]

    def _verifier(self, client: OAuthClient, audiences: frozenset[str], leeway_s: float) -> Verifier:
        policy = VerificationPolicy(
            issuer=client.client_id,
            audience=audiences,
            profile=CLIENT_ASSERTION,
            algorithms=ASYMMETRIC,
            claim_values={"sub": [client.client_id]},
            leeway_s=leeway_s,
            maximum_token_bytes=LONGEST_ASSERTION_BYTES,
        )
        near, once = _EndsSoon(client.assertion_lifetime_s), ReplayCheck(self._opened(), clock=self._clock)
        return Verifier(issuers=[TrustedIssuer(policy, self._keys(client), checks=(near, once))], clock=self._clock)

    def _keys(self, client: OAuthClient) -> KeySource:
        """No thread and no connection outlives the verifier: a remote set is held weakly by its own thread."""
        if client.jwks_url is not None:
            return RemoteJWKSet(client.jwks_url, clock=self._clock)
        return StaticKeys(client.keys())

    def _opened(self) -> ReplayStore:
        if self._store is None:
            self._store = open_replay_store(self._url())
        return self._store

    def _url(self) -> str:
        database = self._settings.database_url
        kind, _, rest = ("" if database is None else database.get_secret_value()).partition(":")
        if kind in ("postgresql", "postgresql+psycopg"):
            return f"postgresql:{rest}"
        return f"sqlite:///{self._settings.home.absolute() / 'replay.sqlite'}"


@dataclass(frozen=True, slots=True)
class _EndsSoon:
    """A TokenCheck: what can be used for long need not be made anew each time, and is worth stealing."""

    longest_s: float
    name = "end"
    expects = "an exp that is near"

    def check(self, seen: Proven, now: float) -> None:
        if seen.claims["exp"] > now + self.longest_s + seen.policy.leeway_s:
            raise RejectedError(Reason.CLAIMS_LIFETIME, f"an assertion ends within {self.longest_s:g} s")

    async def acheck(self, seen: Proven, now: float) -> None:
        self.check(seen, now)
