"""sealwright audit verify: prove that nothing was taken out of the trail or changed, and name the first break."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sealwright.cli.audit_entries import ArchivedTrail, ExportedTrail, LiveTrail, Trail
from sealwright.cli.calls import TrailCalls
from sealwright.cli.options import Home, Json, leave_out, print_json, read_bytes
from sealwright.cli.progress import counted
from sealwright.cli.session import open_calls
from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.jwk_set import JWKSet
from sealwright.keys.audit_proof import AuditProof, Proven
from sealwright.keys.audit_statements import TYPES

File = Annotated[
    Path | None, typer.Option("--file", help="An export instead of the service; needs --trust-root.", dir_okay=False)
]
TrustRoot = Annotated[
    str | None, typer.Option("--trust-root", help="A JWK Set kept elsewhere, instead of the keys in the catalog.")
]
Checkpoint = Annotated[
    list[str] | None, typer.Option("--checkpoint", help="A checkpoint kept elsewhere, which must still hold.")
]
Archive = Annotated[
    Path | None, typer.Option("--archive", help="The folder of archived segments, proven as well.", file_okay=False)
]


def verify(
    file: File = None,
    trust_root: TrustRoot = None,
    checkpoint: Checkpoint = None,
    archive: Archive = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Prove every chain and every checkpoint, and that what they name is there. Exit code 1 names the first break."""
    pinned = Roots(strict_json.parse_object(read_bytes(trust_root))) if trust_root else None
    if file is not None:
        leave_out("an export is proven without a service", home=home, archive=archive)
        if pinned is None:
            raise RejectedError(
                Reason.REQUEST_MALFORMED, "an export is proven against keys kept elsewhere: --trust-root"
            )
        proven = _proven(ExportedTrail(file), pinned.proof(), checkpoint or [])
    else:
        with open_calls(home) as calls:
            proven = prove(calls.trail, archive=archive, roots=pinned, checkpoints=checkpoint or [])
    _show(proven, as_json)


def prove(
    trail: TrailCalls,
    *,
    archive: Path | None = None,
    roots: Roots | None = None,
    checkpoints: list[str] | None = None,
) -> Proven:
    """Prove what a catalog holds, and its archive. Raises RejectedError ``audit.broken``."""
    proof = (roots or Roots(trail.trust_roots())).proof()
    live = LiveTrail(trail)
    proven = _proven(ArchivedTrail(archive, live) if archive else live, proof, checkpoints or [], live.count())
    if archive is not None:
        _check_files(archive, proof.files)
    return proven


def _proven(trail: Trail, proof: AuditProof, checkpoints: list[str], total: int | None = None) -> Proven:
    for kept in checkpoints:
        proof.learn_checkpoint(read_bytes(kept).decode("ascii", "replace").strip())
    for action in TYPES:
        for entry in trail.entries(action):
            proof.learn(entry)
    for entry in counted(trail.entries(), total):
        proof.check(entry)
    return proof.finish()


def _check_files(folder: Path, files: dict[str, str]) -> None:
    for name, expected in sorted(files.items()):
        path = folder / Path(name).name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise RejectedError(Reason.AUDIT_BROKEN, f"the archived segment {path} cannot be read") from error
        if found != expected:
            raise RejectedError(Reason.AUDIT_BROKEN, f"the archived segment {path} is not the file that was archived")


@dataclass(frozen=True, slots=True)
class Roots:
    """A page of trust roots: a JWK Set with a member ``revoked``. One that was kept elsewhere is believed whole, since
    somebody who owns the catalog could call every root revoked.
    """

    page: Mapping[str, Any]

    def proof(self) -> AuditProof:
        """Raises RejectedError ``key.malformed``."""
        return AuditProof(JWKSet.from_dict(self.page), frozenset(map(str, self.page.get("revoked", ()))))


def _show(proven: Proven, as_json: bool) -> None:
    if as_json:
        print_json({"unbroken": True, **_facts(proven)})
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print("[bold green]unbroken[/]", f" {proven.entries} entries, {proven.checkpoints} checkpoints")
    for head in proven.heads:
        archived = proven.archived.get(head.writer)
        note = f"   (entries 1 to {archived} are archived: prove them with --archive)" if archived else ""
        console.print(f"  {head.writer}: up to {head.sequence}, digest {head.digest}{note}", markup=False)
    if proven.void:
        console.print(f"{proven.void} statements do not count: their trust root was revoked", markup=False)


def _facts(proven: Proven) -> dict[str, Any]:
    chains = [{**asdict(head), "archived": proven.archived.get(head.writer, 0)} for head in proven.heads]
    return {"entries": proven.entries, "checkpoints": proven.checkpoints, "void": proven.void, "chains": chains}
