"""Emergency: the active key is revoked and the standby signs, in one transaction that waits for nobody."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from typing import TypeVar

from sealwright.errors import Reason, RefusedError, SealwrightError
from sealwright.jose import signing, strict_json
from sealwright.keys import guards
from sealwright.keys.approvals import Approvals, Asked, Used
from sealwright.keys.backend import sign_checked
from sealwright.keys.catalog import Replace
from sealwright.keys.daemon_threads import DaemonThreads
from sealwright.keys.issuer_keys import LineageKeys
from sealwright.keys.journal import Journal
from sealwright.keys.record import KeyRecord, Rotation
from sealwright.keys.standbys import Standbys
from sealwright.keys.states import KeyState

ATTEMPTS = 10  # each move of somebody else in between costs one
CANARY_WAIT_S = 0.5
CANARY_AUDIENCE = "sealwright:revocation-canary"
CANARY_LIFETIME_S = 3600.0
T = TypeVar("T")


class Emergency:
    """Moves that take no turn: they compare and set, and look again when somebody else was faster."""

    def __init__(
        self, journal: Journal, standbys: Standbys, approvals: Approvals, issuer_url: Callable[[str], str]
    ) -> None:
        self._journal = journal
        self._standbys = standbys
        self._approvals = approvals
        self._issuer_url = issuer_url

    def rotate(
        self,
        issuer: str,
        *,
        actor: str,
        reason: str,
        key_id: str | None = None,
        algorithm: str | None = None,
        approval: str | None = None,
        break_glass: bool = False,
    ) -> Rotation:
        """One transaction activates the standby and revokes the active key, with every key that it vouches for.

        Skips dwell; makes a key on the spot if there is no standby. ``key_id`` must be an active key's, if given.
        ``break_glass`` asks nobody for approval, and alerts.
        """
        guards.check_reason(reason)

        def agreed(leaked: KeyRecord) -> Used:
            if break_glass:
                return Used({"break_glass": True})
            asked = Asked(issuer, "emergency", str(leaked.key_id), actor, reason)
            return self._approvals.use(asked, (), approval)

        def rotated() -> Rotation:
            return self._rotate(self._lineage(issuer, key_id, algorithm), key_id, actor, reason, agreed)

        rotation = until_settled(rotated)
        if break_glass:
            self._journal.report_break_glass(issuer, actor, reason)
        self._journal.destroy_soon(rotation.previous, actor, reason)
        return replace(rotation, standby=self._standbys.ensure(rotation.active.lineage, actor, reason))

    def revoke(self, key_id: str, *, actor: str, reason: str, approval: str | None = None) -> KeyRecord:
        """Refuse a key for ever; its private half is destroyed. The active one needs ``rotate``."""
        guards.check_reason(reason)
        before, revoked = until_settled(lambda: self._revoke(key_id, actor, reason, approval))
        self._journal.destroy_soon(revoked, actor, reason)
        if before is KeyState.STANDBY and revoked.parent is None:
            self._standbys.ensure(revoked.lineage, actor, reason)
        return revoked

    def _rotate(
        self, keys: LineageKeys, key_id: str | None, actor: str, reason: str, agreed: Callable[[KeyRecord], Used]
    ) -> Rotation:
        leaked = keys.active()
        if key_id not in (None, leaked.key_id):
            raise RefusedError(Reason.MOVE_ILLEGAL, "that key is not the active one: revoke it instead")
        used = agreed(leaked)
        standby = keys.find_standby() or self._made_on_the_spot(leaked, actor, reason)
        now = self._journal.clock.now()
        active = standby.moved(KeyState.ACTIVE, activated_at=now)
        revoked = leaked.moved(
            KeyState.REVOKED, revoked_at=now, revoked_reason=reason, canary=self._canary(leaked, now)
        )
        changes = [Replace(revoked), Replace(active), *self._vouched_for(leaked, now, reason)]
        self._journal.write("key.emergency_rotated", changes, actor, reason, **used.written)
        return Rotation(active, revoked, None)

    def _revoke(self, key_id: str, actor: str, reason: str, approval: str | None) -> tuple[KeyState, KeyRecord]:
        record = find(self._journal.catalog.records(), key_id)
        if record.parent is None:
            guards.check_not_active(record, "emergency-rotate")
        now = self._journal.clock.now()
        revoked = record.moved(KeyState.REVOKED, revoked_at=now, revoked_reason=reason)
        used = self._approvals.use(Asked(record.issuer, "revoke", key_id, actor, reason), (), approval)
        changes = [Replace(revoked), *self._vouched_for(record, now, reason)]
        self._journal.write("key.revoked", changes, actor, reason, **used.written)
        return record.state, revoked

    def _lineage(self, issuer: str, key_id: str | None, algorithm: str | None) -> LineageKeys:
        """A kid says which algorithm is meant, where an issuer has two."""
        if key_id is not None:
            named = find(self._journal.catalog.records(issuer), key_id)
            return self._journal.issuer(issuer, named.purpose).of(named.algorithm)
        return self._journal.issuer(issuer).lineage(algorithm)

    def _made_on_the_spot(self, leaked: KeyRecord, actor: str, reason: str) -> KeyRecord:
        """A handle of its own: nobody else makes this key, so there is no turn to wait for, nor room to ask for."""
        record = self._journal.new(leaked.issuer, leaked.purpose, leaked.algorithm, leaked.backend)
        self._journal.insert([record], actor, reason)
        made = self._journal.made(record)
        return made.moved_again(KeyState.STANDBY, published_at=self._journal.clock.now())

    def _vouched_for(self, parent: KeyRecord, now: float, reason: str) -> list[Replace]:
        """A key that a revoked key vouched for is as good as its voucher."""
        records = self._journal.catalog.records(parent.issuer)
        final = (KeyState.REVOKED, KeyState.DESTROYED, KeyState.PENDING)
        mine = (record for record in records if record.parent == parent.key_id and record.state not in final)
        facts = {"revoked_at": now, "revoked_reason": f"its parent was revoked: {reason}"}
        return [Replace(record.moved(KeyState.REVOKED, **facts)) for record in mine]

    def _canary(self, leaked: KeyRecord, now: float) -> str | None:
        """A token that nobody should accept from now on; None when the backend does not sign it at once."""
        whose = {"iss": self._issuer_url(leaked.issuer), "aud": CANARY_AUDIENCE, "sub": "canary"}
        times = {"iat": int(now), "exp": int(now + CANARY_LIFETIME_S)}
        payload = strict_json.encode_object({**whose, **times, "jti": leaked.handle})

        def signed() -> str:
            key = _Leaked(leaked, self._journal)
            return signing.sign(payload, key, typ="at+jwt")

        return _within(signed, CANARY_WAIT_S)


class _Leaked:
    """A Signer over the key that is about to be revoked."""

    def __init__(self, record: KeyRecord, journal: Journal) -> None:
        public = record.public_key()
        assert public.algorithm is not None
        self.algorithm, self.key_id = public.algorithm, public.key_id
        self._record, self._journal, self._public = record, journal, public

    def sign(self, signing_input: bytes) -> bytes:
        backend = self._journal.backend(self._record.backend)
        return sign_checked(backend, self._record.handle, self._public, signing_input).value


def find(records: list[KeyRecord], key_id: str) -> KeyRecord:
    """Raises RefusedError ``move.unknown_key``."""
    found = [record for record in records if record.key_id == key_id]
    if not found:
        raise RefusedError(Reason.MOVE_UNKNOWN_KEY, "there is no key with this kid")
    return found[0]


def until_settled(move: Callable[[], T]) -> T:
    """Look again and repeat when somebody else was faster."""
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            return move()
        except RefusedError as error:
            if error.reason is not Reason.CATALOG_CONFLICT or not attempts_left:
                raise
    raise AssertionError("unreachable")


def _within(answer: Callable[[], T], wait_s: float) -> T | None:
    """What comes in time: a backend that hangs must not hold an emergency up."""
    thread = DaemonThreads(1, "revocation-canary")
    with closing(thread), suppress(SealwrightError, TimeoutError):
        return thread.submit(answer).result(wait_s)
    return None
