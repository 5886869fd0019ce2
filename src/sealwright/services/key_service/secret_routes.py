"""HMAC secrets of partners over HTTP: made, handed over, rotated, and used."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from sealwright.services import http
from sealwright.services.credentials import KEYS_WRITE, PAYLOADS_SIGN, SECRETS_REVEAL, Caller, Credentials
from sealwright.services.key_service.operations import KeyOperations
from sealwright.services.key_service.secret_operations import DEFAULT_ALGORITHM, DEFAULT_BACKEND, payload_of
from sealwright.settings import BackendName, IssuerName

Text = Annotated[str, Field(min_length=1, max_length=500)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Creation(_Body):
    algorithm: Literal["HS256", "HS384", "HS512"] = DEFAULT_ALGORITHM
    backend: BackendName = DEFAULT_BACKEND
    reason: Text = "routine"


class Move(_Body):
    reason: Text = "routine"
    force: bool = False


class Reveal(_Body):
    reason: Text


class Payload(_Body):
    payload: str = Field(description="Unpadded base64url.")
    typ: Text


class Token(_Body):
    token: str


def secret_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    """The routes below /v1/secrets."""
    router = APIRouter(prefix="/v1/secrets", tags=["secrets"])
    writer, signer = Depends(credentials.require(KEYS_WRITE)), Depends(credentials.require(PAYLOADS_SIGN))

    @router.post("/{issuer}", status_code=201)
    def create(issuer: IssuerName, body: Creation, caller: Caller = writer) -> dict[str, Any]:
        return operations.by(caller.subject).secrets.create(issuer, **body.model_dump())

    @router.post("/{issuer}/rotate")
    def rotate(issuer: IssuerName, body: Move, caller: Caller = writer) -> dict[str, Any]:
        return operations.by(caller.subject).secrets.rotate(issuer, **body.model_dump())

    @router.post("/{issuer}/sign", status_code=201)
    def sign(issuer: IssuerName, body: Payload, caller: Caller = signer) -> dict[str, Any]:
        chosen = operations.by(caller.subject).secrets
        return chosen.sign(issuer, payload=payload_of(body.payload), typ=body.typ)

    @router.post("/{issuer}/verify")
    def verify(issuer: IssuerName, body: Token, caller: Caller = signer) -> dict[str, Any]:
        return operations.by(caller.subject).secrets.verify(issuer, body.token)

    revealer = Depends(credentials.require(SECRETS_REVEAL))

    @router.post("/keys/{key_id}/reveal")
    def reveal(key_id: str, body: Reveal, caller: Caller = revealer) -> Response:
        revealed = operations.by(caller.subject).secrets.reveal(key_id, reason=body.reason)
        return http.json_response(revealed, headers={"Cache-Control": "no-store"})

    return router
