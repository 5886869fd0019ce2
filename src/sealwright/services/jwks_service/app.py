"""JWKS and discovery pages of each issuer, with ETag, 304, Cache-Control and CORS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.algorithms import ASYMMETRIC
from sealwright.keys.oauth_client import AUTHENTICATION_METHODS, GRANTS
from sealwright.keys.token_status import LISTS
from sealwright.services import http
from sealwright.settings import DEFAULT_ISSUER, INTERNAL_ISSUER
from sealwright.statements.status_list import MEDIA_TYPE
from sealwright.wiring.publishing import Publications, etag

JWK_SET_TYPE = "application/jwk-set+json"
_LIST_NUMBERS = frozenset(map(str, range(LISTS)))  # nothing else is read as a number
_PUBLIC_PAGE = [Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["GET"], expose_headers=["ETag"])]


class Statements(Protocol):
    """Signed statements about the keys of an issuer, as compact JWS."""

    def revoked_keys(self, issuer: str) -> str: ...

    def trust_bundle(self, issuer: str) -> str: ...

    def historical_keys(self, issuer: str) -> str: ...

    def status_list(self, issuer: str, list_id: int) -> str: ...


class WellKnown:
    """The well-known pages. ``base_url`` is the public URL below which every issuer has its own."""

    def __init__(self, publications: Publications, statements: Statements, base_url: str) -> None:
        self._publications = publications
        self._statements = statements
        self._base_url = base_url

    def routes(self) -> list[Route]:
        """The root pages are those of the issuer ``default`` alone, never a union of issuers."""
        return [
            _page("/.well-known/jwks.json", self.jwks),
            _page("/.well-known/openid-configuration", self.discovery),
            _page("/issuers/{issuer}/.well-known/jwks.json", self.jwks),
            _page("/issuers/{issuer}/.well-known/openid-configuration", self.discovery),
            _page("/issuers/{issuer}/.well-known/oauth-authorization-server", self.authorization_server),
            _page("/.well-known/oauth-authorization-server/issuers/{issuer}", self.authorization_server),
            _page("/issuers/{issuer}/.well-known/revoked-keys", self.revoked_keys),
            _page("/issuers/{issuer}/.well-known/trust-bundle", self.trust_bundle),
            _page("/issuers/{issuer}/.well-known/jwks-archive", self.historical_keys),
            _page("/issuers/{issuer}/status-lists/{list_id}", self.status_list),
            _page("/.well-known/trust-root.jwks.json", self.trust_root),
        ]

    async def jwks(self, request: Request) -> Response:
        name = _issuer(request)
        keys = self._publications.issuer(name)
        return _cached(request, keys.body, keys.etag, self._publications.max_age_s(name), JWK_SET_TYPE)

    async def discovery(self, request: Request) -> Response:
        """OpenID Connect Discovery 1.0 §3, as far as an issuer without an authorization endpoint has it."""
        name = _issuer(request)
        issuer = f"{self._base_url}/issuers/{name}"
        algorithms = dict.fromkeys(key.members["alg"] for key in self._publications.issuer(name).jwks)
        page = {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "id_token_signing_alg_values_supported": list(algorithms),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            **_endpoints(issuer),
        }
        return self._metadata(request, name, page)

    async def authorization_server(self, request: Request) -> Response:
        """RFC 8414 §2; its path behind the well-known name (§3.1), and before it as OpenID Connect has it."""
        name = _issuer(request)
        self._publications.issuer(name)
        issuer = f"{self._base_url}/issuers/{name}"
        page = {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "response_types_supported": ["none"],  # required, and not to be empty: there is no authorization endpoint
            **_endpoints(issuer),
        }
        return self._metadata(request, name, page)

    async def revoked_keys(self, request: Request) -> Response:
        """The feed that verifiers obey: never kept by anybody in between."""
        return await self._statement(request, self._statements.revoked_keys, "application/jwt", 0)

    async def trust_bundle(self, request: Request) -> Response:
        """The keys in one signed document with an end, for verifiers that are not always online."""
        max_age_s = self._publications.max_age_s(_issuer(request))
        return await self._statement(request, self._statements.trust_bundle, "application/jwk-set+jwt", max_age_s)

    async def historical_keys(self, request: Request) -> Response:
        """Public keys that are no longer published, for signatures that outlive them."""
        name = _issuer(request)
        max_age_s = self._publications.max_age_s(name)
        return await self._statement(request, self._statements.historical_keys, "application/jwk-set+jwt", max_age_s)

    async def status_list(self, request: Request) -> Response:
        """The statuses of tokens that were issued with one, as of now."""
        number = request.path_params["list_id"]
        if number not in _LIST_NUMBERS:
            raise RejectedError(Reason.REQUEST_NOT_FOUND, "there is no such status list")
        list_id = int(number)
        if "time" in request.query_params:
            past = RejectedError(Reason.REQUEST_MALFORMED, "a status list says what is now: leave out the time")
            return http.problem(past, status=501)
        return await self._statement(
            request, lambda issuer: self._statements.status_list(issuer, list_id), MEDIA_TYPE, 0
        )

    async def trust_root(self, request: Request) -> Response:
        """What verifiers pin; compare it with a copy that came another way."""
        body, tag = self._publications.trust_root()
        return _cached(request, body, tag, self._publications.max_age_s(INTERNAL_ISSUER), JWK_SET_TYPE)

    def _metadata(self, request: Request, name: str, page: dict[str, Any]) -> Response:
        body = strict_json.encode_object(page)
        return _cached(request, body, etag(body), self._publications.max_age_s(name), "application/json")

    async def _statement(
        self, request: Request, signed: Callable[[str], str], media_type: str, max_age_s: int
    ) -> Response:
        name = _issuer(request)
        self._publications.issuer(name)
        body = (await run_in_threadpool(signed, name)).encode("ascii")
        return _cached(request, body, etag(body), max_age_s, media_type)


def _endpoints(issuer: str) -> dict[str, Any]:
    methods = list(AUTHENTICATION_METHODS)
    return {
        "token_endpoint": f"{issuer}/token",
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": sorted(ASYMMETRIC),
        "grant_types_supported": list(GRANTS),
        "introspection_endpoint": f"{issuer}/introspect",
        "introspection_endpoint_auth_methods_supported": ["Bearer", *methods],
        "introspection_endpoint_auth_signing_alg_values_supported": sorted(ASYMMETRIC),
        "revocation_endpoint": f"{issuer}/revoke",
        "revocation_endpoint_auth_methods_supported": ["Bearer", *methods],
        "revocation_endpoint_auth_signing_alg_values_supported": sorted(ASYMMETRIC),
    }


def openapi_paths() -> dict[str, Any]:
    """The OpenAPI description of these pages."""
    found = {"200": {"description": "The page."}, "304": {"description": "Unchanged."}}
    named = [{"name": "issuer", "in": "path", "required": True, "schema": {"type": "string"}}]
    paths: dict[str, Any] = {}
    for page, summary in (("jwks.json", "The JWK Set"), ("openid-configuration", "The discovery document")):
        paths[f"/.well-known/{page}"] = {"get": {"summary": f"{summary} of the issuer default", "responses": found}}
        missing = {"404": {"description": "There is no such issuer (problem+json)."}}
        described = {"summary": f"{summary} of an issuer", "parameters": named, "responses": found | missing}
        paths[f"/issuers/{{issuer}}/.well-known/{page}"] = {"get": described}
    server = {"summary": "The authorization-server metadata of an issuer", "parameters": named}
    page = "oauth-authorization-server"
    for path in (f"/issuers/{{issuer}}/.well-known/{page}", f"/.well-known/{page}/issuers/{{issuer}}"):
        paths[path] = {"get": {**server, "responses": found | missing}}
    signed = {"revoked-keys": "feed of revoked keys", "trust-bundle": "trust bundle", "jwks-archive": "archive"}
    for page, what in signed.items():
        summary = f"The signed {what}"
        described = {"summary": f"{summary} of an issuer", "parameters": named, "responses": found | missing}
        paths[f"/issuers/{{issuer}}/.well-known/{page}"] = {"get": described}
    number = {"name": "list_id", "in": "path", "required": True, "schema": {"type": "integer"}}
    listed = {"summary": "A status list of an issuer", "parameters": [*named, number], "responses": found | missing}
    paths["/issuers/{issuer}/status-lists/{list_id}"] = {"get": listed}
    root = {"summary": "The JWK Set of the trust root, which signs the statements", "responses": found}
    paths["/.well-known/trust-root.jwks.json"] = {"get": root}
    return paths


def _page(path: str, endpoint: Any) -> Route:
    return Route(path, endpoint, methods=["GET"], middleware=_PUBLIC_PAGE)


def _issuer(request: Request) -> str:
    name: str = request.path_params.get("issuer", DEFAULT_ISSUER)
    return name


def _cached(request: Request, body: bytes, etag: str, max_age_s: int, media_type: str) -> Response:
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={max_age_s}, must-revalidate"}
    asked = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if etag in asked or "*" in asked:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)
