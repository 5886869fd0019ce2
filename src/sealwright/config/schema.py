"""The JSON Schemas of sealwright.toml and verifier.toml, which those in docs are copies of."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from sealwright.config.tables import ConfigFile


def json_schema(model: type[BaseModel] = ConfigFile, title: str = "sealwright.toml") -> dict[str, Any]:
    schema = model.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}
