"""The fleet over HTTP: who is behind, rehearsals of standby keys, and how far a revocation got."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from sealwright.services.credentials import KEYS_READ, KEYS_WRITE, Caller, Credentials
from sealwright.services.key_service.operations import KeyOperations


class Rehearsal(BaseModel):
    """Why a standby key signs a token that nobody serves."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[str, Field(min_length=1, max_length=500)] = "routine"


def fleet_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    """Reading needs keys:read, a rehearsal keys:write. Goes before the routes of keys, whose verbs would hide it."""
    router = APIRouter(prefix="/v1", tags=["fleet"])
    one, several = credentials.require(KEYS_READ), credentials.require(KEYS_READ, any_issuer=True)
    reader, writer = Depends(one), Depends(credentials.require(KEYS_WRITE))

    @router.get("/fleet")
    def show_fleet(
        issuer: Annotated[str | None, Query(max_length=100)] = None,
        caller: Caller = Depends(several),  # noqa: B008
    ) -> dict[str, Any]:
        return operations.fleet.show(issuer, only=caller.issuers(KEYS_READ))

    @router.post("/keys/{key_id}/rehearse", status_code=201)
    def rehearse(key_id: str, body: Rehearsal | None = None, caller: Caller = writer) -> dict[str, Any]:
        return operations.by(caller.subject).fleet.rehearse(key_id, reason=(body or Rehearsal()).reason)

    @router.get("/keys/{key_id}/rehearsal", dependencies=[reader])
    def show_rehearsal(key_id: str) -> dict[str, Any]:
        return operations.fleet.rehearsal(key_id)

    @router.get("/keys/{key_id}/enforcement", dependencies=[reader])
    def show_enforcement(key_id: str) -> dict[str, Any]:
        return operations.fleet.enforcement(key_id)

    return router
