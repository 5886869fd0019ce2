"""From the tables of verifier.toml to the rules of the verifying side, and what in them does not go together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sealwright.config.reading import Fault
from sealwright.config.verifier_tables import EdgeTable, VerifierFile, VerifierIssuerTable
from sealwright.errors import SealwrightError
from sealwright.jose.algorithms import ALGORITHMS, ASYMMETRIC
from sealwright.trust.client_certificates import TrustedProxies
from sealwright.trust.identity import USUAL, IdentityMap
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.routes import RouteRule, Routes
from sealwright.trust.sources.key_address import KeyAddress
from sealwright.trust.token_profiles import PROFILES, TokenProfile, spiffe

_SYMMETRIC = frozenset(ALGORITHMS) - ASYMMETRIC
_FETCHED = ("discovery", "jwks_url", "bundle_url")
_SOURCES = ("discovery", "jwks_url", "keys_file", "secret_file", "bundle_file", "bundle_url")


def profile_of(table: VerifierIssuerTable) -> TokenProfile:
    """Raises ConfigurationError ``settings.invalid``."""
    return spiffe(table.trust_domain or "") if table.profile == "spiffe" else PROFILES[table.profile]


def profile_expires(table: VerifierIssuerTable) -> bool:
    return table.profile == "spiffe" or PROFILES[table.profile].require_expiry


def policy_of(name: str, table: VerifierIssuerTable) -> VerificationPolicy:
    """Raises ConfigurationError ``settings.invalid``."""
    usual = ASYMMETRIC if table.secret_file is None else _SYMMETRIC
    return VerificationPolicy(
        issuer=name,
        audience=frozenset(table.audience),
        profile=profile_of(table),
        algorithms=usual if table.algorithms is None else frozenset(table.algorithms),
        typ=table.typ,
        leeway_s=table.leeway,
        maximum_age_s=table.maximum_age,
        maximum_lifetime_s=table.maximum_lifetime,
        required_claims=frozenset(table.required_claims or ()),
        required_scopes=frozenset(table.required_scopes or ()),
        forbidden_claims=frozenset(table.forbidden_claims or ()),
        claim_values=table.claims,
        maximum_actors=table.maximum_actors,
        maximum_token_bytes=table.maximum_token_bytes,
    )


def identities_of(file: VerifierFile, table: VerifierIssuerTable) -> IdentityMap:
    """The fields that are usual, those of the file over them, and those of the issuer over all. Raises as above."""
    fields = {**file.identity, **table.identity}
    required = frozenset(name for name, one in fields.items() if one.required)
    return IdentityMap({**USUAL, **{name: one.claim for name, one in fields.items()}}, required)


def routes_of(file: VerifierFile) -> Routes | None:
    """None without any: then routes are nobody's concern here. Raises ConfigurationError ``settings.invalid``."""
    rules = [
        RouteRule.parse(route, scopes=one.scopes or (), roles=one.roles or (), issuers=one.issuers or ())
        for route, one in file.routes.items()
    ]
    return Routes(rules) if rules else None


def proxies_of(edge: EdgeTable) -> TrustedProxies | None:
    """Whose word about client certificates counts. Raises ConfigurationError ``settings.invalid``."""
    if edge.proxies is None:
        return None
    return TrustedProxies(tuple(edge.proxies), form=edge.certificate_form, header=edge.certificate_header)


def combinations(file: VerifierFile) -> list[Fault]:
    """Every fault that a schema cannot tell."""
    shared = _told(("identity",), IdentityMap, {name: one.claim for name, one in file.identity.items()})
    found = [*_listen(file), *_service(file), *_routes(file), *shared]
    for name, table in file.issuers.items():
        key = ("issuers", name)
        wrong = [*_sources(key, table), *_kind(key, table), *_replay(key, file, table), *_trust(key, file, table)]
        found += wrong or _told(key, policy_of, name, table)
        found += [] if shared else _told((*key, "identity"), identities_of, file, table)
    return [*found, *_told(("edge", "proxies"), proxies_of, file.edge)]


def _listen(file: VerifierFile) -> Iterator[Fault]:
    table, replay = file.service, file.replay
    if table.socket is None and not table.tcp:
        yield Fault(("service", "tcp"), "then it listens nowhere: name a socket")
    if "socket_mode" in table.model_fields_set and table.socket is None:
        yield Fault(("service", "socket_mode"), "is of a socket: name one")
    if table.workers > 1 and replay is not None and replay.url_file is None and not replay.local_though_shared:
        message = f"each of {table.workers} workers would accept a token once: give [replay] the URL of a store"
        yield Fault(("service", "workers"), f"{message}, or local_though_shared = true")


def _service(file: VerifierFile) -> Iterator[Fault]:
    table = file.sealwright
    if table is not None and (table.url is None) != (table.credential_file is None):
        missing = "url" if table.url is None else "credential_file"
        yield Fault(("sealwright", missing), "is missing: the service to poll and the credential for it go together")


def _told(key: tuple[str, ...], build: Callable[..., object], *arguments: Any) -> list[Fault]:
    try:
        build(*arguments)
    except SealwrightError as error:
        return [Fault(key, error.message)]
    return []


def _sources(key: tuple[str, ...], table: VerifierIssuerTable) -> Iterator[Fault]:
    given = [name for name in _SOURCES if getattr(table, name)]
    kinds = {"discovery" if name == "jwks_url" else name for name in given}  # its further URLs
    if len(kinds) != 1:
        listed = ", ".join(_SOURCES)
        yield Fault((*key, *given[1:2]), f"name one source of its keys: {listed}" if not kinds else "a second source")
    for url in table.jwks_url or ():
        yield from _told((*key, "jwks_url"), KeyAddress.parse, url)
    if table.discovery:
        yield from _told(key, KeyAddress.parse, key[1])
    of_keys = ("last_good_file", "keys_outage", "private_addresses")
    for option in of_keys if table.status_lists or table.introspection else ("ca_file", *of_keys):
        if option in table.model_fields_set and kinds.isdisjoint(_FETCHED):
            yield Fault((*key, option), "is for keys that are fetched")


def _kind(key: tuple[str, ...], table: VerifierIssuerTable) -> Iterator[Fault]:
    if (table.trust_domain is None) == (table.profile == "spiffe"):
        yield Fault((*key, "trust_domain"), "is missing" if table.profile == "spiffe" else "is of the profile spiffe")
        return
    if wrong_domain := _told((*key, "trust_domain"), profile_of, table):
        yield from wrong_domain
        return
    profile, usual = profile_of(table), ASYMMETRIC if table.secret_file is None else _SYMMETRIC
    if wrong := sorted(set(table.algorithms or ()) - (profile.algorithms & usual)):
        allowed = ", ".join(sorted(profile.algorithms & usual)) or "no secret"
        yield Fault((*key, "algorithms"), f"not for these keys and this profile: {', '.join(wrong)}; but {allowed}")
    if table.maximum_lifetime and profile.maximum_lifetime_s and table.maximum_lifetime > profile.maximum_lifetime_s:
        message = f"{table.profile} tokens live {profile.maximum_lifetime_s:g} s at most"
        yield Fault((*key, "maximum_lifetime"), message)


def _replay(key: tuple[str, ...], file: VerifierFile, table: VerifierIssuerTable) -> Iterator[Fault]:
    if file.replay is None and (table.replay == "on" or "dpop" in table.binding):
        name = "replay" if table.replay == "on" else "binding"
        yield Fault((*key, name), "needs a store that lets each count once: add [replay]")
    if table.replay == "on" and not profile_expires(table) and table.maximum_age is None:
        yield Fault((*key, "replay"), "its tokens need not end, and none is remembered for ever: add maximum_age")
    for option in ("on_replay_failure", "replay_entries"):
        if option in table.model_fields_set and table.replay == "off":
            yield Fault((*key, option), 'is of tokens that count once: replay = "on"')


def _trust(key: tuple[str, ...], file: VerifierFile, table: VerifierIssuerTable) -> Iterator[Fault]:
    if table.binding_required and not table.binding:
        yield Fault((*key, "binding_required"), 'name what may prove it: binding = ["dpop", "mtls"]')
    for option in ("bundle_file", "bundle_url", "feed_url"):
        if file.sealwright is None and getattr(table, option) is not None:
            yield Fault((*key, option), "needs the trust root of [sealwright]")
    if "on_stale_feed" in table.model_fields_set and table.feed_url is None:
        yield Fault((*key, "on_stale_feed"), "is of a feed: add feed_url")


def _routes(file: VerifierFile) -> Iterator[Fault]:
    wrong = []
    for route, rule in file.routes.items():
        key = ("routes", route)
        wrong += _told(key, RouteRule.parse, route)
        for name in sorted(set(rule.issuers or ()) - file.issuers.keys()):
            yield Fault((*key, "issuers"), f"there is no issuer {name}")
        mapped = {
            **file.identity,
            **{name: one for table in file.issuers.values() for name, one in table.identity.items()},
        }
        if rule.roles and "roles" not in mapped:
            yield Fault((*key, "roles"), 'no claim holds roles: add roles = "…" to [identity]')
    yield from wrong or _told(("routes",), routes_of, file)
