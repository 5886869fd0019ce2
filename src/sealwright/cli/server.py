"""What sealwright up does: listen, own the data folder, serve, say where, and stop in order."""

from __future__ import annotations

import contextlib
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import uvicorn
from rich.console import Console

from sealwright.errors import ConfigurationError, Reason
from sealwright.services.key_service.operations import KeyOperations
from sealwright.services.key_service.operator_credential import OperatorCredential
from sealwright.services.together import build_app
from sealwright.settings import ServiceSettings
from sealwright.wiring.data_folder import DataFolder, OwnedFolder
from sealwright.wiring.observing import log_config
from sealwright.wiring.single_process import SingleProcess, open_single_process


def serve(settings: ServiceSettings) -> None:
    """Listen, own the data folder, and serve until told to stop. Raises ConfigurationError."""
    with _listening(settings) as listener, OwnedFolder(settings.home) as owned:
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        with _log_stream(owned.folder) as logs, open_single_process(settings, owned, logs=logs) as process:
            _serve(process, owned, listener)
    Console().print("stopped; the next start finds the same keys")


@contextlib.contextmanager
def _log_stream(folder: DataFolder) -> Iterator[TextIO]:
    """Standard error for whoever collects it; a file when a person watches, who wants to read the banner."""
    if not sys.stderr.isatty():
        yield sys.stderr
        return
    with folder.open_log() as file:
        yield file


def _serve(process: SingleProcess, owned: OwnedFolder, listener: socket.socket) -> None:
    operations = KeyOperations(process, "sealwright")
    credential = _credential(operations, owned.folder)
    credential.renew()
    owned.note_service(_local_url(process.settings), process.settings.at_url())
    app = build_app(process, operations, lifespan=credential.lifespan())
    config = uvicorn.Config(app, log_config=log_config(), server_header=False, timeout_graceful_shutdown=10)
    server = _AnnouncingServer(config, lambda: _print_banner(process.settings, owned.folder))
    # uvicorn shuts down in order and then raises the signal again: both kinds of stop are clean ones.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _credential(operations: KeyOperations, folder: DataFolder) -> OperatorCredential:
    def write(text: str) -> None:
        folder.write_private(folder.operator_credential, text)

    return OperatorCredential(operations, write)


class _AnnouncingServer(uvicorn.Server):
    """Says where it listens, once it does."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._announce()


@contextlib.contextmanager
def _listening(settings: ServiceSettings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigurationError(
                Reason.SETTINGS_PORT_IN_USE,
                f"cannot listen on {settings.host}:{settings.port} ({error.strerror}): "
                "stop what uses the port, or choose another with PORT or --port",
            ) from error
        yield listener


def _local_url(settings: ServiceSettings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def _print_banner(settings: ServiceSettings, folder: DataFolder) -> None:
    base = settings.at_url()
    command = shlex.quote(str(Path(sys.argv[0]).absolute()))
    option = f"--home {shlex.quote(str(folder.home.absolute()))}"
    console = Console(highlight=False, markup=True, soft_wrap=True)
    console.print(f"""
[bold green]Sealwright is up[/] at [bold]{_local_url(settings)}[/]   (Ctrl-C stops it)

  issuer      {base}/issuers/default
  JWKS        {base}/.well-known/jwks.json
  discovery   {base}/.well-known/openid-configuration
  API         {base}/openapi.json
  metrics     {base}/metrics
  data        {folder.home.absolute()}
  log         {folder.log.absolute() if sys.stderr.isatty() else "standard error"}
  credential  {folder.operator_credential.absolute()}   (operator, renewed while this runs)

Paste these into another terminal:
""")
    console.print(
        f"""  TOKEN=$({command} sign {option} --audience orders --claims '{{"sub":"alice"}}')
  {command} jwks show {option}
  echo "$TOKEN" | {command} verify {option} --audience orders
""",
        markup=False,
    )
    sys.stdout.flush()
