"""Shares: which active key signs, while a roll-out of a new algorithm is under way and while none is."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sealwright.keys.catalog import Document, KeyCatalog
from sealwright.keys.delegates import SigningKey
from sealwright.keys.issuer_keys import IssuerKeys
from sealwright.keys.record import Lineage, Purpose
from sealwright.keys.states import KeyState

KIND = "rollout"
Draw = Callable[[], int]  # 0 to 99, each as likely


@dataclass(frozen=True, slots=True)
class Rollout:
    """A second algorithm of one issuer, and the share of its signatures in percent."""

    algorithm: str
    before: str
    percent: int = 0
    generation: int = 0  # of the stored document; 0 is not stored yet

    def document(self, issuer: str) -> Document:
        """The stored form, at this generation."""
        body = {"algorithm": self.algorithm, "before": self.before, "percent": self.percent}
        return Document(KIND, issuer, body, self.generation)


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The active keys of one instant: the usual one, and that of the roll-out with its share."""

    usual: SigningKey
    new: SigningKey | None = None
    percent: int = 0

    @property
    def all(self) -> list[SigningKey]:
        return [self.usual] if self.new is None else [self.usual, self.new]

    def pick(self, draw: Draw) -> SigningKey:
        return self.new if self.new is not None and draw() < self.percent else self.usual


def drawn() -> int:
    return secrets.randbelow(100)


def find_rollout(catalog: KeyCatalog, issuer: str, purpose: Purpose = "token") -> Rollout | None:
    """Only keys for tokens are rolled out."""
    found = catalog.document(KIND, issuer) if purpose == "token" else None
    return None if found is None else Rollout(**found.body, generation=found.generation)


def usual_algorithm(catalog: KeyCatalog, issuer: str, purpose: Purpose = "token") -> str | None:
    """The one from before the roll-out; None while there is no roll-out."""
    rollout = find_rollout(catalog, issuer, purpose)
    return rollout.before if rollout else None


def lineages_rolled_out(catalog: KeyCatalog) -> set[Lineage]:
    return {(issuer, "token", found.body["algorithm"]) for issuer, found in catalog.documents(KIND).items()}


def signing_keys(catalog: KeyCatalog, issuer: str, purpose: Purpose) -> SigningKeys:
    """Raises RefusedError ``move.unknown_issuer`` or ``guard.no_active_key``.

    The roll-out is read first, and may begin or end before the keys are: then whichever is active signs.
    """
    rollout = find_rollout(catalog, issuer, purpose)
    keys = IssuerKeys(catalog.records(issuer), issuer, purpose).check_open()
    active = {record.algorithm: SigningKey.of(record) for record in keys.all if record.state is KeyState.ACTIVE}
    if len(active) == 1:
        return SigningKeys(next(iter(active.values())))
    if rollout is None or rollout.before not in active:
        return SigningKeys(SigningKey.of(keys.lineage().active()))
    return SigningKeys(active[rollout.before], active.get(rollout.algorithm), rollout.percent)
