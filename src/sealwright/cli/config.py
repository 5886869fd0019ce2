"""sealwright config: policies as code; check a file, see what it would change, apply it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sealwright.cli.options import Config, Home, Json, Why, print_json, printable
from sealwright.cli.session import open_calls
from sealwright.config.reading import Read, find_file
from sealwright.config.schema import json_schema
from sealwright.config.tables import ConfigFile
from sealwright.errors import ConfigurationError, Reason
from sealwright.settings import ServiceSettings
from sealwright.wiring.config_file import check_file

EXIT_WRONG, EXIT_DIFFERENT = 6, 7

app = typer.Typer(no_args_is_help=True, help="Policies as code: sealwright.toml.")
File = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The file; found as by up, if left out.")]
Strict = Annotated[bool, typer.Option("--strict", help="Whatever would be warned of is an error.")]


@app.command()
def check(file: File = None, strict: Strict = False, home: Home = None, as_json: Json = False) -> None:
    """Say everything that is wrong with a file, and where. Exit code 6 if anything is an error."""
    read = check_file(file or _found(home), strict=strict)
    wrong = any(not fault.warning for fault in read.faults)
    if as_json:
        print_json({"file": str(read.path), "valid": not wrong, "faults": _faults(read)})
    else:
        _print_faults(read, wrong)
    if wrong:
        raise typer.Exit(EXIT_WRONG)


@app.command()
def plan(config: Config = None, home: Home = None, as_json: Json = False) -> None:
    """Show what applying the file would change. Exit code 0: nothing; 7: something."""
    settings = _settings(config, home)
    with open_calls(home, settings=settings, open_new=False) as calls:
        answer = calls.plan_policies(_wanted(settings))
    if as_json:
        print_json(answer)
    else:
        _print_plan(answer)
    if not answer["in_sync"]:
        raise typer.Exit(EXIT_DIFFERENT)


@app.command()
def apply(
    config: Config = None,
    reason: Why = "routine",
    approval: Annotated[
        list[str] | None, typer.Option("--approval", help="What others approved of; once for each issuer.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Store the policies of the file and open its new issuers. Nothing is closed or deleted."""
    settings = _settings(config, home)
    with open_calls(home, settings=settings, open_new=False) as calls:
        answer = calls.apply_policies(_wanted(settings), reason=reason, approvals=approval or [])
    if as_json:
        print_json(answer)
    else:
        _print_plan(answer, done=True)


@app.command()
def schema() -> None:
    """Print the JSON Schema of sealwright.toml, for editors."""
    print_json(json_schema())


def _found(home: Path | None) -> Path:
    """Raises ConfigurationError ``settings.invalid``."""
    path = find_file(*ServiceSettings.places(home))
    if path is None:
        message = "there is no sealwright.toml beside the data folder: name one, or set SEALWRIGHT_CONFIG"
        raise ConfigurationError(Reason.SETTINGS_INVALID, message)
    return path


def _settings(config: Path | None, home: Path | None) -> ServiceSettings:
    """Of the file and the environment, without a fault. Raises ConfigurationError ``settings.invalid``."""
    path = config or _found(home)
    check_file(path).checked()
    return ServiceSettings.load(home=home, config=path)


def _wanted(settings: ServiceSettings) -> dict[str, Any]:
    tables = {name: table.model_dump(exclude_unset=True) for name, table in settings.issuers.items()}
    return {"issuers": tables, "timings": settings.timings.model_dump(), "backends": list(settings.backends)}


def _faults(read: Read[ConfigFile]) -> list[dict[str, Any]]:
    return [
        {
            "line": read.place(fault).line,
            "column": read.place(fault).column,
            "key": ".".join(fault.key),
            "message": fault.message,
            "severity": "warning" if fault.warning else "error",
        }
        for fault in read.faults
    ]


def _print_faults(read: Read[ConfigFile], wrong: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for fault in read.faults:
        console.print(printable(read.written(fault)), style="yellow" if fault.warning else "red")
    if not wrong:
        console.print(f"[bold green]valid[/]  {printable(str(read.path))}")


def _print_plan(answer: dict[str, Any], *, done: bool = False) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for new in answer["issuers_to_open"]:
        owner = f", owner {printable(new['owner'])}" if new["owner"] else ""
        console.print(f"[green]+ issuer {new['issuer']}[/]  {new['algorithm']} in {new['backend']}{owner}")
    for change in answer["changes"]:
        values = f"{_value(change['now'])} → {_value(change['file'])}"
        console.print(f"[yellow]~ issuer {change['issuer']}[/]  {change['name']}: {values}")
    for name in answer["not_in_file"]:
        console.print(f"  issuer {name}  runs, and is not in the file: it stays as it is")
    for name in answer["backends_missing"]:
        console.print(f"[red]! backend {name}[/]  is not open in the service: restart it with this file")
    for refused in answer["refused"]:
        console.print(f"[red]! issuer {refused['issuer']}[/]  {printable(refused['message'])} ({refused['reason']})")
    if answer["in_sync"]:
        console.print("no differences")
    elif done:
        console.print("applied")


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return printable(str(value)) if value not in ("", None) else '""'
