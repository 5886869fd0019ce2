"""sealwright up: the key service, JWKS pages and verify endpoint, in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from sealwright.cli.options import Config, Home, Json
from sealwright.settings import DEFAULT_PORT, ServiceSettings


def up(
    home: Home = None,
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(help="The port; 0 takes a free one.", show_default=str(DEFAULT_PORT))
    ] = None,
    public_url: Annotated[
        str | None, typer.Option(help="How others reach this service; the base of every iss.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run Sealwright here until Ctrl-C: SQLite and encrypted local keys in the data folder."""
    settings = ServiceSettings.load(home=home, config=config, host=host, port=port, public_url=public_url)
    from sealwright.cli.server import serve  # only this verb needs a web server

    serve(settings, as_json=as_json)
