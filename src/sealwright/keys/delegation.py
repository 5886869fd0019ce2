"""DelegatedKeys: short-lived software keys that an issuer's key vouches for, so that they sign in its place."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sealwright.errors import Reason, RefusedError, SealwrightError
from sealwright.jose import strict_json
from sealwright.keys import guards
from sealwright.keys.backend import KeyBackend
from sealwright.keys.catalog import Document, Put, Replace
from sealwright.keys.delegates import delegated, is_held
from sealwright.keys.journal import Journal
from sealwright.keys.managed_signer import ManagedSigner
from sealwright.keys.policy import IssuerPolicy
from sealwright.keys.record import KeyRecord
from sealwright.keys.standbys import turn_of
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings
from sealwright.keys.vouching_certificates import ALGORITHMS, Authority, x5c

ACTOR, REASON, STEP = "sealwright", "delegation", "delegation"
VOUCHER_TYP = "delegated-key+jwt"
AHEAD = 0.1  # of a lifetime: how long before it is needed the next key is ready
RESERVED = 2  # published places that are left for the keys of the issuer itself
CERTIFICATE = "certificate"  # of a key that vouches, by its handle
CERTIFICATE_S = 400 * 86_400.0  # longer than a key signs
CLOCKS_S = 300.0  # how far back a certificate begins, for clocks that are behind
_COMING = (KeyState.PENDING, KeyState.STANDBY, KeyState.ACTIVE)


class DelegatedKeys:
    """One set of keys for each replica: it owns those whose private half it holds, and tidies up after all.

    ``tick`` is called every few seconds, by any number of replicas; every step is a compare-and-set.
    """

    def __init__(
        self,
        journal: Journal,
        backends: Mapping[str, KeyBackend],
        signer: Callable[[str], ManagedSigner],
        issuer_url: Callable[[str], str] = str,
        *,
        backend: str = "local",
    ) -> None:
        self._journal = journal
        self._backends = backends
        self._signer = signer
        self._issuer_url = issuer_url
        self._backend = backend

    def tick(self) -> list[str]:
        """Do what is due. Says what it did, a line for each step; what fails now is reported, and tried again."""
        done: list[str] = []
        records = self._journal.catalog.records()
        for child in delegated(records):
            done += self._tried(child.issuer, partial(self._moved_on, child), child.key_id)
        for issuer in dict.fromkeys(record.issuer for record in records):
            if self._journal.policies.of(issuer).delegated_lifetime_s > 0:
                done += self._tried(issuer, partial(self._activated, issuer))
                done += self._tried(issuer, partial(self._supplied, issuer))
        return done

    def _tried(self, issuer: str, step: Callable[[], list[str]], key_id: str | None = None) -> list[str]:
        try:
            return step()
        except SealwrightError as error:
            if error.reason is not Reason.CATALOG_CONFLICT:  # somebody else was faster
                self._journal.report_failure(STEP, issuer, key_id, error.reason)
            return [f"not now, {issuer}: {error.message}"]

    def _supplied(self, issuer: str) -> list[str]:
        """Make the next key so early that its dwell is over when it is needed."""
        parent, policy = self._parent(issuer), self._journal.policies.of(issuer)
        needed = self._journal.clock.now() + policy.timings.standby_dwell_s + policy.delegated_lifetime_s * AHEAD
        coming = [child for child in self._own(issuer) if child.parent == parent.key_id]
        if any((child.expires_at or 0.0) > needed for child in coming if child.state is not KeyState.PENDING):
            return []
        left_by_a_failure = next((child for child in coming if child.state is KeyState.PENDING), None)
        with self._journal.catalog.turn(turn_of(issuer)):
            self._check_room(issuer, policy.timings)
            fresh = left_by_a_failure or self._journaled(parent)
            return [f"published {self._published(fresh, parent, policy).key_id}"]

    def _journaled(self, parent: KeyRecord) -> KeyRecord:
        """It expires as any other that nobody publishes."""
        fresh = self._journal.new(parent.issuer, "delegated", parent.algorithm, self._backend)
        expires_at = fresh.created_at + self._timings(parent).pending_s
        fresh = replace(fresh, parent=parent.key_id, expires_at=expires_at)
        self._journal.insert([fresh], ACTOR, REASON)
        return fresh

    def _published(self, fresh: KeyRecord, parent: KeyRecord, policy: IssuerPolicy) -> KeyRecord:
        """Made at its backend, vouched for by its parent, and shown to the world."""
        made, now = self._journal.made(fresh), self._journal.clock.now()
        expires_at = now + policy.timings.standby_dwell_s + policy.delegated_lifetime_s
        public = self._vouched(made, parent, now, expires_at + policy.timings.verify_tail_s)
        facts = {"public": public, "expires_at": expires_at, "published_at": self._journal.clock.now()}
        published = made.moved(KeyState.STANDBY, **facts)
        self._write("key.published", published, parent, certificate=_certificate_digest(public))
        return published

    def _vouched(self, child: KeyRecord, parent: KeyRecord, now: float, ends: float) -> Mapping[str, object]:
        """The public key with the parent's word for it, as the JWKS shows it."""
        times = {"iat": int(now), "nbf": int(now), "exp": int(ends)}
        claims = {"iss": self._issuer_url(child.issuer), "sub": child.key_id, "use": "token", "jwk": child.public}
        payload = strict_json.encode_object({**claims, **times})
        voucher = self._signer(child.issuer).sign(payload, typ=VOUCHER_TYP, actor=ACTOR, delegate=False)
        if voucher.key_id != parent.key_id:
            raise RefusedError(
                Reason.CATALOG_CONFLICT, "the key was rotated while it vouched: the next tick tries again"
            )
        return {
            **(child.public or {}),
            **self._certified(child, parent, now, ends),
            "vouched_by": parent.key_id,
            "voucher": voucher.token,
        }

    def _certified(self, child: KeyRecord, parent: KeyRecord, now: float, ends: float) -> Mapping[str, object]:
        """The certificates of both, where the policy asks for them and the algorithm has any."""
        if not self._journal.policies.of(child.issuer).delegated_x5c or parent.algorithm not in ALGORITHMS:
            return {}
        backend = self._journal.backend(parent.backend)
        authority = Authority(self._issuer_url(child.issuer), parent.public_key(), backend, parent.handle)
        own = self._own_certificate(parent, authority, now)
        return {"x5c": x5c(authority.certify(child.public_key(), now - CLOCKS_S, ends), own)}

    def _own_certificate(self, parent: KeyRecord, authority: Authority, now: float) -> bytes:
        """Made once for each key, so that it can be pinned."""
        kept = self._journal.catalog.document(CERTIFICATE, parent.handle)
        if kept is not None:
            return base64.b64decode(str(kept.body["der"]))
        der = authority.own_certificate(now - CLOCKS_S, now + CERTIFICATE_S)
        document = Document(CERTIFICATE, parent.handle, {"der": x5c(der)[0]})
        digest = {"certificate_sha256": hashlib.sha256(der).hexdigest()}
        self._journal.note("key.certified", parent.issuer, [Put(document)], ACTOR, REASON, **digest)
        return der

    def _activated(self, issuer: str) -> list[str]:
        """standby to active once every verifier can know it; the one before steps down in the same transaction."""
        own, parent, now = self._own(issuer), self._parent(issuer), self._journal.clock.now()
        dwell_s = self._timings(parent).standby_dwell_s
        standbys = [child for child in own if child.state is KeyState.STANDBY and child.parent == parent.key_id]
        ready = [child for child in standbys if now >= (child.published_at or now) + dwell_s]
        if not ready:
            return []
        before = [child for child in own if child.state is KeyState.ACTIVE]
        stepped_down = [child.moved(KeyState.VERIFY_ONLY, verify_only_at=now) for child in before]
        self._write("key.rotated", ready[0].moved(KeyState.ACTIVE, activated_at=now), parent, *stepped_down)
        return [f"activated {ready[0].key_id}"]

    def _moved_on(self, child: KeyRecord) -> list[str]:
        """What time does to a key, whoever made it. What signs no more loses its private half at once."""
        now, timings = self._journal.clock.now(), self._timings(child)
        expired, state = now >= (child.expires_at or 0.0), child.state
        if state in (KeyState.PENDING, KeyState.STANDBY) and expired:
            self._write("key.moved", child.moved(KeyState.RETIRED, retired_at=now))
        elif state is KeyState.ACTIVE and expired:
            self._write("key.moved", child.moved(KeyState.VERIFY_ONLY, verify_only_at=now))
        elif state is KeyState.VERIFY_ONLY and now >= _last_use(child) + timings.verify_tail_s:
            self._write("key.moved", child.moved(KeyState.RETIRED, retired_at=now))
        elif state is KeyState.RETIRED:
            self._write("key.moved", child.moved(KeyState.DESTROYED))
        elif state not in _COMING and child.destroyed_at is None and is_held(child, self._backends):
            # Its own replica alone can say that it is gone.
            self._journal.destroy_material(child, ACTOR, REASON)
        else:
            return []
        return [f"moved {child.key_id} on from {state}"]

    def _write(
        self,
        action: str,
        child: KeyRecord,
        parent: KeyRecord | None = None,
        *others: KeyRecord,
        certificate: str = "",
    ) -> None:
        """In one transaction with the parent as it was looked at: an emergency in between stops what it has spoiled."""
        changes = [*others, child] if parent is None else [*others, child, parent.changed()]
        self._journal.write(
            action, [Replace(record) for record in changes], ACTOR, REASON, certificate_sha256=certificate
        )

    def _parent(self, issuer: str) -> KeyRecord:
        return self._signer(issuer).key(delegate=False).record

    def _own(self, issuer: str) -> list[KeyRecord]:
        """Those of this replica that sign or are about to."""
        children = delegated(self._journal.catalog.records(issuer))
        return [child for child in children if child.state in _COMING and is_held(child, self._backends)]

    def _check_room(self, issuer: str, timings: KeyTimings) -> None:
        published = [record for record in self._journal.catalog.records(issuer) if record.purpose != "trust-root"]
        guards.check_room(published, replace(timings, published_keys=timings.published_keys - RESERVED))

    def _timings(self, child: KeyRecord) -> KeyTimings:
        return self._journal.policies.of(child.issuer).timings


def _certificate_digest(public: Mapping[str, Any]) -> str:
    """For the audit: the certificate is a signature of the key that vouches, too."""
    return hashlib.sha256(base64.b64decode(public["x5c"][0])).hexdigest() if "x5c" in public else ""


def _last_use(child: KeyRecord) -> float:
    """A replica that died may have signed until the key expired, as far as its own clock said."""
    return max(child.last_signed_at or 0.0, child.verify_only_at or 0.0)
