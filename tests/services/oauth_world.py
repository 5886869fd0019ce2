"""The composed application in this process, asked as OAuth clients ask it."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

from http_callers import Answered, call_asgi

import sealwright as sw
from sealwright.profiles.claims_token import new_token_id
from sealwright.services.key_service.operations import KeyOperations
from sealwright.services.together import build_app
from sealwright.wiring.single_process import SingleProcess

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN = "/issuers/default/token"
FORM = "application/x-www-form-urlencoded"
Pairs = list[tuple[str, str]]


class Answer:
    """One answer of the application."""

    def __init__(self, answered: Answered) -> None:
        self.status, self.body = answered.status, answered.body
        self.headers = {name.lower(): value for name, value in answered.lines}

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> tuple[int, str]:
        return self.status, self.json()["error"]


class World:
    """One process, its application, and what tests ask of both."""

    def __init__(self, process: SingleProcess) -> None:
        self.process = process
        self.operations = KeyOperations(process, "test")
        self.app: Any = build_app(process, self.operations)
        self.secrets: dict[str, str] = {}
        self.issuer = process.issuer_url("default")

    def send(
        self,
        path: str,
        body: bytes = b"",
        headers: Pairs | None = None,
        *,
        method: str = "POST",
        query: bytes = b"",
        client: str = "127.0.0.1",
    ) -> Answer:
        target = f"{path}?{query.decode()}" if query else path
        lines = [("host", "here"), *(headers or [])]
        return Answer(call_asgi(self.app, method, target, lines, body=body, client=(client, 50000)))

    def form(
        self, fields: Pairs | dict[str, str], *, basic: tuple[str, str] | None = None, path: str = TOKEN, **kw: Any
    ) -> Answer:
        headers = [("content-type", FORM)] + ([("authorization", basic_of(*basic))] if basic else [])
        return self.send(path, urlencode(fields).encode(), headers, **kw)

    def client(self, name: str, **given: Any) -> str:
        """Registers a client with a secret, and answers with it."""
        given = {"audiences": ["orders"], "reason": "test"} | given
        return str(self.operations.clients.create("default", name, **given)["client_secret"])

    def keyed(self, name: str, key: sw.PrivateJWK, **given: Any) -> None:
        """Registers a client with a key."""
        jwks = {"keys": [key.public.to_dict()]}
        given = {"audiences": ["orders"], "reason": "test", "authentication": "private_key_jwt", "jwks": jwks} | given
        self.operations.clients.create("default", name, **given)

    def fetch(self, name: str, secret: str, **fields: str) -> Answer:
        return self.form({"grant_type": "client_credentials", **fields}, basic=(name, secret))

    def exchange(self, name: str, secret: str, subject: str, **fields: str) -> Answer:
        asked = {"grant_type": EXCHANGE, "subject_token": subject, "subject_token_type": ACCESS_TOKEN, **fields}
        return self.form({n: v for n, v in asked.items() if v}, basic=(name, secret))

    def assertion(self, name: str, key: Any, *, lifetime_s: float = 60, typ: str = "JWT", **changed: Any) -> str:
        now = int(self.process.clock.now())
        claims = {"iss": name, "sub": name, "aud": self.issuer, "exp": now + int(lifetime_s), "jti": new_token_id()}
        claims = {n: v for n, v in (claims | changed).items() if v is not None}
        return sw.sign(json.dumps(claims).encode(), key, typ=typ)

    def asserted(self, assertion: str, **fields: str) -> Answer:
        asked = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION, "client_assertion": assertion}
        return self.form(asked | fields)

    def issue(self, audience: str | list[str] = "front", **claims: Any) -> str:
        """A token of the ordinary route."""
        given = {"sub": "alice", "client_id": "web", **claims}
        return str(self.operations.issue_token("default", claims=given, audience=audience)["token"])

    def claims(self, answer: Answer) -> dict[str, Any]:
        assert answer.status == 200, answer.body
        seen = sw.verify_signature(answer.json()["access_token"], self.process.publications.issuer("default").jwks)
        assert seen.header.type == "at+jwt"
        found: dict[str, Any] = seen.json()
        return found

    def audit(self, action: str) -> list[Any]:
        return [entry for entry in self.process.signing.catalog.audit() if entry.action == action]


def basic_of(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()
