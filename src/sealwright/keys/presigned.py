"""PresignedTokens: hands a short-lived token out again to whoever asks for the same one, up to half of its life."""

from __future__ import annotations

import math
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass

from sealwright.clock import Clock
from sealwright.errors import Reason, UnavailableError
from sealwright.keys.audit import AuditEntry
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.managed_signer import ManagedSigner, SignedToken
from sealwright.keys.release import signature_sha256

MOST_ENTRIES = 10_000
MOST_BYTES = 16 * 1024 * 1024
ENTRY_BYTES = 700  # what an entry costs beside its token and its question
USABLE_FRACTION = 0.5


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks, and the digest of everything that decides what the token says."""

    issuer: str
    actor: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class _Reuse:
    issuer: str
    actor: str
    key_id: str
    signature_sha256: str


@dataclass(frozen=True, slots=True)
class _Kept:
    signed: SignedToken
    signed_by: tuple[str, int]  # handle and generation: another generation is another decision about the key
    made_at: float
    lifetime_s: float
    size: int
    digest: str  # of its signature, as the audit of its release has it

    def usable_at(self, now: float) -> bool:
        return self.made_at <= now < self.made_at + self.lifetime_s * USABLE_FRACTION

    def expires_in(self, now: float) -> int:
        """As the token says it: in whole seconds from whole seconds."""
        return math.floor(math.floor(self.made_at) + math.floor(self.lifetime_s) - now)


class PresignedTokens:
    """The reusable tokens of one process. Bounded in entries and in bytes; the least recently used one goes first.

    ``age_s`` says how old the news of the catalog are: older than ``lease_s`` nothing is handed out again, since a
    revocation would not be known here. A token's signature was audited before its first release; how
    often it was handed out afterwards is counted here, and written to the audit at each ``flush``.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        age_s: Callable[[], float] = lambda: 0.0,
        lease_s: float = 10.0,
        most_entries: int = MOST_ENTRIES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._clock = clock
        self._age_s, self._lease_s = age_s, lease_s
        self._most_entries, self._most_bytes = most_entries, most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[Question, _Kept] = OrderedDict()
        self._bytes = 0
        self._reused: Counter[_Reuse] = Counter()

    def token(
        self, signer: ManagedSigner, question: Question, lifetime_s: float, sign: Callable[[], SignedToken]
    ) -> tuple[SignedToken, int, bool]:
        """The token, for how many whole seconds it is good, and whether it was handed out before.

        Raises UnavailableError ``catalog.unavailable`` when the lease has ended, and what signing raises.
        """
        now, by = self._clock.now(), _signed_by(signer)
        if self._age_s() > self._lease_s:
            message = "the catalog has not been reached for too long to know whether the key may still be used"
            raise UnavailableError(Reason.CATALOG_UNAVAILABLE, message)
        kept = self._find(question, by, now)
        if kept is not None:
            return kept.signed, kept.expires_in(now), True
        signed = sign()
        if _signed_by(signer) == by:  # a key that changed meanwhile may be the one before or after
            size = len(signed.token) + ENTRY_BYTES
            self._keep(question, _Kept(signed, by, now, lifetime_s, size, signature_sha256(signed.token)))
        return signed, int(lifetime_s), False

    def flush(self, catalog: KeyCatalog) -> None:
        """Write how often each token was handed out again since the last time. Raises UnavailableError."""
        with self._lock:
            reused, self._reused = self._reused, Counter()
        try:
            for issuer in sorted({one.issuer for one in reused}):
                facts = [{**asdict(one), "times": times} for one, times in reused.items() if one.issuer == issuer]
                entry = AuditEntry(self._clock.now(), "sealwright", "token.reused", issuer, None, "", {"reused": facts})
                catalog.commit([], entry)
                reused = Counter({one: times for one, times in reused.items() if one.issuer != issuer})
        finally:
            with self._lock:
                self._reused += reused  # what could not be written is written the next time

    def __len__(self) -> int:
        return len(self._kept)

    def _find(self, question: Question, by: tuple[str, int], now: float) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(question)
            if kept is None:
                return None
            if kept.signed_by != by or not kept.usable_at(now):
                self._drop(question)
                return None
            self._kept.move_to_end(question)
            self._reused[_Reuse(question.issuer, question.actor, kept.signed.key_id, kept.digest)] += 1
            return kept

    def _keep(self, question: Question, kept: _Kept) -> None:
        with self._lock:
            if question in self._kept:
                self._drop(question)
            self._kept[question] = kept
            self._bytes += kept.size
            while len(self._kept) > self._most_entries or self._bytes > self._most_bytes:
                self._drop(next(iter(self._kept)))

    def _drop(self, question: Question) -> None:
        self._bytes -= self._kept.pop(question).size


def _signed_by(signer: ManagedSigner) -> tuple[str, int]:
    record = signer.key().record
    return record.handle, record.generation
