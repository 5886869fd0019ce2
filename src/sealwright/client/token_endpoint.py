"""TokenEndpoint: asks an authorization server for an access token (RFC 6749 §4.4, RFC 8693), found by RFC 8414."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from sealwright.client.client_authentication import ClientAuthentication
from sealwright.client.token_answer import AccessToken, parse_token, refusal, unavailable
from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import ConfigurationError, Reason, RejectedError, UnavailableError
from sealwright.jose import strict_json
from sealwright.trust.sources.bounded_get import Answer, BoundedGet
from sealwright.trust.sources.discovered import metadata_urls
from sealwright.trust.sources.key_address import KeyAddress

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
METADATA_S = 86_400.0
_HEADERS = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
_TOLD = (200, 400, 401, 403)  # the statuses whose bodies say something


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What token to ask for. With ``subject_token``, which is asked for it each time, it is exchanged (RFC 8693)."""

    scope: str | None = None
    audience: str | None = None
    resources: Sequence[str] = ()  # RFC 8707
    subject_token: Callable[[], str] | None = field(default=None, repr=False)
    subject_token_type: str = ACCESS_TOKEN_TYPE

    def form(self) -> list[tuple[str, str]]:
        """The members of the request, but for those of the client."""
        exchanged = {} if self.subject_token is None else {
            "subject_token": self.subject_token(), "subject_token_type": self.subject_token_type
        }  # fmt: skip
        grant = "client_credentials" if self.subject_token is None else EXCHANGE
        named = {"grant_type": grant, "scope": self.scope, "audience": self.audience, **exchanged}
        return [*((name, value) for name, value in named.items() if value), *(("resource", r) for r in self.resources)]


class TokenEndpoint:
    """``url`` is the token endpoint, or ``issuer`` the server whose metadata names it. No I/O when it is made.

    ``timeout_s`` is the deadline of everything that one ``fetch`` does. Raises ConfigurationError ``settings.invalid``
    for a URL that is not https (http is for loopback hosts). One caller at a time.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        issuer: str | None = None,
        client: ClientAuthentication,
        wanted: Wanted | None = None,
        timeout_s: float = 5.0,
        tls: ssl.SSLContext | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if (url is None) == (issuer is None) or not 0 < timeout_s <= 60:
            raise _wrong("give the token endpoint or its issuer, and a timeout between 0 and 60 s")
        self._issuer, self._client, self._wanted = issuer, client, wanted or Wanted()
        self.timeout_s, self._tls, self._clock = timeout_s, tls, clock
        self._documents = [] if issuer is None else [_parsed(one) for one in reversed(metadata_urls(issuer))]
        self._address = None if url is None else _parsed(url)
        self._known_until = float("-inf")

    def fetch(self) -> AccessToken:
        """Raises UnavailableError ``credential.unavailable`` or ``credential.refused``."""
        until = SYSTEM_CLOCK.monotonic() + self.timeout_s
        try:
            address = self._found(until - self.timeout_s / 2)
            answer = self._asked(address, until)
        except UnavailableError as error:
            self._known_until = float("-inf")  # perhaps it has moved
            if error.reason is Reason.CREDENTIAL_UNAVAILABLE:
                raise
            raise unavailable("the token endpoint could not be asked", error.message) from error
        if answer.status != 200:
            raise refusal(answer.status, answer.body)
        return parse_token(answer.body)

    def __repr__(self) -> str:
        return f"TokenEndpoint({self._issuer or (self._address.url if self._address else '')!r})"

    def _asked(self, address: KeyAddress, until: float) -> Answer:
        proof = self._client.prove(self._issuer or address.url)
        form = urlencode([*self._wanted.form(), *proof.form.items()]).encode("ascii")
        asked = BoundedGet(address, self._trusted(address), form, bodies=_TOLD)
        return asked.get({**_HEADERS, **proof.headers}, max(0.001, until - SYSTEM_CLOCK.monotonic()))

    def _found(self, until: float) -> KeyAddress:
        """The address; while the metadata cannot be had, the one that they named last stays in use."""
        known, now = self._address, self._clock.monotonic()
        if known is not None and (self._issuer is None or now < self._known_until):
            return known
        try:
            self._address = self._named(self._document(until))
            self._known_until = now + METADATA_S
        except UnavailableError:
            if known is None:
                raise
        assert self._address is not None
        return self._address

    def _document(self, until: float) -> Answer:
        for address in self._documents:
            asked = BoundedGet(address, self._trusted(address))
            answer = asked.get({"Accept": "application/json"}, max(0.001, until - SYSTEM_CLOCK.monotonic()))
            if answer.status == 200:
                return answer
        raise unavailable("the authorization server has no metadata", f"HTTP status {answer.status}")

    def _named(self, answer: Answer) -> KeyAddress:
        try:
            members = strict_json.parse_object(answer.body)
        except RejectedError as error:
            raise unavailable("the metadata of the authorization server are no JSON object") from error
        return self._checked(members)

    def _checked(self, members: Mapping[str, object]) -> KeyAddress:
        """RFC 8414 §3.3: metadata of another issuer must not be used."""
        where = members.get("token_endpoint")
        if members.get("issuer") != self._issuer:
            raise unavailable("the metadata are those of another authorization server")
        if not isinstance(where, str) or (str(self._issuer).startswith("https:") and not where.startswith("https:")):
            raise unavailable("the metadata name no https token endpoint")
        try:
            return _parsed(where)
        except ConfigurationError as error:
            raise unavailable("the metadata name a token endpoint that is refused") from error

    def _trusted(self, address: KeyAddress) -> ssl.SSLContext | None:
        if address.scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _parsed(url: str) -> KeyAddress:
    try:
        return KeyAddress.parse(url)
    except ConfigurationError as error:
        raise _wrong("an authorization server is https, or http on this machine, and no metadata address") from error


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
