"""What sealwright up does: listen, own the data folder, serve, say where, and stop in order."""

from __future__ import annotations

import contextlib
import shlex
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import uvicorn
from rich.console import Console

from sealwright.cli.options import print_json
from sealwright.services.key_service.operations import KeyOperations
from sealwright.services.key_service.operator_credential import OperatorCredential
from sealwright.services.listening import listening
from sealwright.services.tls import ListenerTls, listener_tls
from sealwright.services.together import Lifespan, build_app
from sealwright.settings import DEFAULT_ISSUER, ServiceSettings
from sealwright.wiring.counting_fleet import count_fleet
from sealwright.wiring.data_folder import DataFolder, OwnedFolder
from sealwright.wiring.observing import log_config
from sealwright.wiring.replica_upkeep import ReplicaUpkeep
from sealwright.wiring.scheduling import build_scheduler
from sealwright.wiring.single_process import SingleProcess
from sealwright.wiring.starting import open_single_process


def serve(settings: ServiceSettings, *, as_json: bool) -> None:
    """Listen, own the data folder, and serve until told to stop. Raises ConfigurationError."""
    tls = listener_tls(settings)
    with (
        listening(settings.host, settings.port, setting="PORT or --port") as listener,
        OwnedFolder(settings.home) as owned,
    ):
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        with _log_stream(owned.folder) as logs, open_single_process(settings, owned, logs=logs) as process:
            _serve(process, owned, listener, tls, as_json)
    if not as_json:
        Console().print("stopped; the next start finds the same keys")


@contextlib.contextmanager
def _log_stream(folder: DataFolder) -> Iterator[TextIO]:
    """Standard error for whoever collects it; a file when a person watches, who wants to read the banner."""
    if not sys.stderr.isatty():
        yield sys.stderr
        return
    with folder.open_log() as file:
        yield file


def _serve(
    process: SingleProcess, owned: OwnedFolder, listener: socket.socket, tls: ListenerTls | None, as_json: bool
) -> None:
    operations = KeyOperations(process, "sealwright")
    credential = _credential(operations, owned.folder)
    credential.renew()
    _note_certificate(owned, tls)
    owned.note_service(process.settings.local_url(), process.settings.at_url())
    app = build_app(process, operations, lifespan=_lifespan(process, credential, owned, tls))
    secured: dict[str, Any] = {"ssl_context_factory": lambda *_: tls.context} if tls else {}
    config = uvicorn.Config(app, log_config=log_config(), server_header=False, timeout_graceful_shutdown=10, **secured)
    server = _AnnouncingServer(config, lambda: _announce(process, owned.folder, as_json), process)
    # uvicorn shuts down in order and then raises the signal again: both kinds of stop are clean ones.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scheduler = build_scheduler(process.settings, process.signing)
    upkeep = ReplicaUpkeep(process.signing, count_fleet=partial(count_fleet, process))
    with (
        contextlib.closing(scheduler.start()),
        contextlib.closing(upkeep.start()),
        contextlib.suppress(KeyboardInterrupt),
    ):
        server.run(sockets=[listener])


def _note_certificate(owned: OwnedFolder, tls: ListenerTls | None) -> None:
    if tls is None:
        owned.folder.certificate_note.unlink(missing_ok=True)  # of a service with TLS that was killed
    else:
        owned.note_certificate(tls.fingerprint)


def _lifespan(
    process: SingleProcess, credential: OperatorCredential, owned: OwnedFolder, tls: ListenerTls | None
) -> Lifespan:
    """What goes on beside the answering: credential and certificate are kept current."""

    @contextlib.asynccontextmanager
    async def running(app: Any) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(credential.lifespan()(app))
            if tls is not None:
                note = partial(_note_certificate, owned, tls)
                await stack.enter_async_context(tls.watched(note, process.observing.observer))
            yield

    return running


def _credential(operations: KeyOperations, folder: DataFolder) -> OperatorCredential:
    def write(text: str) -> None:
        folder.write_private(folder.operator_credential, text)

    return OperatorCredential(operations, write)


class _AnnouncingServer(uvicorn.Server):
    """Says where it listens, once it does; and that it stops, to polls that would go on waiting."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None], process: SingleProcess) -> None:
        super().__init__(config)
        self._announce = announce
        self._process = process

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._process.stopping = True
        await super().shutdown(sockets=sockets)


def _announce(process: SingleProcess, folder: DataFolder, as_json: bool) -> None:
    settings, plan = process.settings, process.own_plan()
    base = settings.at_url()
    facts = {
        "url": settings.local_url(),
        "issuer": f"{base}/issuers/{DEFAULT_ISSUER}",
        "JWKS": f"{base}/.well-known/jwks.json",
        "discovery": f"{base}/.well-known/openid-configuration",
        "API": f"{base}/openapi.json",
        "metrics": f"{base}/metrics",
        "data": str(folder.home.absolute()),
        "log": str(folder.log.absolute()) if sys.stderr.isatty() else "standard error",
        "credential": str(folder.operator_credential.absolute()),
    }
    if plan is not None:
        same = "as in" if plan.in_sync else "differ (sealwright config plan) from"
        facts["policies"] = f"{same} {settings.config}"
    if as_json:
        print_json({name.lower(): value for name, value in facts.items()})
    else:
        _print_banner(facts)
    sys.stdout.flush()


def _print_banner(facts: Mapping[str, str]) -> None:
    command = shlex.quote(str(Path(sys.argv[0]).absolute()))
    option = f"--home {shlex.quote(facts['data'])}"
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n[bold green]Sealwright is up[/] at [bold]{facts['url']}[/]   (Ctrl-C stops it)\n")
    for name, value in list(facts.items())[1:]:
        note = "   (operator, mode 0600, renewed while this runs)" if name == "credential" else ""
        console.print(f"  {name:<12}{value}{note}", markup=False)
    console.print("\nPaste these into another terminal:\n")
    for line in (
        f"""TOKEN=$({command} sign {option} --audience orders --claims '{{"sub":"alice"}}')""",
        f"{command} jwks show {option}",
        f"""echo "$TOKEN" | {command} verify {option} --audience orders""",
    ):
        console.print(f"  {line}", markup=False)
    console.print()
