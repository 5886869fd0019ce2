"""Two URLs of one request compare as equal, and those of two requests never do (RFC 3986 §6.2)."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.errors import Reason, RejectedError
from sealwright.trust.request_url import normalized

UNRESERVED = string.ascii_letters + string.digits + "-._~"
hosts = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{2,5}){0,2}", fullmatch=True)
segments = st.text(st.sampled_from(UNRESERVED + "!$&'()*+,;=:@"), max_size=8).filter(lambda one: one not in (".", ".."))
paths = st.lists(segments, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))
ports = st.none() | st.integers(1, 65535)


def write(scheme: str, host: str, port: int | None, path: str) -> str:
    return f"{scheme}://{host}{'' if port is None else f':{port}'}{path}"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTPS://ORDERS.example", "https://orders.example/"),
        ("https://orders.example:443/", "https://orders.example/"),
        ("http://orders.example:80/a", "http://orders.example/a"),
        ("https://orders.example:80/a", "https://orders.example:80/a"),
        ("https://orders.example:/a", "https://orders.example/a"),
        ("https://orders.example:0443/a", "https://orders.example/a"),
        ("https://orders.example?a=1", "https://orders.example/"),
        ("https://orders.example#a", "https://orders.example/"),
        ("https://orders.example/a?b#c", "https://orders.example/a"),
        ("https://orders.example/%7euser/%c3%a9/%2f", "https://orders.example/~user/%C3%A9/%2F"),
        ("https://orders.example/a/./b/../c", "https://orders.example/a/c"),
        ("https://orders.example/a/%2e%2E/c", "https://orders.example/c"),
        ("https://orders.example/../..", "https://orders.example/"),
        ("https://orders.example/a/.", "https://orders.example/a/"),
        ("https://orders.example/a//b/", "https://orders.example/a//b/"),
        ("https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443/"),
        ("https://orders.example/A", "https://orders.example/A"),
    ],
)
def test_a_url_is_written_in_its_normal_form(url: str, expected: str) -> None:
    assert normalized(url) == expected
    assert normalized(expected) == expected


@pytest.mark.parametrize(
    "url",
    [
        "", "/", "orders.example/a", "ftp://orders.example/", "https:/orders.example", "https:///a", "https://",
        "https://u@orders.example/", "https://u:p@orders.example/", "https://a\\b/", "https://orders.example\\@evil/",
        "https://orders.example/a b", "https://orders.example/\n", "https://orders.example/a\n", " https://a/",
        "https://orders.example:port/", "https://orders.example:123456/", "https://orders.example/%", "https://a/%g0",
        "https://orders.example/ä", "https://ördern.example/", "https://a/?ä", "https://[::1/", "https://a/\x00",
        "javascript:alert(1)", "https://a/" + "a" * 9000, "https://a/" + "%" * 8000,
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_request_is_refused(url: str) -> None:
    with pytest.raises(RejectedError) as caught:
        normalized(url)
    assert caught.value.reason == Reason.BINDING_PROOF


@given(scheme=st.sampled_from(["http", "https"]), host=hosts, port=ports, path=paths, seed=st.randoms())
def test_ways_to_write_one_url_are_the_same(scheme: str, host: str, port: int | None, path: str, seed: object) -> None:
    plain = normalized(write(scheme, host, port, path))
    shouted = "".join(seed.choice([one.upper(), one]) for one in f"{scheme}://{host}")  # type: ignore[attr-defined]
    encoded = "".join(f"%{ord(one):02x}" if one in UNRESERVED and seed.random() < 0.5 else one for one in path)  # type: ignore[attr-defined]
    default = {"http": 80, "https": 443}[scheme]
    written = shouted + (f":{port or default}" if port or seed.random() < 0.5 else "") + encoded + "?q=1#f"  # type: ignore[attr-defined]
    assert normalized(written) == plain == normalized(plain)


@given(
    one=st.tuples(st.sampled_from(["http", "https"]), hosts, ports, paths),
    other=st.tuples(st.sampled_from(["http", "https"]), hosts, ports, paths),
)
def test_different_urls_stay_different(one: tuple, other: tuple) -> None:  # type: ignore[type-arg]
    def target(scheme: str, host: str, port: int | None, path: str) -> tuple[object, ...]:
        return scheme, host, port or {"http": 80, "https": 443}[scheme], path

    assert (normalized(write(*one)) == normalized(write(*other))) == (target(*one) == target(*other))


@given(st.text(max_size=60).map(lambda text: "https://a" + text) | st.text(max_size=60))
def test_any_text_has_one_normal_form_or_a_reason(text: str) -> None:
    try:
        found = normalized(text)
    except RejectedError as error:
        found = error.reason
    assert found == Reason.BINDING_PROOF or normalized(found) == found
