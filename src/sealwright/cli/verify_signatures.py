"""sealwright verify --keys: the signatures of a JWS in any form, and nothing else."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from rich.console import Console

from sealwright.cli.options import print_json, print_table, printable
from sealwright.cli.output import NewFile, new_file
from sealwright.cli.progress import Content, open_content
from sealwright.cli.verification_keys import read_keys
from sealwright.errors import Reason, RejectedError
from sealwright.jose import compact, json_forms
from sealwright.jose.detached import Progress, verify_stream
from sealwright.jose.multi_verification import decide_signatures
from sealwright.jose.signature_policy import ANY_SIGNATURE, SignaturePolicy, SignatureReport, SignatureResult
from sealwright.jose.verification import Keys, VerificationKey, verify_signature

HOLDS = "signature holds; claims were not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is to be proven, and with which keys. ``policy`` None: nobody said."""

    keys: Keys
    policy: SignaturePolicy | None

    @classmethod
    def read(
        cls,
        sources: Sequence[str],
        *,
        algorithms: Sequence[str],
        policy: str | None,
        signers: Sequence[str],
        hybrid: bool,
    ) -> Proof:
        wanted = _policy(policy, signers, hybrid)
        return cls(keys=read_keys(sources, algorithms=algorithms, named=bool(signers)), policy=wanted)

    def decide(self, text: bytes, content: BinaryIO | None = None, progress: Progress | None = None) -> SignatureReport:
        """The verdict on each signature. Raises RejectedError ``request.malformed`` where a policy is needed."""
        if not text.startswith(b"{"):
            return _decide_compact(text, content, self, progress)
        if self.policy is None and (number := _signatures_in(text)) > 1:
            message = f"the JWS has {number} signatures: say which must hold with --policy any, every or a number"
            raise RejectedError(Reason.REQUEST_MALFORMED, f"{message}, with --signer KID, or with --hybrid")
        policy = self.policy or ANY_SIGNATURE
        return decide_signatures(text, self.keys, policy=policy, payload=content, progress=progress)


def verify_one(text: bytes, proof: Proof, *, content: str | None, out: str | None, as_json: bool) -> str:
    """Decide over one JWS, report it, and write what was verified."""
    if out == "-" and (as_json or content is not None):
        message = "--out - writes a payload that the JWS carries: leave out --json and --content, or write to a file"
        raise RejectedError(Reason.REQUEST_MALFORMED, message)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(new_file(Path(out) if out not in (None, "-") else None))
        opened = stack.enter_context(open_content(content, quiet=as_json)) if content is not None else None
        report = _decide(text, proof, opened, file)
        if report.satisfied and file is not None:
            file.write(report.payload or b"")
            file.keep()
    if as_json:
        print_json(to_dict(report))
    else:
        _print(report, stderr=out == "-")
    if out == "-" and report.satisfied:
        sys.stdout.buffer.write(report.payload or b"")
        sys.stdout.buffer.flush()
    return _outcome(report)


def to_dict(report: SignatureReport) -> dict[str, Any]:
    """The report as JSON. It says nothing about claims, and says so."""
    signatures = [
        {
            "index": one.index,
            "key_id": one.key_id,
            "algorithm": one.algorithm,
            "verified": one.verified,
            "reason": one.reason,
            "message": one.message,
        }
        for one in report.results
    ]
    return {
        "outcome": _outcome(report),
        "reason": report.reason,
        "message": HOLDS if report.satisfied else report.message,
        "claims_checked": False,
        "signatures": signatures,
    }


def _signatures_in(text: bytes) -> int:
    """How many there are to choose from; one where the text is no JWS, which is then told as such."""
    try:
        return len(json_forms.parse(text).signatures)
    except RejectedError:
        return 1


def _outcome(report: SignatureReport) -> str:
    return "accepted" if report.satisfied else "rejected"


def _policy(policy: str | None, signers: Sequence[str], hybrid: bool) -> SignaturePolicy | None:
    if policy is None and not signers and not hybrid:
        return None
    chosen = policy or "any"
    if not re.fullmatch(r"any|every|[1-9][0-9]?", chosen):
        raise RejectedError(Reason.REQUEST_MALFORMED, "--policy is any, every, or how many different signers must hold")
    at_least = int(chosen) if chosen.isdigit() else 1
    return SignaturePolicy(at_least=at_least, every=chosen == "every", signers=signers, hybrid=hybrid)


def _decide_compact(text: bytes, content: BinaryIO | None, proof: Proof, progress: Progress | None) -> SignatureReport:
    """As ``decide_signatures``, for the form that has one signature."""
    results: tuple[SignatureResult, ...] = ()
    payload = None
    try:
        header = compact.parse(text).header
        try:
            key, payload = _proven(text, content, proof.keys, progress)
            results = (SignatureResult(0, key.key_id, header, key, None, ""),)
        except RejectedError as error:
            results = (SignatureResult(0, header.key_id, header, None, error.reason, error.message),)
        (proof.policy or ANY_SIGNATURE).check(results)
    except RejectedError as error:
        return SignatureReport(False, error.reason, error.message, results)
    return SignatureReport(True, None, "", results, payload)


def _proven(
    text: bytes, content: BinaryIO | None, keys: Keys, progress: Progress | None
) -> tuple[VerificationKey, bytes | None]:
    if content is not None:
        return verify_stream(text, content, keys, progress=progress).key, None
    try:
        verified = verify_signature(text, keys)
    except RejectedError as error:
        if error.reason is Reason.SIGNATURE_INVALID and not compact.parse(text).payload_segment:
            message = "the token carries no payload: give its content with --content FILE"
            raise RejectedError(Reason.PAYLOAD_MISSING, message) from error
        raise
    return verified.key, verified.payload


def _decide(text: bytes, proof: Proof, content: Content | None, file: NewFile | None) -> SignatureReport:
    if content is None:
        return proof.decide(text)
    stream = content.stream if file is None else cast(BinaryIO, _Copying(content.stream, file))
    return proof.decide(text, stream, content.progress)


class _Copying:
    """A stream that is written to a file while it is read."""

    def __init__(self, stream: BinaryIO, file: NewFile) -> None:
        self._stream, self._file = stream, file

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._file.write(data)
        return data


def _print(report: SignatureReport, *, stderr: bool) -> None:
    if report.results:
        print_table(("INDEX", "KID", "ALG", "VERDICT", "REASON"), map(_row, report.results), stderr=stderr)
    console = Console(stderr=stderr, soft_wrap=True, highlight=False, markup=False)
    console.print(_outcome(report), style="bold green" if report.satisfied else "bold red", end="")
    console.print(f"  {HOLDS}" if report.satisfied else f"  {report.reason}: {report.message}")


def _row(one: SignatureResult) -> tuple[str, ...]:
    verdict = "holds" if one.verified else "does not hold"
    return str(one.index), printable(one.key_id), printable(one.algorithm), verdict, one.reason or "-"
