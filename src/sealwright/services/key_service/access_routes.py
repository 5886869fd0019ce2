"""Credentials and approvals over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from sealwright.services import http
from sealwright.services.credentials import APPROVALS_GRANT, CREDENTIALS_ISSUE, KEYS_READ, Caller, Credentials
from sealwright.services.key_service.operations import KeyOperations
from sealwright.services.roles import ROLES
from sealwright.settings import IssuerName

_NO_STORE = {"Cache-Control": "no-store"}
Text = Annotated[str, Field(min_length=1, max_length=500)]
Role = Literal["operator", "signer", "approver", "auditor", "archivist", "custodian", "verifier", "revoker", "resource"]
Subject = Annotated[str, Field(min_length=1, max_length=100)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class CredentialRequest(_Body):
    """Without issuers the credential is for all of them."""

    subject: Subject
    roles: list[Role] = Field(min_length=1, max_length=len(ROLES))
    issuers: list[IssuerName] = Field(default=[], max_length=100)
    lifetime_s: float | None = Field(default=None, ge=1)


class SubjectAndReason(_Body):
    subject: Subject
    reason: Text


class Why(_Body):
    reason: Text


def credential_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    router = APIRouter(prefix="/v1/credentials", tags=["credentials"])
    issuer = Depends(credentials.require(CREDENTIALS_ISSUE, any_issuer=True))
    warden = Depends(credentials.require(CREDENTIALS_ISSUE))
    anybody = Depends(credentials.require(None))

    @router.post("", status_code=201)
    def issue(body: CredentialRequest, caller: Caller = issuer) -> Response:
        issued = operations.by(caller.subject).access.issue(**body.model_dump(), held=caller.scopes)
        return http.json_response(issued, status=201, headers=_NO_STORE)

    @router.post("/renew", status_code=201)
    def renew(caller: Caller = anybody) -> Response:
        renewed = operations.by(caller.subject).access.renew(caller.claims)
        return http.json_response(renewed, status=201, headers=_NO_STORE)

    @router.get("/denied", dependencies=[warden])
    def denied() -> dict[str, Any]:
        return operations.access.denied()

    @router.post("/deny")
    def deny(body: SubjectAndReason, caller: Caller = warden) -> dict[str, Any]:
        return operations.by(caller.subject).access.deny(body.subject, reason=body.reason)

    @router.post("/allow")
    def allow(body: SubjectAndReason, caller: Caller = warden) -> dict[str, Any]:
        return operations.by(caller.subject).access.allow(body.subject, reason=body.reason)

    return router


def approval_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    router = APIRouter(prefix="/v1/approvals", tags=["approvals"])
    reader = Depends(credentials.require(KEYS_READ, any_issuer=True))
    approver = Depends(credentials.require(APPROVALS_GRANT))

    @router.get("")
    def list_approvals(caller: Caller = reader) -> dict[str, Any]:
        return operations.access.approvals(only=caller.issuers(KEYS_READ))

    @router.post("/{approval_id}/grant")
    def grant(approval_id: str, caller: Caller = approver) -> dict[str, Any]:
        return operations.by(caller.subject).access.grant(approval_id)

    @router.post("/{approval_id}/deny")
    def deny(approval_id: str, body: Why, caller: Caller = approver) -> dict[str, Any]:
        return operations.by(caller.subject).access.deny_approval(approval_id, reason=body.reason)

    return router
