"""sealwright-verifier: decides over tokens, holds no keys and no driver that could reach any."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from socket import AF_UNIX, socket

from sealwright.config.verifier_file import check_file, schema
from sealwright.config.verifier_tables import ListenTable, VerifierFile
from sealwright.errors import ConfigurationError, Reason, SealwrightError
from sealwright.services.listening import listening, listening_at
from sealwright.services.verifier_service.figures import Place
from sealwright.services.verifier_service.http_server import server_config
from sealwright.services.verifier_service.live import Live
from sealwright.services.verifier_service.workers import EXIT_WRONG, Workers, serve_alone, stop_in_order
from sealwright.settings import VerifierSettings
from sealwright.wiring.observing import build_observing
from sealwright.wiring.verifying import build_verifying, read_settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to stop, or check a file. Exits with 6 when the settings are wrong."""
    given = _parser().parse_args(arguments)
    if given.schema:
        sys.stdout.write(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
        return
    try:
        settings = VerifierSettings.load(config=given.config)
        sys.exit(check(settings) if given.check else serve(settings))
    except SealwrightError as error:
        sys.stderr.write(f"sealwright-verifier: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:  # told to stop before it served
        sys.exit(0)


def check(settings: VerifierSettings) -> int:
    """Print every fault with its place; then, without any, build what would run. No keys are fetched."""
    if settings.config is not None:
        read = check_file(settings.config)
        sys.stdout.writelines(f"{read.written(fault)}\n" for fault in read.faults)
        if any(not fault.warning for fault in read.faults):
            return EXIT_WRONG
    sys.stdout.write(f"valid: {', '.join(_tried(settings)[0].issuers)}\n")
    return 0


def serve(settings: VerifierSettings) -> int:
    """The exit code of an orderly stop. Raises ConfigurationError ``settings.*`` before it listens."""
    stop_in_order()
    file, folder = read_settings(settings)
    with ExitStack() as stack:
        sockets = _listen(file.service, folder, stack)
        if file.service.workers == 1:
            serve_alone(server_config(partial(Live, settings), 1), sockets)
            return 0
        _tried(settings)
        return _serve_together(settings, file.service, sockets, stack)


def _serve_together(settings: VerifierSettings, table: ListenTable, sockets: list[socket], stack: ExitStack) -> int:
    count, private = table.workers, Path(stack.enter_context(_private_folder()))
    workers = Workers(
        lambda number: server_config(partial(Live, settings, Place(number, count, private)), count),
        count,
        table.drain,
        sockets,
        build_observing((), logs=sys.stderr).observer,
    )
    workers.run()
    return workers.exit_code


def _listen(table: ListenTable, folder: Path, stack: ExitStack) -> list[socket]:
    sockets = []
    if table.tcp:
        sockets.append(stack.enter_context(listening(table.host, table.port, setting="SEALWRIGHT_VERIFIER_PORT")))
    if table.socket is not None:
        sockets.append(stack.enter_context(listening_at(folder / table.socket, int(table.socket_mode, 8))))
    return sockets


def _private_folder() -> tempfile.TemporaryDirectory[str]:
    """Nobody else may enter it. Raises ConfigurationError where no folder can be made, or no socket in it."""
    with ExitStack() as undone:
        try:
            folder = tempfile.TemporaryDirectory(prefix="sealwright-verifier-")
            undone.callback(folder.cleanup)
            path = Path(folder.name, "tried")
            with socket(AF_UNIX) as tried:
                tried.bind(str(path))  # which may be too long
            path.unlink()
        except OSError as error:
            why = error.strerror or str(error)
            message = f"several workers need a folder for their sockets: {why}; name one with TMPDIR"
            raise ConfigurationError(Reason.SETTINGS_INVALID, message) from error
        undone.pop_all()
    return folder


def _tried(settings: VerifierSettings) -> tuple[VerifierFile, Path]:
    """Builds what would run, and nothing of it runs. Raises ConfigurationError."""
    file, folder = read_settings(settings)
    build_verifying(file, folder, build_observing(file.issuers.keys()).observer).close()
    return file, folder


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sealwright-verifier",
        description="Decide over tokens. Without a file, SEALWRIGHT_VERIFIER_* say for whom.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="verifier.toml (SEALWRIGHT_VERIFIER_CONFIG)")
    parser.add_argument("--check", action="store_true", help="say everything that is wrong with the file, and stop")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of the file, and stop")
    return parser
