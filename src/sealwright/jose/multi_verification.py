"""verify_signatures() and decide_signatures(): JSON serializations against keys and a policy (RFC 7515 §5.2)."""

from __future__ import annotations

import io
from typing import BinaryIO

from sealwright.errors import Reason, RejectedError
from sealwright.jose import json_forms
from sealwright.jose.compact import MAXIMUM_TOKEN_BYTES
from sealwright.jose.detached import Progress, StreamSignature, check_stream
from sealwright.jose.json_forms import UnverifiedJSON, UnverifiedSignature
from sealwright.jose.signature_policy import SignaturePolicy, SignatureReport, SignatureResult, identity
from sealwright.jose.verification import Keys, VerificationKey, check_algorithm, select_key


def verify_signatures(
    text: str | bytes,
    keys: Keys,
    *,
    policy: SignaturePolicy,
    payload: bytes | BinaryIO | None = None,
    max_bytes: int = MAXIMUM_TOKEN_BYTES,
    progress: Progress | None = None,
) -> SignatureReport:
    """Prove a JWS in flattened or general JSON form. ``payload`` is the content where it is detached:
    bytes, or a stream that is read to its end once.

    Raises RejectedError unless the policy is satisfied: ``signatures.*``, ``payload.*``, ``json.*`` and, where one
    signature decides, its own reason. ``decide_signatures`` answers with the verdict on each instead.
    """
    report = decide_signatures(text, keys, policy=policy, payload=payload, max_bytes=max_bytes, progress=progress)
    if report.reason is not None:
        raise RejectedError(report.reason, report.message)
    return report


def decide_signatures(
    text: str | bytes,
    keys: Keys,
    *,
    policy: SignaturePolicy,
    payload: bytes | BinaryIO | None = None,
    max_bytes: int = MAXIMUM_TOKEN_BYTES,
    progress: Progress | None = None,
) -> SignatureReport:
    """Like ``verify_signatures``, and never raises for a bad JWS."""
    results: tuple[SignatureResult, ...] = ()
    try:
        parsed = json_forms.parse(text, max_bytes=max_bytes)
        content = json_forms.content_of(parsed, payload)
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        results = _results(parsed, stream, keys, progress)
        policy.check(results)
    except RejectedError as error:
        return SignatureReport(False, error.reason, error.message, results)
    return SignatureReport(True, None, "", results, content if isinstance(content, bytes) else None)


def _results(
    parsed: UnverifiedJSON, content: BinaryIO, keys: Keys, progress: Progress | None
) -> tuple[SignatureResult, ...]:
    """One verdict for each; a key that signed twice counts once, whatever names it was given."""
    prepared = [_prepare(one, keys) for one in parsed.signatures]
    ready = [one for one in prepared if isinstance(one, StreamSignature)]
    faults = iter(check_stream(content, ready, parsed.b64, progress))
    seen: set[object] = set()
    return tuple(
        _verdict(index, one, ready if isinstance(ready, RejectedError) else next(faults) or ready.key, seen)
        for index, (one, ready) in enumerate(zip(parsed.signatures, prepared, strict=True))
    )


def _prepare(one: UnverifiedSignature | RejectedError, keys: Keys) -> StreamSignature | RejectedError:
    if isinstance(one, RejectedError):
        return one
    try:
        key = select_key(one.key_id, keys)
        check_algorithm(one.header, key)
    except RejectedError as error:
        return error.with_traceback(None)
    return StreamSignature(one.header, key, one.signature)


def _verdict(
    index: int,
    one: UnverifiedSignature | RejectedError,
    found: VerificationKey | RejectedError,
    seen: set[object],
) -> SignatureResult:
    header = None if isinstance(one, RejectedError) else one.header
    if isinstance(found, RejectedError):
        key_id = None if isinstance(one, RejectedError) else one.key_id
        return SignatureResult(index, key_id, header, None, found.reason, found.message)
    again = identity(found) in seen
    seen.add(identity(found))
    reason = Reason.SIGNATURES_SAME_SIGNER if again else None
    return SignatureResult(index, found.key_id, header, found, reason, "counted already" if again else "")
