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
from sealwright.services.credentials import KEYS_READ, KEYS_WRITE, Caller, Credentials
from sealwright.services.key_service import access_routes
from sealwright.services.key_service.audit_routes import audit_routes
from sealwright.services.key_service.client_routes import client_routes
from sealwright.services.key_service.fleet_routes import fleet_routes
from sealwright.services.key_service.operations import KeyOperations
from sealwright.services.key_service.planning import LONGEST_PLAN_S
from sealwright.services.key_service.policy_routes import policy_routes
from sealwright.services.key_service.secret_routes import secret_routes
from sealwright.services.key_service.token_routes import token_routes
from sealwright.settings import BackendName, IssuerName, SigningAlgorithm

Text = Annotated[str, Field(min_length=1, max_length=500)]


class Move(BaseModel):
    """Why a move is made. ``force`` overrides a guard, and is audited with its reason; ``approval`` is used up."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Text = "routine"
    force: bool = False
    approval: Text | None = None


class Creation(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    algorithm: SigningAlgorithm | None = None
    reason: Text = "routine"


class Revocation(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Text
    approval: Text | None = None


class Import(BaseModel):
    """A key from outside: a JWK, private or public, or the reference of a key that a backend holds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    state: Literal["active", "standby", "verify_only"]
    jwk: dict[str, Any] | None = Field(default=None, repr=False)
    reference: Text | None = None
    backend: BackendName | None = None
    algorithm: SigningAlgorithm | None = None
    key_id: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    reason: Text = "routine"


class Rotation(Move):
    """``algorithm`` says which key is meant, during a roll-out."""

    algorithm: SigningAlgorithm | None = None


class EmergencyRotation(Revocation):
    key_id: str | None = None
    break_glass: bool = False
    algorithm: SigningAlgorithm | None = None


def build_app(operations: KeyOperations, credentials: Credentials) -> FastAPI:
    """The application without any page that is open to strangers."""
    app = FastAPI(
        title="Sealwright key service",
        version=__version__,
        openapi_url=None,
        strict_content_type=False,  # a bearer credential is no ambient authority: no form can send it
        exception_handlers={RequestValidationError: on_invalid_request},
    )
    app.include_router(fleet_routes(operations, credentials))
    app.include_router(_key_routes(operations, credentials))
    app.include_router(_issuer_routes(operations, credentials))
    app.include_router(policy_routes(operations, credentials))
    app.include_router(_plan_routes(operations, credentials))
    app.include_router(audit_routes(operations, credentials))
    app.include_router(_store_routes(operations, credentials))
    app.include_router(secret_routes(operations, credentials))
    app.include_router(token_routes(operations, credentials))
    app.include_router(client_routes(operations, credentials))
    app.include_router(access_routes.credential_routes(operations, credentials))
    app.include_router(access_routes.approval_routes(operations, credentials))
    return app


def _key_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    router = APIRouter(prefix="/v1/keys", tags=["keys"])
    reader = Depends(credentials.require(KEYS_READ, any_issuer=True))
    writer = Depends(credentials.require(KEYS_WRITE))

    @router.get("")
    def list_keys(
        issuer: Annotated[str | None, Query(max_length=100)] = None, caller: Caller = reader
    ) -> dict[str, Any]:
        return operations.keys(issuer, only=caller.issuers(KEYS_READ))

    @router.post("/{key_id}/hold")
    def hold(key_id: str, body: Revocation, caller: Caller = writer) -> dict[str, Any]:
        return operations.by(caller.subject).move("hold", key_id, reason=body.reason)

    @router.post("/{key_id}/revoke")
    def revoke(key_id: str, body: Revocation, caller: Caller = writer) -> dict[str, Any]:
        return operations.by(caller.subject).move("revoke", key_id, reason=body.reason, approval=body.approval)

    @router.post("/{key_id}/{verb}")
    def move(
        key_id: str,
        verb: Literal["activate", "retire", "restore", "destroy", "release"],
        body: Move | None = None,
        caller: Caller = writer,
    ) -> dict[str, Any]:
        why = body or Move()
        return operations.by(caller.subject).move(verb, key_id, **why.model_dump())

    return router


def _issuer_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    router = APIRouter(prefix="/v1/issuers/{issuer}", tags=["issuers"])
    writer = Depends(credentials.require(KEYS_WRITE))

    @router.post("/keys", status_code=201)
    def create(issuer: IssuerName, body: Creation, caller: Caller = writer) -> dict[str, Any]:
        return operations.by(caller.subject).create(issuer, algorithm=body.algorithm, reason=body.reason)

    @router.post("/import", status_code=201)
    def import_key(issuer: IssuerName, body: Import, caller: Caller = writer) -> dict[str, Any]:
        return operations.by(caller.subject).import_key(issuer, **body.model_dump())

    @router.post("/rotate")
    def rotate(issuer: str, body: Rotation | None = None, caller: Caller = writer) -> dict[str, Any]:
        return operations.by(caller.subject).rotate(issuer, **(body or Rotation()).model_dump())

    @router.post("/emergency-rotate")
    def emergency_rotate(issuer: str, body: EmergencyRotation, caller: Caller = writer) -> dict[str, Any]:
        return operations.by(caller.subject).emergency_rotate(issuer, **body.model_dump())

    return router


def _plan_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["keys"], dependencies=[Depends(credentials.require(KEYS_READ))])

    @router.get("/plan")
    def show_plan(
        issuer: Annotated[str | None, Query(max_length=100)] = None,
        for_s: Annotated[float, Query(ge=0, le=LONGEST_PLAN_S)] = 30 * 86_400,
    ) -> dict[str, Any]:
        return operations.plan(issuer, for_s=for_s)

    @router.get("/keys/{key_id}/canary")
    def show_canary(key_id: str) -> Response:
        return http.json_response(operations.canary(key_id), headers={"Cache-Control": "no-store"})

    @router.get("/backends")
    def check_backends() -> dict[str, Any]:
        return operations.backends()

    @router.get("/orphans")
    def list_orphans() -> dict[str, Any]:
        return operations.orphans()

    return router


def _store_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    router = APIRouter(prefix="/v1/kek", tags=["stores"])

    @router.post("/rotate")
    def rotate_kek(body: Move, caller: Caller = Depends(credentials.require(KEYS_WRITE))) -> dict[str, Any]:  # noqa: B008
        return operations.by(caller.subject).rotate_kek(reason=body.reason)

    return router


async def on_invalid_request(_: Request, error: Exception) -> Response:
    """Where the request is wrong, never what it said."""
    assert isinstance(error, RequestValidationError)
    faults = "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors())
    return http.problem(RejectedError(Reason.REQUEST_MALFORMED, f"the request is malformed: {faults}"))
