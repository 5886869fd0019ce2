"""What can be asked of signers, in JSON terms: tokens and signatures, one or a batch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.keys.managed_signer import SignedToken
from sealwright.keys.presigned import Question
from sealwright.keys.signing_queue import Deadline
from sealwright.profiles.access_token import TYP, access_token_payload
from sealwright.profiles.claims_token import new_token_id
from sealwright.settings import INTERNAL_ISSUER
from sealwright.statements.status_list import Reference, reference_claim
from sealwright.wiring.single_process import SingleProcess

MOST_IN_BATCH = 500


class SigningOperations:
    """Every method answers JSON-ready data, is audited under the name of the actor, and gives up at the deadline."""

    def __init__(self, process: SingleProcess, actor: str, deadline: Deadline | None = None) -> None:
        self._process = process
        self._actor = actor
        self._deadline = deadline

    def issue_token(
        self,
        issuer: str,
        *,
        claims: Mapping[str, Any],
        audience: str | Sequence[str],
        lifetime_s: float | None = None,
        reuse: bool = False,
        status: bool = False,
    ) -> dict[str, Any]:
        """An access token (RFC 9068) of an issuer; never one of the internal issuer.

        ``reuse`` allows a token that was signed for the same question before, of which at least half its life is
        left: whoever asks gets the same "jti" as the last time. ``status`` gives the token a place in a status list.
        """
        refuse_internal(issuer)
        if reuse and status:
            raise RejectedError(Reason.REQUEST_MALFORMED, "a token that may be reused has no status of its own")
        lifetime_s = self._lifetime_s(issuer, lifetime_s)
        if reuse:
            return self._reusable(issuer, claims, audience, lifetime_s)
        one = {"claims": self._named(claims), "audience": audience, "lifetime_s": lifetime_s, "status": status}
        (placed,) = self._placed(issuer, [one])
        return self.issue(issuer, placed, audience, lifetime_s)

    def issue_tokens(self, issuer: str, tokens: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Access tokens for a list of {claims, audience, lifetime_s, status}, in its order: all or none."""
        refuse_internal(issuer)
        _check_batch(tokens)
        lifetimes = [self._lifetime_s(issuer, one.get("lifetime_s")) for one in tokens]
        named = [
            {**one, "claims": self._named(one["claims"]), "lifetime_s": lifetime_s}
            for one, lifetime_s in zip(tokens, lifetimes, strict=True)
        ]
        payloads = [
            self._payload(issuer, claims, one["audience"], one["lifetime_s"])
            for one, claims in zip(named, self._placed(issuer, named), strict=True)
        ]
        signed = self._sign(issuer, [(payload, TYP) for payload in payloads])
        answers = [
            {"token": one.token, "expires_in": int(lifetime_s)}
            for one, lifetime_s in zip(signed, lifetimes, strict=True)
        ]
        return {"tokens": answers, "token_type": "Bearer", **_key_of(signed[0])}

    def issue_to_client(
        self,
        issuer: str,
        *,
        claims: Mapping[str, Any],
        audience: str | Sequence[str],
        lifetime_s: float | None,
        ends_at: float,
        facts: Mapping[str, Any],
    ) -> dict[str, Any]:
        """An access token that ends by ``ends_at``, whatever its lifetime; ``facts`` go with it into the audit."""
        refuse_internal(issuer)
        now, longest_s = self._process.clock.now(), self._longest_s(issuer)
        lifetime_s = min(longest_s if lifetime_s is None else lifetime_s, longest_s, ends_at - now)
        payload = self._payload(issuer, claims, audience, lifetime_s, now)
        (signed,) = self._sign(issuer, [(payload, TYP)], facts)
        return _bearer(signed, int(lifetime_s))

    def issue(
        self, issuer: str, claims: Mapping[str, Any], audience: str | Sequence[str], lifetime_s: float | None = None
    ) -> dict[str, Any]:
        lifetime_s = self._lifetime_s(issuer, lifetime_s)
        (signed,) = self._sign(issuer, [(self._payload(issuer, claims, audience, lifetime_s), TYP)])
        return _bearer(signed, int(lifetime_s))

    def sign_payload(self, issuer: str, *, payload: bytes, typ: str) -> dict[str, Any]:
        """A compact JWS over any bytes. Types of JWTs are refused: tokens have their own call, with its rules."""
        return self._signed(issuer, [(payload, typ)])[0]

    def sign_payloads(self, issuer: str, payloads: Sequence[tuple[bytes, str]]) -> dict[str, Any]:
        """Compact JWSs for a list of payloads and types, in its order: all or none."""
        _check_batch(payloads)
        return {"signed": self._signed(issuer, payloads)}

    def sign_answer(self, issuer: str, claims: Mapping[str, Any], *, typ: str) -> str:
        """A JWT of a type of ours that is no token, such as a signed answer."""
        return self._sign(issuer, [(strict_json.encode_object(claims), typ)])[0].token

    def _placed(self, issuer: str, tokens: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The claims of tokens, with a place in a status list for those that are to have one."""
        wanted: dict[int, dict[str, Any]] = {}
        for number, one in enumerate(tokens):
            if one.get("status"):
                if "status" in one["claims"]:
                    raise RejectedError(Reason.REQUEST_MALFORMED, 'the claim "status" is ours to set: leave it out')
                wanted[number] = {"jti": new_token_id(), **one["claims"]}
                self._payload(issuer, wanted[number], one["audience"], one["lifetime_s"])  # no place for a bad request
        now = self._process.clock.now()
        asked = [(claims["jti"], now + tokens[number]["lifetime_s"]) for number, claims in wanted.items()]
        for claims, token in zip(wanted.values(), self._process.tokens.place(issuer, asked), strict=True):
            assert token.list_id is not None
            assert token.place is not None
            uri = self._process.statements.status_list_url(issuer, token.list_id)
            claims["status"] = reference_claim(Reference(uri, token.place))
        return [wanted.get(number, one["claims"]) for number, one in enumerate(tokens)]

    def _signed(self, issuer: str, payloads: Sequence[tuple[bytes, str]]) -> list[dict[str, Any]]:
        refuse_internal(issuer)
        for _, typ in payloads:
            _check_type(typ)
        return [{"token": one.token, **_key_of(one)} for one in self._sign(issuer, payloads)]

    def _reusable(
        self, issuer: str, claims: Mapping[str, Any], audience: str | Sequence[str], lifetime_s: float
    ) -> dict[str, Any]:
        payload = self._payload(issuer, self._named(claims), audience, lifetime_s)
        if "jti" in claims:
            raise RejectedError(Reason.REQUEST_MALFORMED, "a token that may be reused has a jti of ours: leave it out")
        asked = strict_json.encode_object(
            {"claims": dict(sorted(claims.items())), "audience": audience, "lifetime_s": int(lifetime_s)}
        )
        question = Question(issuer, self._actor, hashlib.sha256(asked).digest())
        signed, left_s, reused = self._process.signing.presigned.token(
            self._process.signing.signer(issuer), question, lifetime_s, lambda: self._sign(issuer, [(payload, TYP)])[0]
        )
        return {**_bearer(signed, left_s), "reused": reused}

    def _sign(
        self, issuer: str, batch: Sequence[tuple[bytes, str | None]], facts: Mapping[str, Any] | None = None
    ) -> list[SignedToken]:
        signer = self._process.signing.signer(issuer)
        return signer.sign_batch(batch, actor=self._actor, deadline=self._deadline, facts=facts)

    def _payload(
        self,
        issuer: str,
        claims: Mapping[str, Any],
        audience: str | Sequence[str],
        lifetime_s: float,
        now: float | None = None,
    ) -> bytes:
        return access_token_payload(
            claims,
            issuer=self._process.issuer_url(issuer),
            audience=audience,
            lifetime_s=lifetime_s,
            longest_s=self._longest_s(issuer),
            now=self._process.clock.now() if now is None else now,
        )

    def _named(self, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"client_id": self._actor, **claims}

    def _lifetime_s(self, issuer: str, asked: float | None) -> float:
        return self._longest_s(issuer) if asked is None else asked

    def _longest_s(self, issuer: str) -> float:
        return self._process.policies.of(issuer).timings.longest_token_s


def _bearer(signed: SignedToken, expires_in: int) -> dict[str, Any]:
    return {"token": signed.token, "token_type": "Bearer", "expires_in": expires_in, **_key_of(signed)}


def _key_of(signed: SignedToken) -> dict[str, Any]:
    return {"key_id": signed.key_id, "algorithm": signed.algorithm}


def _check_batch(batch: Sequence[Any]) -> None:
    if not 1 <= len(batch) <= MOST_IN_BATCH:
        raise RejectedError(Reason.REQUEST_MALFORMED, f"a batch has 1 to {MOST_IN_BATCH} items")


def _check_type(typ: str) -> None:
    kind = typ.lower().removeprefix("application/")
    if not kind or kind == "jwt" or kind.endswith("+jwt"):
        raise RejectedError(Reason.HEADER_TYPE, "name a type of your own, such as order+jws; JWTs are issued as tokens")


def refuse_internal(issuer: str) -> None:
    if issuer == INTERNAL_ISSUER:
        raise RejectedError(Reason.ISSUER_UNKNOWN, "the internal issuer signs credentials of this service only")
