"""The audit over HTTP: read it, and with a scope of its own, checkpoint and archive it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from sealwright.services.credentials import AUDIT_ARCHIVE, AUDIT_READ, Caller, Credentials
from sealwright.services.key_service.operations import KeyOperations

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")]
Sequence = Annotated[int, Field(ge=1, le=2**53)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    reason: str = Field(default="routine", min_length=1, max_length=500)


class ArchivedSegment(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    writer: Name
    first: Sequence
    last: Sequence
    digest: Sha256
    file: Name
    sha256: Sha256


class Archive(Note):
    segments: list[ArchivedSegment] = Field(min_length=1, max_length=500)


def audit_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    router = APIRouter(prefix="/v1/audit", tags=["audit"])
    _add_reading(router, operations, credentials)
    _add_archiving(router, operations, Depends(credentials.require(AUDIT_ARCHIVE)))
    return router


def _add_reading(router: APIRouter, operations: KeyOperations, credentials: Credentials) -> None:
    reader, of_some = (Depends(credentials.require(AUDIT_READ, any_issuer=some)) for some in (False, True))

    @router.get("")
    def list_entries(
        writer: Annotated[str | None, Query(max_length=100)] = None,
        after: Annotated[int, Query(ge=0, le=2**53)] = 0,
        action: Annotated[str | None, Query(max_length=50)] = None,
        caller: Caller = of_some,
    ) -> dict[str, Any]:
        only = caller.issuers(AUDIT_READ)
        return operations.trail.page(writer=writer, after=after, action=action, only=only)

    @router.get("/chains", dependencies=[reader])
    def list_chains() -> dict[str, Any]:
        return operations.trail.chains()

    @router.get("/trust-roots", dependencies=[reader])
    def list_trust_roots() -> dict[str, Any]:
        return operations.trail.trust_roots()


def _add_archiving(router: APIRouter, operations: KeyOperations, archivist: Any) -> None:
    @router.post("/checkpoint", status_code=201)
    def write_checkpoint(body: Note | None = None, caller: Caller = archivist) -> dict[str, Any]:
        return operations.by(caller.subject).trail.checkpoint(reason=(body or Note()).reason)

    @router.post("/archive", status_code=201)
    def note_archive(body: Archive, caller: Caller = archivist) -> dict[str, Any]:
        segments = [segment.model_dump() for segment in body.segments]
        return operations.by(caller.subject).trail.archive(segments, reason=body.reason)

    @router.post("/prune")
    def prune(caller: Caller = archivist) -> dict[str, Any]:
        return operations.by(caller.subject).trail.prune()
