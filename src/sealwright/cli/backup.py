"""sealwright backup and restore: everything in one file, and back without a revoked key or a lower sequence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sealwright.cli.options import Force, Home, Json, Why, print_json, read_bytes
from sealwright.cli.output import new_file
from sealwright.cli.session import actor
from sealwright.errors import Reason, RejectedError
from sealwright.settings import ServiceSettings
from sealwright.wiring.data_folder import DataFolder, OwnedFolder

_FEED = typer.Option(
    "--feed", help="The latest feed of revoked keys of an issuer (/issuers/NAME/.well-known/revoked-keys)."
)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; never over an existing file.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write the catalog and the sealed local keys to one file, while the service runs or not.

    The key-encryption key is not in it: keep a copy of it in another place.
    """
    settings = ServiceSettings.load(home=home)
    from sealwright.wiring.backing_up import write_backup  # only this verb and the next need it

    if file.exists():
        raise RejectedError(Reason.REQUEST_MALFORMED, f"{file} exists already: a backup is never written over")
    with new_file(file) as out:
        assert out is not None
        size = write_backup(settings, DataFolder(settings.home), out)
        out.keep()
    if as_json:
        print_json({"file": str(file), "catalog_bytes": size})
    else:
        Console(highlight=False, soft_wrap=True).print(f"wrote {file}; keep the key-encryption key in another place")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    feed: Annotated[list[str] | None, _FEED] = None,
    force: Force = False,
    reason: Why = "routine",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Merge a backup into the data folder while no service runs: what is here and later stays.

    A key that was revoked after the backup must not come back: where nothing is here any more, a feed says which ones,
    or --force with a --reason says that there is none.
    """
    settings = ServiceSettings.load(home=home)
    from sealwright.keys.guards import check_reason
    from sealwright.wiring.backing_up import restore_backup

    if force:
        check_reason(reason)
    feeds = [read_bytes(source) for source in feed or ()]
    with OwnedFolder(settings.home) as owned:
        done = restore_backup(settings, owned, file, feeds=feeds, force=force, actor=actor(), reason=reason)
    if as_json:
        print_json({"keys": done.keys, "revoked": done.revoked, "files": done.files})
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{done.keys} keys are here now, {done.revoked} of them revoked; {done.files} sealed keys came back")
