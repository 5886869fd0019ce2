"""Issuers, their policies and roll-outs over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from sealwright.services.credentials import KEYS_READ, KEYS_WRITE, Caller, Credentials
from sealwright.services.key_service.issuer_operations import WantedPolicies
from sealwright.services.key_service.operations import KeyOperations
from sealwright.settings import SigningAlgorithm

Text = Annotated[str, Field(min_length=1, max_length=500)]
Percent = Annotated[int, Field(ge=0, le=100)]


class Step(BaseModel):
    """Why a step of a roll-out is made."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Text = "routine"


class ForcedStep(Step):
    force: bool = False


class Start(Step):
    algorithm: SigningAlgorithm
    percent: Percent = 0


class Share(ForcedStep):
    percent: Percent


class Application(WantedPolicies):
    """``approvals`` are ids of what other people approved of, one for each issuer whose approvals change."""

    reason: Text = "routine"
    approvals: list[Text] = Field(default=[], max_length=100)


def policy_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    """Reading needs keys:read, changing keys:write."""
    router = APIRouter()
    router.include_router(_config_routes(operations, credentials))
    router.include_router(_rollout_routes(operations, credentials))
    return router


def _config_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["policies"])
    reader = Depends(credentials.require(KEYS_READ))
    writer = Depends(credentials.require(KEYS_WRITE))

    @router.get("/issuers", dependencies=[reader])
    def list_issuers() -> dict[str, Any]:
        return operations.issuers()

    @router.post("/config/plan", dependencies=[reader])
    def plan(body: WantedPolicies) -> dict[str, Any]:
        return operations.plan_policies(body.model_dump(exclude_unset=True))

    @router.post("/config/apply")
    def apply(body: Application, caller: Caller = writer) -> dict[str, Any]:
        wanted = body.model_dump(exclude_unset=True, exclude={"reason", "approvals"})
        applier = operations.by(caller.subject)
        return applier.apply_policies(wanted, reason=body.reason, approvals=body.approvals)

    return router


def _rollout_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    router = APIRouter(prefix="/v1/issuers/{issuer}/rollout", tags=["roll-outs"])
    writer = Depends(credentials.require(KEYS_WRITE))

    def step(issuer: str, name: str, body: Step | None, caller: Caller) -> dict[str, Any]:
        asked = {"reason": "routine"} if body is None else body.model_dump()
        return operations.by(caller.subject).rollout(issuer, name, **asked)

    @router.post("/start")
    def start(issuer: str, body: Start, caller: Caller = writer) -> dict[str, Any]:
        return step(issuer, "start", body, caller)

    @router.post("/set")
    def set_share(issuer: str, body: Share, caller: Caller = writer) -> dict[str, Any]:
        return step(issuer, "set", body, caller)

    @router.post("/back")
    def back(issuer: str, body: Step | None = None, caller: Caller = writer) -> dict[str, Any]:
        return step(issuer, "back", body, caller)

    @router.post("/finish")
    def finish(issuer: str, body: ForcedStep | None = None, caller: Caller = writer) -> dict[str, Any]:
        return step(issuer, "finish", body, caller)

    @router.post("/abort")
    def abort(issuer: str, body: Step | None = None, caller: Caller = writer) -> dict[str, Any]:
        return step(issuer, "abort", body, caller)

    return router
