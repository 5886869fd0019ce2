"""Routes: the most telling pattern rules, and no path passes as another however a server reads it."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.trust.admission import Admission
from sealwright.trust.decision import Verified
from sealwright.trust.evidence import Evidence
from sealwright.trust.identity import Identity, IdentityMap
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.request_path import segments_of
from sealwright.trust.routes import RouteRule, Routes
from sealwright.trust.token_check import Proven


def routes(*patterns: str) -> Routes:
    return Routes(RouteRule.parse(pattern, scopes=[pattern]) for pattern in patterns)


def outcome(rules: Routes, method: str, path: str) -> str:
    """The pattern that rules, or why none does."""
    try:
        return next(iter(rules.find(method, path).scopes))
    except sw.RejectedError as error:
        return str(error.reason)


SHOP = routes(
    "/", "/orders", "GET,HEAD /orders/*", "/orders/**", "/orders/*/items", "DELETE /orders/open",
    "/caf%C3%A9/**", "/*/new",
)  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", "/"),
        ("GET", "/orders", "/orders"),
        ("GET", "/orders/", "/orders"),
        ("GET", "/orders?x=/../admin", "/orders"),
        ("GET", "/orders/5", "GET,HEAD /orders/*"),
        ("HEAD", "/orders/5", "GET,HEAD /orders/*"),
        ("POST", "/orders/5", "route.denied"),
        ("DELETE", "/orders/open", "DELETE /orders/open"),
        ("GET", "/orders/open", "route.denied"),
        ("GET", "/orders/5/items", "/orders/*/items"),
        ("GET", "/orders/5/items/7", "/orders/**"),
        ("GET", "/orders/%35/items", "/orders/*/items"),
        ("GET", "/bills/new", "/*/new"),
        ("GET", "/bills", "route.denied"),
        ("GET", "/ord%65rs", "/orders"),
        ("GET", "/caf%c3%a9/menu", "/caf%C3%A9/**"),
        ("GET", "/Orders", "route.malformed"),
        ("GET", "/orders/OPEN", "route.malformed"),
        ("GET", "/ORDERS/5/items/7", "route.malformed"),
        ("get", "/orders", "route.malformed"),
        ("GET ", "/orders", "route.malformed"),
        ("", "/orders", "route.malformed"),
    ],
)
def test_the_most_telling_pattern_rules_and_what_none_names_is_denied(method: str, path: str, expected: str) -> None:
    assert outcome(SHOP, method, path) == expected


TRICKS = [
    "", "orders", "//orders", "/orders//5", "/./orders", "/orders/..", "/orders/../admin", "/orders/%2e%2e/admin",
    "/orders/%2E./admin", "/orders%2Fadmin", "/orders%2fadmin", "/orders/%252e%252e/admin", "/orders%255cadmin",
    "/orders\\admin", "/orders%5cadmin", "/orders;x/admin", "/orders/..;/admin", "/orders%3b/admin", "/orders/%00",
    "/orders/\x00", "/orders/ä", "/orders/%ff", "/orders/%c0%af", "/orders/%c0%ae%c0%ae/", "/orders/%", "/orders/%4",
    "/orders/%zz", "/orders/5%20", "/orders/%205", "/orders/5.", "/orders/...", "/orders/5%3Fadmin", "/orders/5%23x",
    "/orders#x", "/orders/\n", "/orders/%0d%0a", "/orders/%ef%bc%8e%ef%bc%8e/admin", "/orders/cafe%cc%81",
    "/orders/%e2%80%ae", "/orders/a b", "http://x/orders", "*", "/%2a%2a;", "/orders/%7e%25", "/" + "a" * 9000,
    "/a" * 65, "/orders/%EF%BC%8Fadmin", "/orders/%u0041", "/orders|x", "/orders/%E2%84%AA", "/orders/{x}", "/orders/`",
]  # fmt: skip


@pytest.mark.parametrize("path", TRICKS, ids=ascii)
def test_a_path_that_can_be_read_in_two_ways_is_refused_whatever_the_rules_are(path: str) -> None:
    assert outcome(routes("/**"), "GET", path) == "route.malformed"


@pytest.mark.parametrize(
    "patterns",
    [
        ["orders"], ["GET"], ["GET  /orders"], ["get /orders"], ["GET,/orders"], ["GET, HEAD /orders"],
        ["/orders/**/x"],
        ["/a/../b"], ["/a//b"], ["/a?x"], ["/a%2a"], ["/a/%2A%2A"], ["/orders", "/Orders"], ["/orders", "/orders/"],
        ["GET /a", "GET,POST /a"], ["/a/%62", "/a/b"], [""], ["POST /a", "GET /A"],
    ],
    ids=str,
)  # fmt: skip
def test_patterns_that_are_none_or_cannot_be_told_apart_are_refused(patterns: list[str]) -> None:
    with pytest.raises(sw.ConfigurationError):
        routes(*patterns)


def test_methods_of_one_pattern_may_need_different_things() -> None:
    rules = routes("GET /a", "POST /a", "/a")
    assert [outcome(rules, method, "/a") for method in ("GET", "POST", "PUT")] == ["GET /a", "POST /a", "/a"]


def test_without_a_rule_nothing_is_open() -> None:
    assert outcome(Routes([]), "GET", "/") == "route.denied"


ALICE = Identity("https://id.example", {"subject": "alice"}, {"scopes": ("read", "write"), "roles": ("clerk",)})


@pytest.mark.parametrize(
    ("needs", "reason"),
    [
        ({}, None),
        ({"scopes": ["read", "write"]}, None),
        ({"scopes": ["read", "delete"]}, "claims.scope"),
        ({"roles": ["clerk", "admin"]}, None),
        ({"roles": ["admin"]}, "route.denied"),
        ({"issuers": ["https://id.example"]}, None),
        ({"issuers": ["https://other.example"]}, "route.denied"),
        ({"issuers": ["https://id.example"], "scopes": ["read"], "roles": ["admin"]}, "route.denied"),
    ],
    ids=str,
)
def test_a_route_needs_all_its_scopes_one_of_its_roles_and_one_of_its_issuers(
    needs: dict[str, list[str]], reason: str | None
) -> None:
    rules = Routes([RouteRule.parse("/a", **needs)])
    if reason is None:
        rules.check("GET", "/a", ALICE)
        return
    with pytest.raises(sw.RejectedError) as caught:
        rules.check("GET", "/a", ALICE)
    assert caught.value.reason == reason


# Ways in which servers and frameworks read a path; each maps a raw path to what a handler would be looked up with.
READERS: list[Callable[[str], str]] = [
    str,
    unquote,
    lambda raw: unquote(unquote(raw)),
    lambda raw: posixpath.normpath(unquote(raw)),
    lambda raw: unquote(posixpath.normpath(raw)),
    lambda raw: unquote(raw).replace("\\", "/"),
    lambda raw: posixpath.normpath(unquote(raw).replace("\\", "/")),
    lambda raw: "/".join(part.split(";", 1)[0] for part in unquote(raw).split("/")),
    lambda raw: unquote("/".join(part.split(";", 1)[0] for part in raw.split("/"))),
    lambda raw: unquote(raw).split("\x00", 1)[0],
    lambda raw: unquote(raw).split("#", 1)[0].split("?", 1)[0],
    lambda raw: unicodedata.normalize("NFKC", unquote(raw)),
    lambda raw: posixpath.normpath(unicodedata.normalize("NFKC", unquote(raw))),
    lambda raw: unquote(raw, encoding="utf-8", errors="replace"),
    lambda raw: "/".join(part.rstrip(". ") for part in unquote(raw).split("/")),
    lambda raw: "/".join(part.strip() for part in unquote(raw).split("/")),
    lambda raw: unquote(raw).casefold(),
]


def parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


PIECES = st.sampled_from(
    [
        "a", "A", "admin", "Admin", "orders", "/", "//", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", ";", "%3b", "%25",
        "%", "2e", "%00", "%20", " ", "?", "%3f", "#", "%23", "*", "%2a", "%61", "%41", "%c3%a9", "e%cc%81",
        "%ef%bc%8f", "%ff", "~", "-",
    ]
)  # fmt: skip
PATHS = st.lists(PIECES, max_size=8).map("".join).map(lambda path: "/" + path)


@given(PATHS)
@example("/orders/..%2fadmin")
@example("/admin%20")
@example("/ADMIN")
def test_no_path_that_a_server_reads_as_a_guarded_one_is_ruled_by_another_rule(path: str) -> None:
    """``/admin/**`` needs more than the rest: whoever any reader would take to it must be held to it."""
    rules = routes("/admin/**", "/orders/**", "/**")
    ruled = outcome(rules, "GET", path)
    if ruled in ("route.malformed", "route.denied"):
        return
    target = path.split("?", 1)[0]
    for read in READERS:
        first = next(iter(parts(read(target))), "")
        for guarded in ("admin", "orders"):
            if first.casefold() == guarded:
                assert ruled == f"/{guarded}/**", (path, read(target))


def encodings(segment: str) -> Iterator[str]:
    yield segment
    yield "".join(f"%{byte:02x}" for byte in segment.encode())
    yield "".join(f"%{byte:02X}" if index % 2 else chr(byte) for index, byte in enumerate(segment.encode()))


@given(st.lists(st.text("abcxyz019-_~", min_size=1, max_size=5), max_size=4))
def test_however_a_plain_path_is_encoded_it_is_the_same_path(segments: list[str]) -> None:
    ways = [list(encodings(segment)) for segment in segments]
    for way in range(3):
        assert segments_of("/" + "/".join(one[way] for one in ways)) == tuple(segments)


@given(st.text(max_size=30), st.text(max_size=8))
def test_anything_else_is_refused_with_a_reason_and_never_a_fault(path: str, method: str) -> None:
    assert outcome(SHOP, method, path)


@pytest.mark.parametrize("url", ["/publichttp://x/admin", "/public/https://x/admin", "ftp://x/public", "//x/public"])
def test_only_the_origin_at_the_beginning_of_a_url_is_left_out(url: str) -> None:
    rules = Admission(IdentityMap(), routes("/public/**"))
    shown = Evidence(method="GET", url=url)
    seen = Verified("https://id.example", "k", "ES256", {"scope": "/public/**"})
    policy = VerificationPolicy(issuer="https://id.example", audience="a")
    with pytest.raises(sw.RejectedError) as caught:
        rules.check(Proven(policy, seen, "", shown), 0.0)
    assert caught.value.reason == sw.Reason.ROUTE_MALFORMED
