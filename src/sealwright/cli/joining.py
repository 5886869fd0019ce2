"""sealwright fleet join: a new folder with everything that a verifying sidecar needs."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sealwright.cli.fleet import say, seconds
from sealwright.cli.key_files import write_private
from sealwright.cli.options import DEFAULT, Home, Json, print_json, read_bytes
from sealwright.cli.session import open_service
from sealwright.cli.verifier_text import KeyService, verifier_text
from sealwright.client import KeyServiceClient
from sealwright.config.verifier_file import check_file
from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.settings import ClientSettings

FILE, ROOT, CREDENTIAL, CA = "verifier.toml", "trust-root.jwks.json", "verifier.credential", "ca.pem"


def join(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the fleet calls the verifier.", show_default=False)],
    audience: Annotated[list[str], typer.Option("--audience", help="Who its tokens are for; may be repeated.")],
    issuer: Annotated[list[str], typer.Option("--issuer", "-i", help="Whose tokens; may be repeated.")] = [DEFAULT],  # noqa: B006
    out: Annotated[
        Path | None, typer.Option("--out", help="A new folder, for its owner alone.", show_default="./NAME")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write what a verifying sidecar needs: verifier.toml, the trust root to pin, and a credential for its poll."""
    folder = out or Path(name)
    service = open_service(home)
    with _new_folder(folder) as made:
        issuers = {one: str(service.discovery(one)["issuer"]) for one in issuer}
        _write(made, service, name, audience, issuers, folder)
        issued = service.access.issue(name, roles=["verifier"], issuers=list(issuers))
        write_private(made / CREDENTIAL, f"{issued['token']}\n".encode())
    answer = _answer(name, folder, list(issuers.values()), issued)
    if as_json:
        print_json(answer)
    else:
        _print(answer)


def _write(
    made: Path, service: KeyServiceClient, name: str, audience: Sequence[str], issuers: dict[str, str], folder: Path
) -> None:
    """All but the credential. Raises ConfigurationError for a verifier.toml that the sidecar would refuse."""
    write_private(made / ROOT, json.dumps(service.trust_root(), indent=2).encode() + b"\n")
    ca_file = ClientSettings.load().ca_file
    if ca_file is not None:
        write_private(made / CA, read_bytes(str(ca_file)))
    first, url = next(iter(issuers.items()))
    public_url = url.removesuffix(f"/issuers/{first}")
    polled = KeyService(name, public_url, ROOT, CREDENTIAL, None if ca_file is None else CA)
    write_private(made / FILE, verifier_text(polled, list(issuers.values()), list(audience)).encode())
    faults = check_file(made / FILE).faults
    if faults:
        told = "; ".join(f"{'.'.join(one.key)}: {one.message}" for one in faults)
        raise ConfigurationError(Reason.SETTINGS_INVALID, f"{folder / FILE} would not do: {told}")


@contextlib.contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """A folder beside its place, put there whole at the end. Raises RejectedError ``request.malformed``."""
    if path.exists() or path.is_symlink():
        raise RejectedError(Reason.REQUEST_MALFORMED, f"{path} exists already: name a new folder with --out")
    try:
        made = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield made
        made.rename(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _unwritable(path: Path, error: OSError) -> RejectedError:
    return RejectedError(Reason.REQUEST_MALFORMED, f"cannot write {path}: {error.strerror}")


def _answer(name: str, folder: Path, issuers: Sequence[str], issued: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "folder": str(folder),
        "issuers": issuers,
        "start": f"sealwright-verifier --config {shlex.quote(str(folder / FILE))}",
        "credential_expires_in": issued["expires_in"],
    }


def _print(answer: dict[str, Any]) -> None:
    file = Path(answer["folder"]) / CREDENTIAL
    say(f"{answer['folder']} has what the verifier {answer['name']} needs. Start it, here or where you move it:\n")
    say(f"    {answer['start']}\n")
    say(
        f"It must start within {seconds(answer['credential_expires_in'])}, and then renews its credential while it "
        "runs. If it was down for longer, put a new one into its place:\n"
    )
    issuers = " ".join(f"--issuer {one.rpartition('/')[2]}" for one in answer["issuers"])
    new = file.with_suffix(".new")
    say(f"    sealwright credentials issue --subject {answer['name']} --role verifier {issuers} --out {new}")
    say(f"    mv {new} {file}")
