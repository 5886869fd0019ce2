"""What can be asked of keys and signers, in JSON terms: the one core behind the HTTP API and the local command line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sealwright.errors import Reason, RefusedError, RejectedError
from sealwright.keys.importing import As
from sealwright.keys.states import KeyState
from sealwright.services.key_service.access_operations import AccessOperations
from sealwright.services.key_service.audit_operations import AuditOperations
from sealwright.services.key_service.client_operations import ClientOperations
from sealwright.services.key_service.fleet_operations import FleetOperations
from sealwright.services.key_service.issuer_operations import IssuerOperations
from sealwright.services.key_service.newcomers import newcomer_of
from sealwright.services.key_service.planning import health_of, orphans_of, plan_of
from sealwright.services.key_service.secret_operations import SecretOperations
from sealwright.services.key_service.signing_operations import SigningOperations, refuse_internal
from sealwright.services.key_service.token_operations import TokenOperations
from sealwright.services.key_service.views import canary_view, rotation_view, view
from sealwright.settings import INTERNAL_ISSUER
from sealwright.trust.evidence import NO_EVIDENCE, Evidence
from sealwright.wiring.single_process import SingleProcess


class KeyOperations(IssuerOperations):
    """Every method answers JSON-ready data, and is audited under the name of the actor."""

    def __init__(self, process: SingleProcess, actor: str) -> None:
        super().__init__(process, actor)
        self._lifecycle = process.signing.lifecycle
        self._signing = SigningOperations(process, actor)
        self.issue_token, self.issue_tokens = self._signing.issue_token, self._signing.issue_tokens
        self.sign_payload, self.sign_payloads = self._signing.sign_payload, self._signing.sign_payloads

    def by(self, actor: str | None) -> KeyOperations:
        """The same operations, asked by somebody else."""
        return KeyOperations(self._process, actor or "unknown")

    @property
    def secrets(self) -> SecretOperations:
        """HMAC secrets of partners."""
        return SecretOperations(self._process, self._actor)

    @property
    def tokens(self) -> TokenOperations:
        """Single tokens that were issued before."""
        return TokenOperations(self._process, self._actor)

    @property
    def access(self) -> AccessOperations:
        """Credentials and approvals."""
        return AccessOperations(self._process, self._actor, self._signing.issue)

    @property
    def clients(self) -> ClientOperations:
        """OAuth clients."""
        return ClientOperations(self._process, self._actor)

    @property
    def fleet(self) -> FleetOperations:
        """The verifiers that report."""
        return FleetOperations(self._process, self._actor)

    def keys(self, issuer: str | None = None, *, only: Collection[str] | None = None) -> dict[str, Any]:
        """``only`` leaves out the keys of other issuers."""
        records = [record for record in self._lifecycle.records(issuer) if only is None or record.issuer in only]
        if issuer is not None and not records:
            raise RefusedError(Reason.MOVE_UNKNOWN_ISSUER, "there is no such issuer; keys create makes one")
        return {"keys": [view(record) for record in records]}

    def canary(self, key_id: str) -> dict[str, Any]:
        """The token that a leaked key signed in its emergency. RejectedError ``request.not_found`` without one."""
        record = self._lifecycle.find(key_id)
        if record.canary is None:
            message = "this key has no canary: it did not leak, or its backend did not sign one in time"
            raise RejectedError(Reason.REQUEST_NOT_FOUND, message)
        return canary_view(record)

    def create(self, issuer: str, *, algorithm: str | None, reason: str) -> dict[str, Any]:
        """Open a new issuer, or give an open one the standby it lacks. Answers with the keys that were made."""
        before = {record.handle for record in self._lifecycle.records(issuer)}
        if not before:
            if algorithm is None:
                raise RejectedError(Reason.REQUEST_MALFORMED, "a new issuer needs an algorithm")
            self._process.open_issuer(issuer, algorithm=algorithm, actor=self._actor, reason=reason)
        else:
            made = self._lifecycle.add_standby(issuer, algorithm=algorithm, actor=self._actor, reason=reason)
            before.discard(made.handle)  # a crash may have left it pending
        return {"keys": [view(r) for r in self._lifecycle.records(issuer) if r.handle not in before]}

    def import_key(self, issuer: str, *, state: As, reason: str, **given: Any) -> dict[str, Any]:
        """Bring in a key from outside; ``given`` is what ``newcomer_of`` takes."""
        refuse_internal(issuer)
        newcomer = newcomer_of(**given)
        self._process.show(issuer)
        return view(self._lifecycle.bring(issuer, newcomer, state, actor=self._actor, reason=reason))

    def move(
        self, verb: str, key_id: str, *, reason: str, force: bool = False, approval: str | None = None
    ) -> dict[str, Any]:
        """activate, retire, restore, revoke, destroy, hold or release one key."""
        why: dict[str, Any] = {"actor": self._actor, "reason": reason, "approval": approval}
        steps: dict[str, Any] = {
            "activate": lambda: self._lifecycle.activate(key_id, force=force, **why),
            "retire": lambda: self._lifecycle.retire(key_id, force=force, **why),
            "restore": lambda: self._lifecycle.restore(key_id, **why),
            "revoke": lambda: self._lifecycle.revoke(key_id, **why),
            "destroy": lambda: self._lifecycle.destroy(key_id, force=force, **why),
            "hold": lambda: self._lifecycle.hold(key_id, actor=self._actor, reason=reason),
            "release": lambda: self._lifecycle.release(key_id, actor=self._actor, reason=reason),
        }
        steps[verb]()
        return view(self._lifecycle.find(key_id))

    def rotate(self, issuer: str, *, reason: str, force: bool = False, **named: Any) -> dict[str, Any]:
        """``named``: the algorithm during a roll-out, and an approval."""
        return rotation_view(self._lifecycle.rotate(issuer, actor=self._actor, reason=reason, force=force, **named))

    def emergency_rotate(self, issuer: str, *, key_id: str | None, reason: str, **named: Any) -> dict[str, Any]:
        """``named``: the algorithm during a roll-out, an approval, or ``break_glass``."""
        return rotation_view(
            self._lifecycle.emergency_rotate(issuer, key_id=key_id, actor=self._actor, reason=reason, **named)
        )

    def plan(self, issuer: str | None = None, *, for_s: float) -> dict[str, Any]:
        """What is going to happen in so many seconds, and what is blocked."""
        return plan_of(self._process.signing, issuer, for_s)

    def backends(self) -> dict[str, Any]:
        """Whether each key backend signs."""
        return health_of(self._process.signing)

    def orphans(self) -> dict[str, Any]:
        return orphans_of(self._process.signing)

    def issue_operator_credential(self, subject: str, scopes: Sequence[str]) -> dict[str, Any]:
        claims = {"sub": subject, "client_id": subject, "scope": " ".join(scopes)}
        settings = self._process.settings
        longest_s = self._process.policies.of(INTERNAL_ISSUER).timings.longest_token_s
        lifetime_s = min(settings.operator_lifetime_s, longest_s)
        return self._signing.issue(INTERNAL_ISSUER, claims, settings.at_url(), lifetime_s)

    def active_key_ids_of_operators(self) -> set[str | None]:
        """One, or two during a roll-out."""
        records = self._lifecycle.records(INTERNAL_ISSUER)
        return {record.key_id for record in records if record.state is KeyState.ACTIVE and record.purpose == "token"}

    def rotate_kek(self, *, reason: str) -> dict[str, Any]:
        """A new key-encryption key for everything that is stored here."""
        return {"resealed": self._process.rotate_kek(actor=self._actor, reason=reason)}

    @property
    def trail(self) -> AuditOperations:
        """What can be asked of the audit."""
        return AuditOperations(self._process, self._actor)

    def verify(
        self,
        token: str,
        *,
        audience: str,
        scopes: Sequence[str] = (),
        evidence: Evidence = NO_EVIDENCE,
        explain: bool = False,
    ) -> dict[str, Any]:
        verifier = self._process.verifier(audience)
        return verifier.decide(token, scopes=frozenset(scopes), evidence=evidence, explain=explain).to_dict()

    def jwks(self, issuer: str) -> dict[str, Any]:
        return self._process.publications.issuer(issuer).jwks.to_dict()
