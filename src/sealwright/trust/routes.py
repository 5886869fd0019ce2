"""Routes: what a token must bring for a method and a path. The most telling pattern rules, and nothing is open unsaid.

A pattern is a path whose segments stand for themselves, ``*`` for any one, and ``**`` at its end for all that follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.trust.identity import Identity
from sealwright.trust.request_path import check_method, segments_of

_ANY, _REST = "*", "**"


class MissingScopesError(RejectedError):
    """The identity has not all ``scopes`` that a route needs; a challenge may tell them (RFC 6750 §3)."""

    def __init__(self, missing: Iterable[str], scopes: frozenset[str]) -> None:
        super().__init__(Reason.CLAIMS_SCOPE, f"the token lacks the scope: {' '.join(missing)}")
        self.scopes = scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRule:
    """All of ``scopes`` and, if there are any, one of ``roles`` and one of ``issuers``. No methods: every method."""

    pattern: tuple[str, ...]
    methods: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    issuers: frozenset[str] = frozenset()

    @classmethod
    def parse(
        cls, route: str, *, scopes: Iterable[str] = (), roles: Iterable[str] = (), issuers: Iterable[str] = ()
    ) -> Self:
        """``route`` is a pattern, with methods before it: ``GET,HEAD /orders/**``. Raises ConfigurationError."""
        methods, _, path = route.rpartition(" ")
        named = frozenset(methods.split(",")) if methods else frozenset()
        try:
            for method in named:
                check_method(method)
            pattern = _pattern(path)
        except RejectedError as error:
            message = "a route is a path such as /orders/**, with methods before it if they matter: GET,HEAD /orders/**"
            raise ConfigurationError(Reason.SETTINGS_INVALID, message) from error
        needed = {"scopes": frozenset(scopes), "roles": frozenset(roles), "issuers": frozenset(issuers)}
        return cls(pattern=pattern, methods=named, **needed)

    def rank(self) -> tuple[int, ...]:
        """The smaller, the more telling: a segment that is named before any one, and that before all the rest."""
        return (*({_ANY: 1, _REST: 2}.get(one, 0) for one in self.pattern), -1)

    def check(self, identity: Identity) -> None:
        """Raises RejectedError ``route.denied`` or ``claims.scope``."""
        if self.issuers and identity.issuer not in self.issuers:
            raise _denied("this route is not open to tokens of this issuer")
        if missing := sorted(self.scopes - identity.scopes):
            raise MissingScopesError(missing, self.scopes)
        if self.roles and self.roles.isdisjoint(identity.roles):
            raise _denied(f"the token has none of the roles: {' '.join(sorted(self.roles))}")


class Routes:
    """Raises ConfigurationError ``settings.invalid`` for rules that cannot be told apart."""

    def __init__(self, rules: Iterable[RouteRule]) -> None:
        by_pattern: dict[tuple[str, ...], list[RouteRule]] = {}
        for rule in sorted(rules, key=RouteRule.rank):
            by_pattern.setdefault(rule.pattern, []).append(rule)
        self._rules = {pattern: _by_method(rules) for pattern, rules in by_pattern.items()}
        self._patterns = {_folded(pattern): pattern for pattern in by_pattern}  # the most telling first
        if len(self._patterns) != len(self._rules):
            raise ConfigurationError(Reason.SETTINGS_INVALID, "two routes differ by case alone")

    def find(self, method: str, target: str) -> RouteRule:
        """The rule of a request. Raises RejectedError ``route.malformed`` or ``route.denied``.

        The pattern is chosen by the path alone; a method that none of its rules names is denied.
        """
        check_method(method)
        segments = segments_of(target)
        found = next((one for one in self._patterns.values() if _matches(one, segments)), None)
        whatever_case = next((one for one in self._patterns if _matches(one, _folded(segments))), None)
        if whatever_case is not None and self._patterns[whatever_case] != found:
            raise RejectedError(Reason.ROUTE_MALFORMED, "the path differs by case alone from that of another rule")
        rules = self._rules[found] if found is not None else {}
        rule = rules.get(method) or rules.get(None)
        if rule is None:
            raise _denied("no rule opens this route")
        return rule

    def check(self, method: str, target: str, identity: Identity) -> None:
        """Raises RejectedError ``route.malformed``, ``route.denied`` or ``claims.scope``."""
        self.find(method, target).check(identity)


def _by_method(rules: Iterable[RouteRule]) -> Mapping[str | None, RouteRule]:
    """None is every other method."""
    found: dict[str | None, RouteRule] = {}
    for rule in rules:
        for method in rule.methods or {None}:
            if method in found:
                raise ConfigurationError(Reason.SETTINGS_INVALID, "two routes are the same for a method")
            found[method] = rule
    return found


def _pattern(path: str) -> tuple[str, ...]:
    """Raises RejectedError ``route.malformed``, also for a wildcard that is written as something else."""
    pattern = segments_of(path)
    if "?" in path or "%2a" in path.lower() or _REST in pattern[:-1]:
        raise RejectedError(Reason.ROUTE_MALFORMED, "no pattern")
    return pattern


def _matches(pattern: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    if pattern[-1:] == (_REST,):
        pattern, segments = pattern[:-1], segments[: len(pattern) - 1]
    return len(pattern) == len(segments) and all(
        want in (_ANY, have) for want, have in zip(pattern, segments, strict=True)
    )


def _folded(segments: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(segment.casefold() for segment in segments)


def _denied(message: str) -> RejectedError:
    return RejectedError(Reason.ROUTE_DENIED, message)
