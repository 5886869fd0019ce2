"""Streams: the same signature however the bytes arrive, and memory that does not grow with the content."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.jose.algorithms import ALGORITHMS
from sealwright.jose.detached import MAXIMUM_UNHASHED_BYTES

PIECE = 3 * 64 * 1024  # what is encoded at a time
SAME_EVERY_TIME = ("HS256", "RS256", "Ed25519", "Ed448")  # the others sign with something random
MIB = 1 << 20


class Trickle(io.RawIOBase):
    """Hands out at most so many bytes at a time, as a pipe or a socket does."""

    def __init__(self, content: bytes, at_a_time: int = 1) -> None:
        self._content, self._at_a_time = io.BytesIO(content), at_a_time

    def read(self, size: int = -1, /) -> bytes:
        return self._content.read(min(size, self._at_a_time) if size >= 0 else self._at_a_time)


def public(signer: Any) -> Any:
    return signer.public if isinstance(signer, sw.PrivateJWK) else signer


@pytest.mark.parametrize("b64", [True, False])
@pytest.mark.parametrize("alg", list(ALGORITHMS))
def test_one_byte_at_a_time_gives_the_signature_of_the_whole(alg: str, b64: bool, signers: Any) -> None:
    signer, content = signers[alg], bytes(range(256)) * 3
    text = sw.sign_stream(Trickle(content), signer, b64=b64)
    whole = sw.sign(content, signer, b64=b64, detached=True)
    if alg in SAME_EVERY_TIME:
        assert text == whole
    assert sw.verify_signature(text, public(signer), payload=content).payload == content
    assert sw.verify_stream(whole, Trickle(content), public(signer)).key_id == signer.key_id


@pytest.mark.parametrize("b64", [True, False])
@pytest.mark.parametrize("size", [0, 1, 2, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 2])
def test_pieces_meet_without_a_seam(size: int, b64: bool, signers: Any) -> None:
    content, signer = os.urandom(size), signers["HS256"]
    whole = sw.sign(content, signer, b64=b64, detached=True)
    for stream in (io.BytesIO(content), Trickle(content, 4096), Trickle(content, PIECE - 1), Trickle(content)):
        assert sw.sign_stream(stream, signer, b64=b64) == whole


@given(content=st.binary(max_size=2000), at_a_time=st.integers(1, 700), b64=st.booleans(), cut=st.integers(1, 2000))
def test_how_the_bytes_arrive_changes_nothing_and_a_changed_end_is_refused(
    content: bytes, at_a_time: int, b64: bool, cut: int, signers: Any
) -> None:
    signer = signers["ES256"]
    text = sw.sign_stream(Trickle(content, at_a_time), signer, b64=b64)
    assert sw.verify_stream(text, io.BytesIO(content), signer.public).header.b64 is b64
    for other in (content + b"\0", content[:-cut] if content else b"x"):
        with pytest.raises(sw.RejectedError) as caught:
            sw.verify_stream(text, Trickle(other, at_a_time), signer.public)
        assert caught.value.reason == "signature.invalid"


def test_a_stream_is_read_once_to_its_end_and_its_progress_is_told(signers: Any) -> None:
    content, read = bytes(2 * PIECE + 5), []
    stream = io.BytesIO(content)
    text = sw.sign_general(content, [signers["ES256"], signers["ML-DSA-44"], signers["Ed25519"]], detached=True)
    keys = sw.JWKSet([signers[alg].public for alg in ("ES256", "ML-DSA-44", "Ed25519")])
    policy = sw.SignaturePolicy(at_least=3)
    report = sw.verify_signatures(text, keys, policy=policy, payload=stream, progress=read.append)
    assert (report.payload, stream.tell(), read) == (None, len(content), [PIECE, PIECE, 5])


def test_a_stream_is_read_from_where_it_stands(signers: Any) -> None:
    stream = io.BytesIO(b"head" + b"body")
    stream.seek(4)
    text = sw.sign_stream(stream, signers["ES256"])
    assert sw.verify_signature(text, signers["ES256"].public, payload=b"body").payload == b"body"


def test_a_pipe_that_does_not_wait_is_no_end_of_the_content(signers: Any) -> None:
    """Otherwise what has not arrived yet would be left out, and the beginning signed for the whole."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, b"the first half")
    with os.fdopen(reading, "rb", buffering=0) as stream, os.fdopen(writing, "wb"), pytest.raises(BlockingIOError):
        sw.sign_stream(stream, signers["ES256"])


def test_what_the_stream_raises_comes_out_as_it_is(signers: Any) -> None:
    stream = io.BytesIO(b"content")
    stream.close()
    with pytest.raises(ValueError, match="closed file"):
        sw.sign_stream(stream, signers["ES256"])


def test_content_is_asked_for_only_where_the_text_has_none(signers: Any, refused: Any) -> None:
    signer = signers["ES256"]
    refused("payload.given_twice", sw.verify_stream, sw.sign(b"x", signer), io.BytesIO(b"x"), signer.public)


@pytest.mark.parametrize("b64", [True, False])
@pytest.mark.parametrize("alg", ["Ed25519", "Ed448"])
def test_what_needs_the_bytes_twice_takes_sixteen_mebibytes_of_what_is_signed(
    alg: str, b64: bool, signers: Any, refused: Any
) -> None:
    signer = signers[alg]
    most = MAXIMUM_UNHASHED_BYTES // 4 * 3 if b64 else MAXIMUM_UNHASHED_BYTES
    text = sw.sign_stream(io.BytesIO(bytes(most)), signer, b64=b64)
    assert sw.verify_stream(text, io.BytesIO(bytes(most)), signer.public).key_id == signer.key_id
    longer = bytes(most + 1)
    refused("payload.not_streamable", sw.sign_stream, io.BytesIO(longer), signer, b64=b64)
    refused("payload.not_streamable", sw.verify_stream, text, io.BytesIO(longer), signer.public)


def test_too_much_content_for_one_signature_is_not_too_much_for_the_others(signers: Any) -> None:
    """Otherwise anybody on the way could make a large release fail, by adding a signature that names a known key."""
    content = bytes(MAXIMUM_UNHASHED_BYTES + 1)
    pair = [signers["ES256"], signers["Ed25519"]]
    text = sw.sign_general(content, pair, detached=True, b64=False)
    keys = sw.JWKSet([signer.public for signer in pair])
    policy = sw.SignaturePolicy(signers=[pair[0].key_id])
    report = sw.verify_signatures(text, keys, policy=policy, payload=content)
    assert [one.reason for one in report.results] == [None, "payload.not_streamable"]
    alone = sw.decide_signatures(text, keys, policy=sw.SignaturePolicy(signers=[pair[1].key_id]), payload=content)
    assert alone.reason == "signatures.signer_missing"


# Peak memory is a high-water mark: it is read once after a small file in every way, then after each large one. From
# /proc where that is, since getrusage of a new process begins with the peak of the process that started it.
CHILD = """
import json, os, resource, sys, tempfile
import sealwright as sw

def peak_kib():
    try:
        with open("/proc/self/status") as status:
            return int(next(line for line in status if line.startswith("VmHWM")).split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)

def many_that_need_it_twice(size):
    signer, content = sw.PrivateJWK.generate("Ed25519"), bytes(size)
    form = json.loads(sw.sign_general(content, [signer], detached=True, b64=False))
    text = json.dumps({"signatures": form["signatures"] * 32})
    before = peak_kib()
    sw.verify_signatures(text, signer.public, policy=sw.EVERY_SIGNATURE, payload=content)
    print("many", peak_kib() - before)

def there_and_back(signer, size, b64):
    with tempfile.TemporaryFile() as content:
        os.truncate(content.fileno(), size)
        text = sw.sign_stream(content, signer, b64=b64)
        content.seek(0)
        sw.verify_stream(text, content, getattr(signer, "public", signer))

ways, size = json.loads(sys.argv[1]), int(sys.argv[2])
if not ways:
    many_that_need_it_twice(size)
signers = {alg: (sw.SecretJWK if alg == "HS256" else sw.PrivateJWK).generate(alg) for alg, _ in ways}
for alg, b64 in ways:
    there_and_back(signers[alg], 1 << 20, b64)
before = peak_kib()
for alg, b64 in ways:
    there_and_back(signers[alg], size, b64)
    print(alg, b64, peak_kib() - before)
"""
EVERY_WAY = [(alg, b64) for alg in ("RS256", "PS256", "ES256", "HS256", "ML-DSA-44") for b64 in (True, False)]


def added_kib(ways: list[tuple[str, bool]], size: int, folder: Path) -> dict[str, int]:
    """What each way adds to the peak over that of a file of 1 MiB. The files are sparse."""
    command = [sys.executable, "-c", CHILD, json.dumps(ways), str(size)]
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("ways", "size"),
    [
        pytest.param(EVERY_WAY, 64 * MIB, id="every way, 64 MiB"),
        pytest.param([("ES256", False)], 1024 * MIB, id="one way, 1 GiB"),
        pytest.param(EVERY_WAY, 1024 * MIB, id="every way, 1 GiB", marks=pytest.mark.soak),
    ],
)
def test_a_large_file_adds_at_most_sixteen_mebibytes_to_the_peak(
    ways: list[tuple[str, bool]], size: int, tmp_path: Path
) -> None:
    added = added_kib(ways, size, tmp_path)
    assert len(added) == len(ways)
    assert max(added.values()) <= 16 * 1024, added


def test_signatures_that_need_the_bytes_twice_share_what_is_kept(tmp_path: Path) -> None:
    added = added_kib([], 16 * MIB, tmp_path)
    assert added["many"] <= 128 * 1024, added  # and not 32 times 16 MiB
