"""The write API over the life of keys: FastAPI, so that it describes itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from sealwright import __version__
from sealwright.errors import Reason, RejectedError
from sealwright.services import http
from sealwright.services.credentials import KEYS_READ, KEYS_WRITE, Credentials
from sealwright.services.key_service.audit_routes import audit_routes
from sealwright.services.key_service.operations import KeyOperations
from sealwright.settings import IssuerName, SigningAlgorithm
from sealwright.trust.decision import Verified

Text = Annotated[str, Field(min_length=1, max_length=500)]


class Move(BaseModel):
    """Why a move is made. ``force`` overrides a guard, and is audited with its reason."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Text = "routine"
    force: bool = False


class Creation(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    algorithm: SigningAlgorithm | None = None
    reason: Text = "routine"


class Revocation(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Text


class EmergencyRotation(Revocation):
    key_id: str | None = None


def build_app(operations: KeyOperations, credentials: Credentials) -> FastAPI:
    """The application without any page that is open to strangers."""
    app = FastAPI(
        title="Sealwright key service",
        version=__version__,
        openapi_url=None,
        strict_content_type=False,  # a bearer credential is no ambient authority: no form can send it
        exception_handlers={RequestValidationError: _on_invalid_request},
    )
    app.include_router(_key_routes(operations, credentials))
    app.include_router(_issuer_routes(operations, credentials))
    app.include_router(audit_routes(operations, credentials))
    return app


def _key_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    router = APIRouter(prefix="/v1/keys", tags=["keys"])
    reader = Depends(credentials.require(KEYS_READ))
    writer = Depends(credentials.require(KEYS_WRITE))

    @router.get("", dependencies=[reader])
    def list_keys(issuer: Annotated[str | None, Query(max_length=100)] = None) -> dict[str, Any]:
        return operations.keys(issuer)

    @router.post("/{key_id}/revoke")
    def revoke(key_id: str, body: Revocation, caller: Verified = writer) -> dict[str, Any]:
        return operations.by(caller.subject).move("revoke", key_id, reason=body.reason)

    @router.post("/{key_id}/{verb}")
    def move(
        key_id: str,
        verb: Literal["activate", "retire", "restore", "destroy"],
        body: Move | None = None,
        caller: Verified = writer,
    ) -> dict[str, Any]:
        why = body or Move()
        return operations.by(caller.subject).move(verb, key_id, reason=why.reason, force=why.force)

    return router


def _issuer_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    router = APIRouter(prefix="/v1/issuers/{issuer}", tags=["issuers"])
    writer = Depends(credentials.require(KEYS_WRITE))

    @router.post("/keys", status_code=201)
    def create(issuer: IssuerName, body: Creation, caller: Verified = writer) -> dict[str, Any]:
        return operations.by(caller.subject).create(issuer, algorithm=body.algorithm, reason=body.reason)

    @router.post("/rotate")
    def rotate(issuer: str, body: Move | None = None, caller: Verified = writer) -> dict[str, Any]:
        why = body or Move()
        return operations.by(caller.subject).rotate(issuer, reason=why.reason, force=why.force)

    @router.post("/emergency-rotate")
    def emergency_rotate(issuer: str, body: EmergencyRotation, caller: Verified = writer) -> dict[str, Any]:
        return operations.by(caller.subject).emergency_rotate(issuer, key_id=body.key_id, reason=body.reason)

    return router


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    """Where the request is wrong, never what it said."""
    assert isinstance(error, RequestValidationError)
    faults = "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors())
    return http.problem(RejectedError(Reason.REQUEST_MALFORMED, f"the request is malformed: {faults}"))
