"""Rehearsals: a standby key signs one token that nobody serves, so that every verifier can say whether it would do.

The one exception from "a standby does not sign": an action of its own in the audit, an audience of its own for each
rehearsal, and two minutes to live.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sealwright.errors import Reason, RefusedError
from sealwright.jose import base64url, header, strict_json
from sealwright.keys.backend import sign_checked
from sealwright.keys.catalog import Document, put_over
from sealwright.keys.emergency import CANARY_AUDIENCE, CANARY_LIFETIME_S
from sealwright.keys.journal import Journal
from sealwright.keys.record import KeyRecord
from sealwright.keys.release import signature_facts
from sealwright.keys.states import KeyState
from sealwright.statements.verifier_reports import Trial

KIND = "rehearsal"
LIFETIME_S = 120.0
TYP = "at+jwt"
AUDIENCES = "urn:sealwright:rehearsal:"


@dataclass(frozen=True, slots=True)
class GivenTrial:
    """A trial of a key of one issuer, with its id; handed out until ``ends_at``."""

    trial_id: str
    issuer: str
    key_id: str
    began_at: float
    ends_at: float
    trial: Trial


class Rehearsals:
    """The latest rehearsal of each issuer is kept, beside its keys."""

    def __init__(self, journal: Journal, issuer_url: Callable[[str], str]) -> None:
        self._journal = journal
        self._issuer_url = issuer_url

    def begin(self, record: KeyRecord, *, actor: str, reason: str) -> GivenTrial:
        """Sign and publish a trial to all verifiers. Raises RefusedError ``move.illegal`` unless the key is standby."""
        if record.state is not KeyState.STANDBY or record.purpose != "token":
            raise RefusedError(
                Reason.MOVE_ILLEGAL, "only a standby key is rehearsed: the others sign, or signed, already"
            )
        stored = self._journal.catalog.document(KIND, record.issuer)
        given, facts = self._signed(record, actor)
        body = {**given.trial.to_dict(), "id": given.trial_id, "key_id": record.key_id, "at": given.began_at}
        put = put_over(stored, KIND, record.issuer, body)
        self._journal.note(
            "key.rehearsed", record.issuer, [put], actor, reason, key_id=record.key_id, signatures=[facts]
        )
        return given

    def latest(self, issuer: str) -> GivenTrial | None:
        document = self._journal.catalog.document(KIND, issuer)
        return None if document is None else _given(document)

    def _signed(self, record: KeyRecord, actor: str) -> tuple[GivenTrial, Mapping[str, Any]]:
        now, trial_id = self._journal.clock.now(), f"rehearsal:{secrets.token_hex(8)}"
        audience = f"{AUDIENCES}{secrets.token_hex(8)}"
        claims = {"iss": self._issuer_url(record.issuer), "aud": audience, "sub": KIND, "client_id": KIND}
        times = {"iat": int(now), "exp": int(now + LIFETIME_S), "jti": trial_id}
        payload = strict_json.encode_object({**claims, **times})
        text = header.encode(record.algorithm, str(record.key_id), TYP) + b"." + base64url.encode(payload)
        backend = self._journal.backend(record.backend)
        made = sign_checked(backend, record.handle, record.public_key(), text)
        token = (text + b"." + base64url.encode(made.value)).decode("ascii")
        trial = Trial("rehearsal", token, audience)
        given = GivenTrial(trial_id, record.issuer, str(record.key_id), now, now + LIFETIME_S, trial)
        return given, signature_facts(text, made.value, actor, made.request_id)


def is_rehearsal(audience: str) -> bool:
    """Whether a token for this audience is good for nothing but a trial."""
    return audience.startswith(AUDIENCES)


def given_trials(documents: Mapping[str, Document], records: list[KeyRecord], now: float) -> list[GivenTrial]:
    """Every trial that is under way: rehearsals, and canaries of keys that leaked."""
    rehearsed = (_given(document) for document in documents.values())
    leaked = (trial for record in records if (trial := canary_trial(record)) is not None)
    return [one for one in (*rehearsed, *leaked) if one.ends_at > now]


def canary_trial(record: KeyRecord) -> GivenTrial | None:
    """The canary of a key that leaked, which every verifier must refuse."""
    if record.canary is None or record.revoked_at is None:
        return None
    trial = Trial("canary", record.canary, CANARY_AUDIENCE)
    at = record.revoked_at
    return GivenTrial(f"canary:{record.handle}", record.issuer, str(record.key_id), at, at + CANARY_LIFETIME_S, trial)


def _given(document: Document) -> GivenTrial:
    body = document.body
    trial = Trial(body["kind"], body["token"], body["audience"])
    at = float(body["at"])
    return GivenTrial(body["id"], document.name, body["key_id"], at, at + LIFETIME_S, trial)
