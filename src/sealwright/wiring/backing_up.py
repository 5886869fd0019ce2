"""Backup and restore: the catalog and the sealed keys in one file, which the key-encryption key vouches for."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Protocol, cast

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import Reason, RefusedError, RejectedError
from sealwright.jose import base64url, strict_json
from sealwright.jose.jwk_set import JWKSet
from sealwright.jose.verification import verify_signature
from sealwright.keys.audit import AuditEntry
from sealwright.keys.catalogs.sql_dump import Later, Line, dump, reading
from sealwright.keys.record import KeyRecord
from sealwright.keys.sealing import Sealer, SealError
from sealwright.keys.states import KeyState
from sealwright.settings import INTERNAL_ISSUER, ServiceSettings
from sealwright.statements.revoked_keys import TYP, parse_feed
from sealwright.wiring.data_folder import DataFolder, OwnedFolder
from sealwright.wiring.key_encryption import KeyEncryption
from sealwright.wiring.publishing import build_catalog, database_url

MANIFEST, CATALOG = "manifest.json", "catalog.jsonl"
_FORMAT, _BOUND_TO = 1, "sealwright backup"
_SEALED_NAME = re.compile(r"keys/([0-9a-f]{32}\.sealed|kek-check)")
_IN_MEMORY_BYTES = 64 * 1024 * 1024
_LARGEST_SMALL_FILE_BYTES = _PIECE_BYTES = 1024 * 1024


class Writable(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    keys: int
    revoked: int
    files: int


def write_backup(settings: ServiceSettings, folder: DataFolder, out: Writable) -> int:
    """Write a backup of one instant; the service may run meanwhile. How many bytes the catalog has in it.

    The key-encryption key is not in it: keep that elsewhere.
    """
    sealer = KeyEncryption(settings, folder, create=False).sealer
    with SpooledTemporaryFile(_IN_MEMORY_BYTES) as rows, _writing(out) as tar:
        with reading(database_url(settings, folder)) as connection:
            for line in dump(connection):
                rows.write(json.dumps(line).encode() + b"\n")
        digests = {CATALOG: _add(tar, CATALOG, rows)}
        for path in sorted((settings.keys_folder or folder.keys).glob("[!.]*")):
            name = f"keys/{path.name}"
            if _SEALED_NAME.fullmatch(name):
                digests[name] = _add(tar, name, io.BytesIO(path.read_bytes()))
        sealed = base64url.encode_text(sealer.seal(strict_json.encode_object(digests), _BOUND_TO))
        manifest = {"format": _FORMAT, "at": int(SYSTEM_CLOCK.now()), "sealed_digests": sealed}
        _add(tar, MANIFEST, io.BytesIO(json.dumps(manifest).encode()))
        return rows.tell()


def _writing(out: Writable) -> tarfile.TarFile:
    return tarfile.open(fileobj=cast(IO[bytes], out), mode="w|gz")  # a stream: nothing but write() is called


def restore_backup(
    settings: ServiceSettings,
    owned: OwnedFolder,
    file: Path,
    *,
    feeds: Sequence[bytes],
    force: bool,
    actor: str,
    reason: str,
) -> Restored:
    """Merge a backup into what is here, or into nothing.

    Raises RefusedError ``backup.*`` or ``guard.later_revocations``, or RejectedError for a feed that does not verify;
    then nothing was changed.
    """
    encryption = KeyEncryption(settings, owned.folder, create=False)
    with _opened(file, encryption.sealer) as tar:
        later = _later(tar, feeds) if feeds else Later({}, 0) if force else None
        facts = {"forced": ["guard.later_revocations"] if force and not feeds else [], "feeds": len(feeds)}
        catalog = build_catalog(settings, owned.folder)
        try:
            now = SYSTEM_CLOCK.now()
            entry = AuditEntry(now, actor, "catalog.restored", INTERNAL_ISSUER, None, reason, facts)
            records = catalog.restore(_lines(tar), later, entry)
        finally:
            catalog.close()
        files = _restore_files(tar, settings.keys_folder or owned.folder.keys, records)
    revoked = sum(record.state is KeyState.REVOKED for record in records)
    return Restored(len(records), revoked, files)


def _later(tar: tarfile.TarFile, feeds: Iterable[bytes]) -> Later:
    """What the feeds say, each signed by a trust root that the backup knows."""
    rows = (line["row"] for line in _lines(tar) if line["table"] == "keys")
    roots = [json.loads(row["public"]) for row in rows if row["purpose"] == "trust-root" and row["public"]]
    keys, revoked, version = JWKSet.from_dict({"keys": roots}), dict[str, float](), 0
    tokens = set[tuple[str, str]]()
    for feed in feeds:
        jws = verify_signature(feed.strip(), keys)
        if jws.header.type != TYP:
            raise RejectedError(Reason.HEADER_TYPE, "this is no feed of revoked keys")
        said = parse_feed(jws.json())
        version = max(version, said.sequence)
        revoked.update({key.key_id: key.revoked_at for key in said.revoked})
        tokens |= {(said.issuer.rpartition("/")[2], digest) for digest in said.tokens}
    return Later(revoked, version, tokens)


@contextmanager
def _opened(file: Path, sealer: Sealer) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(file, "r:gz") as tar:
            _check(tar, sealer)
            yield tar
    except (OSError, tarfile.TarError, EOFError, KeyError, ValueError) as error:
        raise _malformed("the file cannot be read as a backup") from error


def _check(tar: tarfile.TarFile, sealer: Sealer) -> None:
    """Every file is the one that was written, and whoever wrote it had the key-encryption key."""
    manifest = strict_json.parse_object(_read(tar, MANIFEST, _LARGEST_SMALL_FILE_BYTES))
    if manifest.get("format") != _FORMAT:
        raise _malformed("the backup is of another format than this version reads")
    try:
        sealed = base64url.decode_text(str(manifest.get("sealed_digests")))
        digests = strict_json.parse_object(sealer.unseal(sealed, _BOUND_TO))
    except (SealError, RejectedError) as error:
        raise _malformed("the backup was changed, or made with another key-encryption key") from error
    names = [member.name for member in tar.getmembers() if member.name != MANIFEST]
    for name in names:
        if _digest(tar, name) != digests.get(name):
            raise _malformed("a file in the backup is not the one that was written")
    if set(names) != digests.keys() or len(names) != len(digests):
        raise _malformed("files are missing from the backup")


def _digest(tar: tarfile.TarFile, name: str) -> str:
    digest, stream = hashlib.sha256(), tar.extractfile(name)
    while stream is not None and (data := stream.read(_PIECE_BYTES)):
        digest.update(data)
    return digest.hexdigest()


def _lines(tar: tarfile.TarFile) -> Iterator[Line]:
    stream = tar.extractfile(CATALOG)
    assert stream is not None
    with stream:
        for text in stream:
            yield json.loads(text)


def _restore_files(tar: tarfile.TarFile, folder: Path, records: Iterable[KeyRecord]) -> int:
    """Only those of keys that may still sign some day: what was destroyed stays destroyed."""
    gone = {r.handle for r in records if r.state in (KeyState.REVOKED, KeyState.DESTROYED) or r.destroyed_at}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    restored = 0
    for name in (member.name for member in tar.getmembers() if _SEALED_NAME.fullmatch(member.name)):
        path = folder / name.removeprefix("keys/")
        if path.stem not in gone and not path.exists():
            data = _read(tar, name, _LARGEST_SMALL_FILE_BYTES)
            part = path.with_name(f".{path.name}.restoring")
            part.write_bytes(data)
            part.chmod(0o600)
            part.replace(path)
            restored += path.suffix == ".sealed"
    return restored


def _read(tar: tarfile.TarFile, name: str, limit: int) -> bytes:
    stream = tar.extractfile(name)
    data = stream.read(limit + 1) if stream is not None else b""
    if not data or len(data) > limit:
        raise _malformed("a file in the backup is empty or too large")
    return data


def _add(tar: tarfile.TarFile, name: str, data: IO[bytes]) -> str:
    member = tarfile.TarInfo(name)
    member.size = data.seek(0, io.SEEK_END)
    member.mode, member.mtime = 0o600, int(SYSTEM_CLOCK.now())
    data.seek(0)
    digest = hashlib.sha256()
    tar.addfile(member, _Hashed(data, digest))  # type: ignore[arg-type]
    return digest.hexdigest()


class _Hashed:
    """A file whose bytes are hashed as they are read."""

    def __init__(self, data: IO[bytes], digest: Any) -> None:
        self._data = data
        self._digest = digest

    def read(self, size: int) -> bytes:
        data = self._data.read(size)
        self._digest.update(data)
        return data


def _malformed(message: str) -> RefusedError:
    return RefusedError(Reason.BACKUP_MALFORMED, message)
