"""Detached content of any size, signed and verified from a stream in bounded memory (RFC 7515 Appendix F, RFC 7797)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url, compact, header
from sealwright.jose.header import Header
from sealwright.jose.primitives import Hasher
from sealwright.jose.signing import Signer
from sealwright.jose.verification import Keys, VerificationKey, check_algorithm, select_key

MAXIMUM_UNHASHED_BYTES = 16 * 1024 * 1024
_PIECE_BYTES = 3 * 64 * 1024  # a multiple of three: pieces are encoded by themselves
Progress = Callable[[int], None]  # told the bytes of content that were read since the last call


class DigestSigner(Signer, Protocol):
    """A Signer that can sign what its ``hasher`` has hashed; that is None where the bytes are needed twice."""

    def hasher(self) -> Hasher | None: ...

    def sign_digest(self, digest: bytes, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class VerifiedStream:
    """A stream whose signature was proven with ``key``."""

    header: Header
    key: VerificationKey

    @property
    def key_id(self) -> str | None:
        return self.key.key_id


def sign_stream(
    content: BinaryIO,
    signer: DigestSigner,
    *,
    typ: str | None = None,
    b64: bool = True,
    progress: Progress | None = None,
) -> str:
    """A compact JWS with detached content, read to its end once.

    Raises RejectedError ``payload.not_streamable`` for more than 16 MiB with Ed25519 or Ed448, and OSError as the
    stream does.
    """
    protected = header.encode(signer.algorithm.name, signer.key_id, typ, b64)
    hasher = signer.hasher()
    if hasher is None:
        kept = _Kept(alone=True)
        _feed(content, [kept], b64, progress)
        signature = signer.sign(protected + b"." + kept.finalize())
    else:
        hasher.update(protected + b".")
        _feed(content, [hasher], b64, progress)
        signature = signer.sign_digest(hasher.finalize())
    return (protected + b".." + base64url.encode(signature)).decode("ascii")


def verify_stream(
    token: str | bytes, content: BinaryIO, keys: Keys, *, progress: Progress | None = None
) -> VerifiedStream:
    """Prove a compact JWS over content read from a stream to its end once. Raises as ``verify_signature``.

    Nothing of the content is to be used before this returns.
    """
    unverified = compact.parse(token)
    if unverified.payload_segment:
        raise RejectedError(Reason.PAYLOAD_GIVEN_TWICE, "the token carries its payload: give it none")
    key = select_key(unverified.header.key_id, keys)
    check_algorithm(unverified.header, key)
    signed = StreamSignature(unverified.header, key, unverified.signature)
    fault = check_stream(content, [signed], unverified.header.b64, progress)[0]
    if fault is not None:
        raise fault
    return VerifiedStream(unverified.header, key)


@dataclass(frozen=True, slots=True)
class StreamSignature:
    """One signature over the content; its header and the key that is to have made it."""

    header: Header
    key: VerificationKey
    signature: bytes


def check_stream(
    content: BinaryIO, signatures: Sequence[StreamSignature], b64: bool, progress: Progress | None = None
) -> list[RejectedError | None]:
    """Why each of several signatures over the same content does not hold, None where it does; it is read once.

    Raises RejectedError ``payload.not_streamable`` when that is so of all, without reading on.
    """
    hashers = [one.key.hasher() for one in signatures]
    sinks = [hasher for hasher in hashers if hasher is not None]
    kept = _Kept(alone=not sinks)
    for one, hasher in zip(signatures, hashers, strict=True):
        if hasher is not None:
            hasher.update(one.header.segment + b".")
    _feed(content, sinks if len(sinks) == len(signatures) else [*sinks, kept], b64, progress)
    return [_fault(one, hasher, kept) for one, hasher in zip(signatures, hashers, strict=True)]


def _fault(one: StreamSignature, hasher: Hasher | None, kept: _Kept) -> RejectedError | None:
    if hasher is not None:
        holds = one.key.verify_digest(one.signature, hasher.finalize())
    elif kept.fault is not None:
        return kept.fault
    else:
        holds = one.key.verify(one.signature, one.header.segment + b"." + kept.finalize())
    return None if holds else RejectedError(Reason.SIGNATURE_INVALID, "the signature does not match")


class _Kept:
    """The content for algorithms that must see it twice, kept once for all of them; raises too much only ``alone``."""

    def __init__(self, *, alone: bool) -> None:
        self._data, self._alone = bytearray(), alone
        self.fault: RejectedError | None = None

    def update(self, data: bytes, /) -> None:
        if self.fault is not None:
            return
        if len(self._data) + len(data) <= MAXIMUM_UNHASHED_BYTES:
            self._data += data
            return
        message = f"this key's algorithm cannot sign more than {MAXIMUM_UNHASHED_BYTES >> 20} MiB of content"
        self.fault = RejectedError(Reason.PAYLOAD_NOT_STREAMABLE, f"{message}: sign a manifest of digests instead")
        self._data.clear()
        if self._alone:
            raise self.fault

    def finalize(self) -> bytes:
        return bytes(self._data)


def _feed(content: BinaryIO, sinks: Sequence[Hasher], b64: bool, progress: Progress | None) -> None:
    for piece in _pieces(content):
        encoded = base64url.encode(piece) if b64 else piece
        for sink in sinks:
            sink.update(encoded)
        if progress is not None:
            progress(len(piece))


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    """Pieces of one size, whatever a pipe hands out at a time; only the last is shorter."""
    kept = bytearray()
    while data := content.read(_PIECE_BYTES - len(kept)):
        kept += data
        if len(kept) == _PIECE_BYTES:
            yield bytes(kept)
            kept.clear()
    if data is None:  # a pipe that does not wait: what follows would be left out of the signature
        raise BlockingIOError("the stream has not ended, and has no bytes for now")
    if kept:
        yield bytes(kept)
