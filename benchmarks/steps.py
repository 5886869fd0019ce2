"""Where our own time goes: the functions of the pipeline and of signing, each timed alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.contestants import RAW
from benchmarks.measuring import Call, medians
from benchmarks.ours import signing, verifier
from benchmarks.raw import signing as raw_signing
from benchmarks.raw import verifying as raw_verifying
from benchmarks.work import AUDIENCE, ISSUER, Work
from sealwright.clock import SYSTEM_CLOCK
from sealwright.jose import base64url, compact, header, strict_json
from sealwright.jose.verification import check_signature
from sealwright.profiles.claims_token import claims_payload, new_token_id

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
    token, ours = work.token(), verifier(work)
    pipeline = ours._pipeline
    parsed = compact.parse(token)
    claims = parsed.unverified_claims()  # from here on, matching the issuer reads them no more
    issuer = pipeline.issuers.match(parsed)
    key = issuer.bind(issuer.source.find(parsed.header.key_id))
    return {
        "parse": partial(compact.parse, token, max_bytes=pipeline.issuers.maximum_token_bytes),
        "base64url of the payload": parsed.unverified_payload,
        "JSON": partial(strict_json.parse_object, parsed.unverified_payload()),
        "issuer match": partial(pipeline.issuers.match, parsed),
        "header check": partial(issuer.check_header, parsed.header),
        "key find": partial(issuer.source.find, parsed.header.key_id),
        "key bind": partial(issuer.bind, key),
        "signature": partial(check_signature, parsed, key),
        "clock": pipeline.clock.now,
        "claims": partial(issuer.policy.rules.check, claims, pipeline.clock.now()),
        RAW: raw_verifying(work, token),
        WHOLE: partial(ours.verify, token),
    }


def _sign_steps(work: Work) -> dict[str, Call]:
    key, whole = work.key, signing(work)
    token = whole()
    parsed = compact.parse(token)
    fixed = {"issuer": ISSUER, "audience": AUDIENCE, "lifetime_s": 900, "token_id": new_token_id()}
    return {
        "token id": new_token_id,
        "clock": SYSTEM_CLOCK.now,
        "claims and JSON": partial(claims_payload, work.custom, now=SYSTEM_CLOCK.now(), **fixed),
        "header": partial(header.encode, key.algorithm.name, key_id=key.key_id, typ="JWT"),
        "base64url of the payload": partial(base64url.encode, parsed.unverified_payload()),
        "signature": partial(key.sign, parsed.signing_input),
        "base64url of the signature": partial(base64url.encode, parsed.signature),
        RAW: raw_signing(work, token),
        WHOLE: whole,
    }
