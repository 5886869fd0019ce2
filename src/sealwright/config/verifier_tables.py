"""The tables of verifier.toml, as pydantic models; docs/verifier.schema.json is made from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from sealwright.config.fields import (
    ClaimDuration,
    DrainDuration,
    Duration,
    HttpUrl,
    LeewayDuration,
    OutageDuration,
    Port,
    PositiveDuration,
    RefreshDuration,
    ReplicaName,
    VerifyingAlgorithm,
    Workers,
)
from sealwright.jose.algorithms import ALGORITHMS
from sealwright.jose.claims import MAXIMUM_ACTORS
from sealwright.jose.compact import MAXIMUM_TOKEN_BYTES

OnFailure = Literal["undecided", "accept"]
Profile = Literal["at+jwt", "jwt", "secevent", "spiffe", "kubernetes", "github-actions", "any"]


def _in_full(name: str) -> str:
    if not name.isprintable() or "*" in name:
        raise ValueError("an audience is given in full, without wildcards")
    return name


def _a_name(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise ValueError("not printable text without spaces around it")
    return name


def _an_origin(url: str) -> str:
    if url.count("/") != 2 or "@" in url:
        raise ValueError("not scheme and host alone, such as https://orders.example.com")
    return url


_ONE = BeforeValidator(lambda given: [given] if isinstance(given, str) else given)  # a text alone is a list of one


def _listed(text: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]})


_TEXTS = _listed({"type": "string", "minLength": 1})
_SOME = Field(min_length=1, max_length=100)

Name = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_a_name)]
Names = Annotated[list[Name], _SOME, _ONE, _TEXTS]
Audience = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_in_full)]
Audiences = Annotated[list[Audience], _SOME, _ONE, _TEXTS]
Algorithms = Annotated[list[VerifyingAlgorithm], _SOME, _ONE, _listed({"type": "string", "enum": sorted(ALGORITHMS)})]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ListenTable(_Table):
    """Where the sidecar listens, and with how much."""

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: Port = Field(default=8701, description="The port.")
    tcp: bool = Field(default=True, description="Whether to listen on host and port at all.")
    socket: Path | None = Field(default=None, description="A unix socket to listen on as well, or instead.")
    socket_mode: str = Field(default="0660", pattern="^0[0-7]{3}$", description="Who may connect to it, in octal.")
    workers: Workers = Field(default=1, description="Processes that decide; each has keys and a cache of its own.")
    drain: DrainDuration = Field(default=0, description="How long it goes on after a SIGTERM, and is not ready.")
    log_accepted: bool = Field(default=False, description="Whether a token that is accepted has a line in the log.")
    cache_bytes: int = Field(
        default=16 * 1024 * 1024, ge=0, le=2**34, description="Memory for decisions, in each worker; 0 is none."
    )


class EdgeTable(_Table):
    """How proxies ask, and what they are told."""

    realm: str = Field(default="sealwright", pattern=r"^[ !#-\[\]-~]*$", description="Of WWW-Authenticate.")
    header_prefix: str = Field(
        default="x-sealwright-", pattern=r"^x-[a-z0-9-]{0,58}-$", description="What identity headers begin with."
    )
    public_url: Annotated[HttpUrl, AfterValidator(_an_origin)] | None = Field(
        default=None, description="Scheme and host of the URLs that clients ask for; without, what the proxy says."
    )
    proxies: Names | None = Field(
        default=None, description='Whose word about client certificates counts: addresses, CIDRs, or "unix".'
    )
    certificate_form: Literal["rfc9440", "xfcc", "pem"] = Field(
        default="rfc9440", description="How they tell the certificate."
    )
    certificate_header: str = Field(
        default="", pattern=r"^[A-Za-z0-9-]{0,100}$", description="In which header; needed for pem alone."
    )


class KeyServiceTable(_Table):
    """What is obeyed: feeds and bundles that the trust root signed, and the key service that is polled for changes."""

    name: ReplicaName = Field(description="What the fleet calls this verifier.")
    trust_root_file: Path = Field(description="The JWK Set of the trust root, which is pinned.")
    state_folder: Path = Field(description="Where the sequences that were seen are kept, so that none goes back.")
    url: HttpUrl | None = Field(default=None, description="The service that is polled, such as https://keys.example.")
    credential_file: Path | None = Field(default=None, description="The credential for it; rewritten when renewed.")
    public_url: HttpUrl | None = Field(default=None, description="What the service calls itself, if not by url.")
    ca_file: Path | None = Field(default=None, description="The CAs of its URLs, in place of the machine's own.")
    refresh: RefreshDuration = Field(default=15, description="How often feeds are fetched though nothing is pushed.")


class ReplayTable(_Table):
    """The one store in which tokens are claimed, for all issuers that ask for it."""

    url_file: Path | None = Field(default=None, description="A file with its URL; without, this process remembers.")
    capacity: int | None = Field(default=None, ge=1, le=10**9, description="Entries, of memory and SQL.")
    timeout: ClaimDuration | None = Field(default=None, description="The longest that a claim waits, Redis and SQL.")
    window: Duration | None = Field(default=None, description="The longest life of an entry in Redis.")
    sharers: int = Field(default=1, ge=1, le=10_000, description="How many processes verify for one audience.")
    local_though_shared: bool = Field(default=False, description="Each of them may accept a token once.")


class DpopTable(_Table):
    """The rules for DPoP proofs (RFC 9449), for all issuers whose tokens may be bound by them."""

    maximum_age: PositiveDuration = Field(default=60, description="How long a proof is good after its iat.")
    nonce_secrets_file: Path | None = Field(
        default=None, description="Proofs need a nonce: secrets of 32 bytes or more, one a line, the newest first."
    )
    region: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,32}$", description="Nonces of others are refused.")
    slot: Duration = Field(default=300, description="How long a nonce is new; it is good for one more slot.")


class IdentityField(_Table):
    """Where a field of the identity comes from. A text alone stands for a table with ``claim``."""

    claim: Name = Field(description="The path of a claim, or a template such as {tid}:{oid}.")
    required: bool = Field(default=False, description="Tokens without it are rejected.")


Identity = dict[
    Name, Annotated[IdentityField, BeforeValidator(lambda one: {"claim": one} if isinstance(one, str) else one)]
]


class RouteTable(_Table):
    """What a token must bring for a route. A request that no route matches is denied."""

    scopes: Names | None = Field(default=None, description="All of them are needed.")
    roles: Names | None = Field(default=None, description="One of them is needed.")
    issuers: Names | None = Field(default=None, description="Tokens of others are denied.")


class StatusListsTable(_Table):
    """Status lists that tokens name, signed by the keys of their issuer."""

    prefixes: Names = Field(description="What the URLs of lists begin with.")
    required: bool = Field(default=False, description="Whether a token must name a list.")
    on_failure: OnFailure = Field(default="undecided", description="What tokens are while a list cannot be had.")
    usable: Duration = Field(default=300, description="How long a list counts after its fetch, while it cannot be had.")


class IntrospectionTable(_Table):
    """Asks the issuer about each token (RFC 7662)."""

    url: HttpUrl = Field(description="The introspection endpoint.")
    credential_file: Path = Field(description="A file with the bearer token for it.")
    on_failure: OnFailure = Field(default="undecided", description="What tokens are while it cannot be asked.")
    positive: PositiveDuration = Field(default=60, description="How long a token that is active counts as that.")
    negative: Duration = Field(default=5, description="How long one that is not is remembered.")


class VerifierIssuerTable(_Table):
    """One issuer: what its tokens are, and where its keys come from."""

    profile: Profile = Field(description="The kind of its tokens; the other rules come on top.")
    audience: Audiences = Field(description="Who the tokens must be for; one of several is enough.")
    trust_domain: Name | None = Field(default=None, description="Of the profile spiffe.")

    discovery: bool = Field(default=False, description="The issuer is a URL that says where its keys are.")
    jwks_url: Names | None = Field(default=None, description="Where its keys are; further URLs are for failover.")
    keys_file: Path | None = Field(default=None, description="A JWK Set, or a SPIFFE bundle; read again when changed.")
    secret_file: Path | None = Field(default=None, description="A JWK with an HMAC secret, or a set of them.")
    bundle_file: Path | None = Field(default=None, description="A signed trust bundle of the key service.")
    bundle_url: HttpUrl | None = Field(default=None, description="Where such a bundle is.")
    ca_file: Path | None = Field(default=None, description="The CAs of the URLs, in place of the machine's own.")
    last_good_file: Path | None = Field(default=None, description="Keeps the last good keys over a restart.")
    keys_outage: OutageDuration = Field(
        default=3600, description="How long the last good keys serve while they cannot be fetched; then: undecided."
    )
    private_addresses: bool = Field(default=True, description="Whether the URLs may lead to private networks.")

    algorithms: Algorithms | None = Field(default=None, description="All that the profile has, unless for a secret.")
    typ: Name | None = Field(default=None, description="The one typ, where the profile has several.")
    required_claims: Names | None = Field(default=None, description="Claims that must be there.")
    forbidden_claims: Names | None = Field(default=None, description="Claims that must not be there.")
    required_scopes: Names | None = Field(default=None, description="What the claim scope must have.")
    claims: dict[Name, Names] = Field(default={}, description="Paths of claims, and the values of which each has one.")
    leeway: LeewayDuration = Field(default=60, description="The clock difference allowed for.")
    maximum_age: Duration | None = Field(default=None, description="The longest time since iat.")
    maximum_lifetime: Duration | None = Field(default=None, description="The longest time from iat to exp.")
    maximum_token_bytes: int = Field(default=64 * 1024, ge=256, le=MAXIMUM_TOKEN_BYTES)
    maximum_actors: int = Field(default=MAXIMUM_ACTORS, ge=0, le=16, description="The longest chain of act.")
    identity: Identity = Field(default={}, description="Fields in place of those of the table identity.")

    required: bool = Field(default=True, description="Whether the sidecar is ready only when it can decide here.")
    feed_url: HttpUrl | None = Field(default=None, description="Its feed of revocations, signed by the trust root.")
    on_stale_feed: OnFailure = Field(default="undecided", description="What tokens are while that is too old.")
    replay: Literal["off", "on"] = Field(default="off", description="Whether a token may be presented once.")
    on_replay_failure: Literal["closed", "open"] = Field(
        default="closed", description="What tokens are while the store of replays cannot be asked."
    )
    replay_entries: int | None = Field(default=None, ge=1, le=10**9, description="The most that it uses of the store.")
    binding: list[Literal["dpop", "mtls"]] = Field(default=[], description="Which bindings are judged.")
    binding_required: bool = Field(default=False, description="Whether a token must be bound in one of these ways.")
    status_lists: StatusListsTable | None = None
    introspection: IntrospectionTable | None = None


class VerifierFile(_Table):
    """A whole verifier.toml. Paths are relative to it."""

    service: ListenTable = ListenTable()
    edge: EdgeTable = EdgeTable()
    identity: Identity = Field(default={}, description="Fields of the identity, and which claims they are made of.")
    routes: dict[Name, RouteTable] = Field(default={}, description="By method and path: GET,HEAD /orders/**.")
    replay: ReplayTable | None = None
    dpop: DpopTable = DpopTable()
    sealwright: KeyServiceTable | None = None
    issuers: dict[Name, VerifierIssuerTable] = Field(min_length=1, description="By the iss of their tokens.")
