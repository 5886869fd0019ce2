"""OAuth clients over HTTP, for operators: registered, listed, given new secrets, removed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from sealwright.keys.oauth_client import ASSERTION_LIFETIME_S, CLIENT_CREDENTIALS
from sealwright.services import http
from sealwright.services.credentials import CLIENTS_WRITE, KEYS_READ, Caller, Credentials
from sealwright.services.key_service.operations import KeyOperations
from sealwright.settings import IssuerName

Text = Annotated[str, Field(min_length=1, max_length=500)]
Texts = Annotated[list[Text], Field(max_length=100)]
_NO_STORE = {"Cache-Control": "no-store"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Registration(_Body):
    """A client: what it may ask for, and how it proves itself."""

    client_id: Text
    authentication: Literal["client_secret", "private_key_jwt"] = "client_secret"
    grants: Texts = [CLIENT_CREDENTIALS]
    audiences: Texts
    scopes: Texts = []
    subject_audiences: Texts = []
    lifetime_s: float | None = Field(default=None, ge=1)
    jwks: dict[str, Any] | None = None
    jwks_url: Text | None = None
    assertion_lifetime_s: float = ASSERTION_LIFETIME_S
    token_endpoint_audience: bool = False
    reason: Text = "routine"


class SecretRotation(_Body):
    reason: Text = "routine"
    end_others: bool = False


class Removal(_Body):
    reason: Text


def client_routes(operations: KeyOperations, credentials: Credentials) -> APIRouter:
    """The routes below /v1/issuers/{issuer}/clients, and the list of all."""
    router = APIRouter(tags=["clients"])
    reader = Depends(credentials.require(KEYS_READ, any_issuer=True))
    writer = Depends(credentials.require(CLIENTS_WRITE))
    of_issuer = "/v1/issuers/{issuer}/clients"

    @router.get("/v1/clients")
    def list_clients(issuer: IssuerName | None = None, caller: Caller = reader) -> dict[str, Any]:
        return operations.clients.list(issuer, only=caller.issuers(KEYS_READ))

    @router.post(of_issuer, status_code=201)
    def create(issuer: IssuerName, body: Registration, caller: Caller = writer) -> Response:
        made = operations.by(caller.subject).clients.create(issuer, **body.model_dump())
        return http.json_response(made, status=201, headers=_NO_STORE)

    @router.post(of_issuer + "/{client_id}/rotate-secret")
    def rotate_secret(
        issuer: IssuerName, client_id: str, body: SecretRotation | None = None, caller: Caller = writer
    ) -> Response:
        why = body or SecretRotation()
        rotated = operations.by(caller.subject).clients.rotate_secret(issuer, client_id, **why.model_dump())
        return http.json_response(rotated, headers=_NO_STORE)

    @router.post(of_issuer + "/{client_id}/remove")
    def remove(issuer: IssuerName, client_id: str, body: Removal, caller: Caller = writer) -> dict[str, Any]:
        return operations.by(caller.subject).clients.remove(issuer, client_id, reason=body.reason)

    return router
