"""What verbs ask for: the local operations and the HTTP client both have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol


class SecretCalls(Protocol):
    """What the verbs of sealwright secrets ask for."""

    def create(self, partner: str, *, algorithm: str, backend: str, reason: str) -> dict[str, Any]: ...

    def rotate(self, partner: str, *, reason: str, force: bool = False) -> dict[str, Any]: ...

    def reveal(self, key_id: str, *, reason: str) -> dict[str, Any]: ...

    def sign(self, partner: str, *, payload: bytes, typ: str) -> dict[str, Any]: ...

    def verify(self, partner: str, token: str) -> dict[str, Any]: ...


class TokenCalls(Protocol):
    """What the verbs of sealwright tokens ask for."""

    def change(
        self,
        verb: Any,
        issuer: str,
        *,
        reason: str,
        token: str | None = None,
        jti: str | None = None,
        expires_at: float | None = None,
    ) -> dict[str, Any]: ...

    def marked(self, issuer: str) -> dict[str, Any]: ...


class AccessCalls(Protocol):
    """What is asked about credentials and approvals."""

    def issue(
        self, subject: str, *, roles: Sequence[str], issuers: Sequence[str] = (), lifetime_s: float | None = None
    ) -> dict[str, Any]: ...

    def deny(self, subject: str, *, reason: str) -> dict[str, Any]: ...

    def allow(self, subject: str, *, reason: str) -> dict[str, Any]: ...

    def denied(self) -> dict[str, Any]: ...

    def approvals(self) -> dict[str, Any]: ...

    def grant(self, approval_id: str) -> dict[str, Any]: ...

    def deny_approval(self, approval_id: str, *, reason: str) -> dict[str, Any]: ...


class ClientCalls(Protocol):
    """What the verbs of sealwright clients ask for."""

    @property
    def create(self) -> Callable[..., dict[str, Any]]: ...

    def list(self, issuer: str | None = None) -> dict[str, Any]: ...

    def rotate_secret(
        self, issuer: str, client_id: str, *, reason: str, end_others: bool = False
    ) -> dict[str, Any]: ...

    def remove(self, issuer: str, client_id: str, *, reason: str) -> dict[str, Any]: ...


class TrailCalls(Protocol):
    """What verbs ask of the audit."""

    def page(self, *, writer: str | None = None, after: int = 0, action: str | None = None) -> dict[str, Any]: ...

    def chains(self) -> dict[str, Any]: ...

    def trust_roots(self) -> dict[str, Any]: ...

    def checkpoint(self, *, reason: str) -> dict[str, Any]: ...

    def archive(self, segments: Sequence[Mapping[str, Any]], *, reason: str) -> dict[str, Any]: ...

    def prune(self) -> dict[str, Any]: ...


class FleetCalls(Protocol):
    """What is asked about the verifiers that report."""

    def show(self, issuer: str | None = None) -> dict[str, Any]: ...

    def rehearse(self, key_id: str, *, reason: str) -> dict[str, Any]: ...

    def rehearsal(self, key_id: str) -> dict[str, Any]: ...

    def enforcement(self, key_id: str) -> dict[str, Any]: ...


class KeyCalls(Protocol):
    """What verbs ask for; local operations and the HTTP client both have it."""

    @property
    def secrets(self) -> SecretCalls: ...

    @property
    def access(self) -> AccessCalls: ...

    @property
    def fleet(self) -> FleetCalls: ...

    @property
    def clients(self) -> ClientCalls: ...

    @property
    def tokens(self) -> TokenCalls: ...

    def keys(self, issuer: str | None = None) -> dict[str, Any]: ...

    def canary(self, key_id: str) -> dict[str, Any]: ...

    def create(self, issuer: str, *, algorithm: str | None, reason: str) -> dict[str, Any]: ...

    def import_key(self, issuer: str, *, state: Any, reason: str, **given: Any) -> dict[str, Any]: ...

    def rotate_kek(self, *, reason: str) -> dict[str, Any]: ...

    def move(
        self, verb: str, key_id: str, *, reason: str, force: bool = False, approval: str | None = None
    ) -> dict[str, Any]: ...

    def rotate(
        self,
        issuer: str,
        *,
        reason: str,
        force: bool = False,
        algorithm: str | None = None,
        approval: str | None = None,
    ) -> dict[str, Any]: ...

    def emergency_rotate(
        self,
        issuer: str,
        *,
        key_id: str | None,
        reason: str,
        algorithm: str | None = None,
        approval: str | None = None,
        break_glass: bool = False,
    ) -> dict[str, Any]: ...

    def rollout(self, issuer: str, step: str, **asked: Any) -> dict[str, Any]: ...

    def issuers(self) -> dict[str, Any]: ...

    def plan_policies(self, wanted: Mapping[str, Any]) -> dict[str, Any]: ...

    def apply_policies(
        self, wanted: Mapping[str, Any], *, reason: str, approvals: Sequence[str] = ()
    ) -> dict[str, Any]: ...

    def plan(self, issuer: str | None = None, *, for_s: float) -> dict[str, Any]: ...

    def backends(self) -> dict[str, Any]: ...

    def orphans(self) -> dict[str, Any]: ...

    def issue_token(
        self,
        issuer: str,
        *,
        claims: Mapping[str, Any],
        audience: str | Sequence[str],
        lifetime_s: float | None = None,
        status: bool = False,
    ) -> dict[str, Any]: ...

    def issue_tokens(self, issuer: str, tokens: Sequence[Mapping[str, Any]]) -> dict[str, Any]: ...

    def sign_payload(self, issuer: str, *, payload: bytes, typ: str) -> dict[str, Any]: ...

    @property
    def trail(self) -> TrailCalls: ...

    def verify(
        self, token: str, *, audience: str, scopes: Sequence[str] = (), explain: bool = False
    ) -> dict[str, Any]: ...

    def jwks(self, issuer: str) -> dict[str, Any]: ...
