"""Where our own time goes: the functions that verifying and signing are made of, each timed alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.contestants import RAW
from benchmarks.measuring import Call, medians
from benchmarks.ours import key_source, signing, verifier
from benchmarks.raw import signing as raw_signing
from benchmarks.raw import verifying as raw_verifying
from benchmarks.work import AUDIENCE, ISSUER, Work
from sealwright.clock import SYSTEM_CLOCK
from sealwright.jose import base64url, compact, header, strict_json
from sealwright.profiles.claims_token import claims_payload, new_token_id
from sealwright.trust.policy import VerificationPolicy

WHOLE, REST = "the whole call", "between the steps"


@dataclass
class Steps:
    """Seconds by step; the raw primitive is a part of the step "signature"."""

    alg: str
    verb: str
    seconds: dict[str, float]
    raw: float
    whole: float


def measure_steps(algorithms: Iterable[str], *, rounds: int) -> Iterator[Steps]:
    for alg in algorithms:
        work = Work.of(alg)
        for verb, calls in (("verify", _verify_steps(work)), ("sign", _sign_steps(work))):
            took = medians(calls, rounds=rounds)
            raw, whole = took.pop(RAW), took.pop(WHOLE)
            yield Steps(alg, verb, {**took, REST: whole - sum(took.values())}, raw, whole)


def _verify_steps(work: Work) -> dict[str, Call]:
    """What the ordinary token passes (trust/shortcut.py); its comparisons are written out there, between the steps."""
    token, whole = work.token(), verifier(work).verify
    protected, payload, signature = token.encode().split(b".")
    text, source, now = base64url.decode(payload), key_source(work), SYSTEM_CLOCK.now()
    key = source.find(work.kid)
    policy = VerificationPolicy(issuer=ISSUER, audience=AUDIENCE, algorithms=frozenset({work.alg}))
    return {
        "header": partial(header.Header.parse, protected),
        "base64url of the payload": partial(base64url.decode, payload),
        "JSON": partial(strict_json.parse_object, text),
        "base64url of the signature": partial(base64url.decode, signature),
        "key find": partial(source.find, work.kid),
        "signature": partial(key.verify, base64url.decode(signature), protected + b"." + payload),
        "clock": SYSTEM_CLOCK.now,
        "claims": partial(policy.rules.check, strict_json.parse_object(text), now),
        RAW: raw_verifying(work, token),
        WHOLE: partial(whole, token),
    }


def _sign_steps(work: Work) -> dict[str, Call]:
    key, whole = work.key, signing(work)
    token = whole()
    parsed, row = compact.parse(token), key.algorithm
    fixed = {"issuer": ISSUER, "audience": AUDIENCE, "lifetime_s": 900, "token_id": new_token_id()}
    return {
        "clock": SYSTEM_CLOCK.now,
        "token id": new_token_id,
        "claims and JSON": partial(claims_payload, work.custom, now=SYSTEM_CLOCK.now(), **fixed),
        "header": partial(header.encode, row.name, key.key_id, "JWT", True),
        "base64url of the payload": partial(base64url.encode, parsed.unverified_payload()),
        "signature": partial(key.sign, parsed.signing_input),
        "base64url of the signature": partial(base64url.encode, parsed.signature),
        RAW: raw_signing(work, token),
        WHOLE: whole,
    }
