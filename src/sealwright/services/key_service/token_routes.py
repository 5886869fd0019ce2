"""Single tokens over HTTP, for operators: revoked, suspended, restored and listed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from sealwright.services.credentials import KEYS_READ, TOKENS_REVOKE, Caller, Credentials
from sealwright.services.key_service.operations import KeyOperations
from sealwright.settings import IssuerName

Text = Annotated[str, Field(min_length=1, max_length=500)]


class Marking(BaseModel):
    """Which token: itself, or its jti and when it expires, in seconds since the epoch."""

    model_config = ConfigDict(extra="forbid", strict=True)

    token: str | None = Field(default=None, max_length=64 * 1024, repr=False)
    jti: Text | None = None
    expires_at: float | None = None
    reason: Text


def token_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    """The routes about tokens of one issuer that exist already."""
    router = APIRouter(prefix="/v1/issuers/{issuer}/tokens", tags=["tokens"])
    revoker, reader = Depends(credentials.require(TOKENS_REVOKE)), Depends(credentials.require(KEYS_READ))

    @router.post("/{verb}")
    def change(
        issuer: IssuerName, verb: Literal["revoke", "suspend", "restore"], body: Marking, caller: Caller = revoker
    ) -> dict[str, Any]:
        return operations.by(caller.subject).tokens.change(verb, issuer, **body.model_dump())

    @router.get("/revoked", dependencies=[reader])
    def list_marked(issuer: IssuerName) -> dict[str, Any]:
        return operations.tokens.marked(issuer)

    return router
