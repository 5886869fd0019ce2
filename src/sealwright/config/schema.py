"""The JSON Schema of sealwright.toml, which docs/sealwright.schema.json is a copy of."""

from __future__ import annotations

from typing import Any

from sealwright.config.tables import ConfigFile


def json_schema() -> dict[str, Any]:
    schema = ConfigFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "sealwright.toml"}
