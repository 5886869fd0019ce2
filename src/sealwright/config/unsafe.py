"""Combinations that are refused or warned of, though each value by itself is right. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from sealwright.config.names import INTERNAL_ISSUER
from sealwright.config.policies import policy_of, unsafe
from sealwright.config.reading import Fault
from sealwright.config.tables import ConfigFile, times_of

# The algorithms that a backend makes; a text says why they cannot be told here, ValueError what is wrong with the URI.
Makes = Callable[[str, str], frozenset[str] | str]


def combinations(file: ConfigFile, makes: Makes, *, database_is_shared: bool = False) -> list[Fault]:
    """Every fault that a schema cannot tell. With [service] strict, warnings are errors."""
    found = [
        *_addresses(file),
        *_backends_and_algorithms(file, makes),
        *_timings(file),
        *_windows(file),
        *_people(file),
        *(_shared_local(file) if database_is_shared else ()),
    ]
    return [Fault(fault.key, fault.message, fault.warning and not file.service.strict) for fault in found]


def _addresses(file: ConfigFile) -> Iterator[Fault]:
    service, key = file.service, ("service", "public_url")
    if service.public_url is None:
        if not _loopback(service.host):
            yield Fault(
                ("service", "host"), "others can reach this address: set public_url, which every iss begins with"
            )
        if service.port == 0:
            yield Fault(("service", "port"), "a free port makes another iss at each start: set public_url", True)
        return
    host = urlsplit(service.public_url).hostname or ""
    if host in ("0.0.0.0", "::") or "*" in host:  # noqa: S104 it is refused here
        yield Fault(key, "a wildcard address is nowhere: name the host by which others reach the service")
    elif _loopback(host) and not _loopback(service.host):
        yield Fault(key, "only this machine reaches a loopback address, and host listens to others", True)
    elif service.public_url.startswith("http:") and not _loopback(host):
        yield Fault(key, "verifiers fetch keys from here: use https, or anybody on the way can give them others", True)


def _backends_and_algorithms(file: ConfigFile, makes: Makes) -> Iterator[Fault]:
    made: dict[str, frozenset[str] | str] = {"local": makes("local", "")}
    if "local" in file.backends:
        yield Fault(("backends", "local"), "local is there already: give this backend another name")
    for name, backend in file.backends.items():
        key = ("backends", name, "uri")
        try:
            made[name] = makes(name, backend.uri)
        except ValueError as error:
            made[name] = "wrong"
            yield Fault(key, str(error))
            continue
        if isinstance(made[name], str):
            yield Fault(key, f"its algorithms are not checked: {made[name]}", True)
    for name, issuer in file.issuers.items():
        can = made.get(issuer.backend)
        if can is None:
            message = f"there is no such backend: {', '.join(sorted(made))}, or add [backends.{issuer.backend}]"
            yield Fault(("issuers", name, "backend"), message)
        elif not isinstance(can, str) and issuer.algorithm not in can:
            message = f"the backend {issuer.backend} makes no such keys, but {', '.join(sorted(can))}"
            yield Fault(("issuers", name, "algorithm"), message)


def _timings(file: ConfigFile) -> Iterator[Fault]:
    defaults = times_of(file.timings.model_dump())
    for name, issuer in file.issuers.items():
        for key, message in unsafe(policy_of(issuer, defaults)):
            yield Fault(("issuers", name, key), message)


def _windows(file: ConfigFile) -> Iterator[Fault]:
    """A window that somebody wrote down and that is not kept, since tokens need a longer one."""
    everywhere = file.timings.verify_window if "verify_window" in file.timings.model_fields_set else None
    for name, issuer in file.issuers.items():
        window_s = everywhere if issuer.verify_window is None else issuer.verify_window
        tail_s = policy_of(issuer, times_of(file.timings.model_dump())).timings.verify_tail_s
        if window_s and window_s < tail_s:
            yield Fault(
                ("issuers", name, "longest_token" if issuer.verify_window is None else "verify_window"),
                f"a token with leeway and caches is in use for {tail_s:g} s, and verify_window covers {window_s:g} s: "
                "shorten longest_token, or lengthen verify_window (0: just as long as tokens need)",
            )


def _people(file: ConfigFile) -> Iterator[Fault]:
    for name, issuer in file.issuers.items():
        if name == INTERNAL_ISSUER:
            yield Fault(("issuers", name), "this issuer is the service's own: see internal_algorithm in [service]")
        elif not issuer.owner:
            yield Fault(("issuers", name), 'nobody answers for this issuer: add owner = "…"', True)


def _shared_local(file: ConfigFile) -> Iterator[Fault]:
    for name, issuer in file.issuers.items():
        if issuer.backend == "local":
            message = "several replicas can share this database, and the keys of local are on one machine's disk"
            yield Fault(("issuers", name), f"{message}: use another backend, or run one replica", True)


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
