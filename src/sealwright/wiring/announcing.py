"""Announcing: what verifiers should hear about, read again when the catalog changes, and signed for each of them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sealwright.jose import strict_json
from sealwright.keys.rehearsal import KIND, GivenTrial, given_trials
from sealwright.settings import INTERNAL_ISSUER
from sealwright.statements.security_events import TYP, KeysChanged, event_claims
from sealwright.statements.verifier_reports import IssuerReport
from sealwright.wiring.single_process import SingleProcess

ACTOR = "sealwright"


@dataclass(frozen=True, slots=True)
class Shown:
    """What an issuer publishes, and since which version of the catalog and monotonic time."""

    name: str
    sequence: int
    changed_at: float
    key_ids: frozenset[str]

    def is_news(self, report: IssuerReport, heard_at: float) -> bool:
        """Whether a verifier that said this, at a monotonic time, should fetch again.

        Its feed is older than the last change; or it holds other keys, and has not fetched since they changed: one
        that did fetch cannot use some of them, and need not hear of that again.
        """
        if report.sequence is not None and report.sequence < self.sequence:
            return True
        fetched_before = report.keys_age_s is None or heard_at - report.keys_age_s < self.changed_at
        return fetched_before and report.keys.keys() != self.key_ids


@dataclass(frozen=True, slots=True)
class News:
    """What is published by the "iss" of each issuer, and the trials under way by its name, as of one version."""

    version: int = -1
    issuers: Mapping[str, Shown] = field(default_factory=dict)
    trials: Mapping[str, Sequence[GivenTrial]] = field(default_factory=dict)

    def name_of(self, url: str) -> str | None:
        return self.issuers[url].name if url in self.issuers else None


class Announcing:
    """For one process. ``read`` and ``sign`` wait for the catalog and for a key: not for an event loop."""

    def __init__(self, process: SingleProcess) -> None:
        self._process = process

    def version(self) -> int:
        """Does no I/O. Raises UnavailableError when it cannot be known."""
        return self._process.signing.catalog.version()

    def read(self) -> News:
        """Raises UnavailableError."""
        catalog, published = self._process.signing.catalog, self._process.publications
        version = catalog.version()
        issuers = {self._process.issuer_url(name): self._shown(name) for name in published.issuers()}
        trials: dict[str, list[GivenTrial]] = {}
        for given in given_trials(catalog.documents(KIND), catalog.records(), self._process.clock.now()):
            trials.setdefault(given.issuer, []).append(given)
        return News(version, issuers, trials)

    def sign(self, events: Sequence[tuple[str, KeysChanged]]) -> list[tuple[str, str]]:
        """A security event token for each audience and event, with its jti: one batch, in one audit entry.

        Raises what ``ManagedSigner.sign_batch`` raises.
        """
        transmitter, now = self._process.settings.at_url(), self._process.clock.now()
        ids = [secrets.token_hex(16) for _ in events]
        named = zip(events, ids, strict=True)
        claims = [
            event_claims(event, transmitter=transmitter, audience=audience, token_id=jti, now=now)
            for (audience, event), jti in named
        ]
        signer = self._process.signing.signer(INTERNAL_ISSUER, "trust-root")
        signed = signer.sign_batch([(strict_json.encode_object(one), TYP) for one in claims], actor=ACTOR)
        return [(jti, one.token) for jti, one in zip(ids, signed, strict=True)]

    def _shown(self, name: str) -> Shown:
        keys = self._process.publications.issuer(name)
        key_ids = frozenset(str(key.key_id) for key in keys.jwks)
        return Shown(name, self._process.sequence(name), keys.changed_at, key_ids)
