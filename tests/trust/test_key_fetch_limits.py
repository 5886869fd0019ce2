import threading

import pytest
from hand_made import failure
from jwks_server import JwksServer

from sealwright.errors import ConfigurationError, Reason, UnavailableError
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.sources.bounded_get import MAXIMUM_BODY_BYTES
from sealwright.trust.sources.remote import RemoteJWKSet


def test_h_the_etag_is_sent_and_a_304_makes_the_same_keys_fresh_again(warm, server, clock, events):
    server.etag = '"v1"'
    source = warm()
    clock.advance(400.0)
    source.find("k1")
    event = events.next()
    assert (event.outcome, event.keys) == ("unchanged", 1)
    assert server.requests[0]["If-None-Match"] == '"v1"'
    assert source.status().fresh
    clock.advance(400.0)
    source.find("k1")
    events.next()
    assert server.requests[1]["If-None-Match"] == '"v1"'


def test_h_a_304_that_was_not_asked_for_is_no_answer(remote, server):
    server.mode = "not_modified"
    assert failure(remote()).reason == Reason.SOURCE_UNAVAILABLE


@pytest.mark.parametrize(
    ("headers", "fresh_s"),
    [
        ({}, 300.0),
        ({"Cache-Control": "public, max-age=1"}, 1.0),
        ({"Cache-Control": "max-age=60"}, 60.0),
        ({"Cache-Control": 'MAX-AGE="60", must-revalidate'}, 60.0),
        ({"Cache-Control": "max-age=86400"}, 300.0),
        ({"Cache-Control": "max-age=0"}, 1.0),
        ({"Cache-Control": "no-cache"}, 300.0),
        ({"Cache-Control": "s-maxage=5"}, 300.0),
        ({"Cache-Control": "max-age=100", "Age": "40"}, 60.0),
        ({"Cache-Control": "max-age=100", "Age": "4000"}, 1.0),
        ({"Cache-Control": "max-age=abc", "Age": "x"}, 300.0),
    ],
)
def test_h_keys_are_fresh_for_max_age_but_never_longer_than_the_cap(warm, server, clock, headers, fresh_s):
    server.headers = headers
    source = warm()
    clock.advance(fresh_s - 0.01)
    assert source.status().fresh
    clock.advance(0.02)
    assert not source.status().fresh


def test_h_a_short_max_age_is_refetched_although_the_cap_is_long(warm, server, clock, events):
    server.headers = {"Cache-Control": "max-age=1"}
    source = warm()
    clock.advance(2.3)
    source.find("k1")
    assert events.next().cause == "expired"


def test_h_a_long_max_age_is_refetched_when_the_cap_is_short(warm, server, clock, events):
    server.headers = {"Cache-Control": "max-age=600"}
    source = warm(settings=CacheSettings(freshness_s=1.0))
    clock.advance(2.3)
    source.find("k1")
    assert events.next().cause == "expired"


@pytest.mark.parametrize("mode", ["big", "endless"])
def test_i_a_body_that_is_too_big_is_refused_after_a_bounded_read(remote, server, k1, mode):
    server.publish(k1)
    server.mode = mode
    assert failure(remote()).reason == Reason.SOURCE_MALFORMED
    server.stop()
    assert server.bytes_sent < 16 * 1024 * 1024


def test_i_a_compressed_body_is_refused_and_never_unpacked(remote, server, k1):
    server.publish(k1)
    server.mode = "compressed"
    refusal = failure(remote())
    assert refusal.reason == Reason.SOURCE_MALFORMED
    assert "encoding" in refusal.message
    assert server.requests[0]["Accept-Encoding"] == "identity"


def test_j_a_redirect_is_not_followed(remote, server, k1):
    server.publish(k1)
    server.mode = "redirect"
    assert failure(remote()).reason == Reason.SOURCE_UNAVAILABLE
    assert server.paths == ["/jwks.json"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        "/other.json",
        "//id.example/jwks.json",
        "https://id.example/jwks.json",
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00:ec2::254]/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "",
    ],
)
def test_j_a_redirect_leads_nowhere_whatever_it_names(remote, server, k1, status, location):
    server.publish(k1)
    server.mode, server.location, server.redirect_status = "redirect", location, status
    assert failure(remote()).detail == f"HTTP status {status}"
    assert server.paths == ["/jwks.json"]


def test_j_a_redirect_to_another_server_never_reaches_it(remote, server, k1):
    other = JwksServer()
    other.publish(k1)
    try:
        server.mode, server.location = "redirect", other.url
        failure(remote())
        assert other.paths == []
    finally:
        other.stop()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x-gzip", "GZIP, identity", "unheard-of"])
def test_i_a_bomb_is_never_unpacked_whatever_its_encoding_is_called(remote, server, k1, encoding):
    server.mode, server.encoding = "compressed", encoding
    server.publish(*[k1] * 50)
    assert "encoding" in failure(remote()).message


def test_i_a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_not(remote, server, clock, k1):
    server.publish(k1)
    server.mode, server.size = "padded", MAXIMUM_BODY_BYTES
    source = remote()
    assert source.find("k1").key_id == "k1"
    server.size += 1
    with pytest.raises(UnavailableError) as caught:
        source.refresh()
    assert caught.value.__cause__.reason == Reason.SOURCE_MALFORMED


def test_k_keys_that_cannot_be_used_are_skipped_and_reported(remote, server, events, k1):
    server.publish(k1)
    server.mode = "bad"
    source = remote()
    assert source.find("k1").key_id == "k1"
    assert (events.next().unusable, source.status().unusable, source.status().keys) == (2, 2, 1)
    skipped = [(one.key_id, one.reason) for one in source.status().skipped]
    assert skipped == [("b1", Reason.KEY_MALFORMED), ("b2", Reason.KEY_MALFORMED)]


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("empty", Reason.SOURCE_MALFORMED),
        ("garbage", Reason.SOURCE_MALFORMED),
        ("truncated", Reason.SOURCE_UNAVAILABLE),
        ("error", Reason.SOURCE_UNAVAILABLE),
    ],
)
def test_k2_a_refresh_without_keys_is_a_failure_that_keeps_the_last_good_set(warm, server, clock, events, mode, reason):  # noqa: PLR0917
    source = warm()
    server.mode = mode
    clock.advance(400.0)
    assert source.find("k1").key_id == "k1"
    event = events.next()
    assert (event.outcome, event.reason, event.keys) == ("failed", reason, 1)
    assert source.find("k1").key_id == "k1"
    assert source.status().last_error == reason


def test_k2_a_set_of_unusable_keys_only_is_as_empty_as_an_empty_one(remote, server):
    server.mode = "bad"
    assert failure(remote()).reason == Reason.SOURCE_MALFORMED


@pytest.mark.parametrize("mode", ["drip_header", "drip_body"])
def test_an_answer_that_drips_is_cut_at_the_deadline(remote, server, events, mode):
    server.mode = mode
    source = remote(timeout_s=0.3)
    with pytest.raises(UnavailableError):
        source.find("k1")
    event = events.next()
    assert (event.outcome, event.reason) == ("failed", Reason.SOURCE_UNAVAILABLE)


def test_an_endpoint_that_hangs_is_given_up_at_the_deadline(remote, server, events):
    server.hold()
    source = remote(timeout_s=0.2)
    with pytest.raises(UnavailableError):
        source.find("k1")
    assert events.next().outcome == "failed"
    assert not server.gate.is_set()


def test_a_port_where_nobody_listens_is_unavailable(remote, server, clock):
    server.stop()
    assert failure(remote()).reason == Reason.SOURCE_UNAVAILABLE


def test_making_a_source_asks_nobody(remote, server):
    before = threading.active_count()
    source = remote()
    assert source.status().keys == 0
    assert threading.active_count() == before
    assert server.fetches == 0


@pytest.mark.parametrize("timeout_s", [0, -1.0, 61.0])
def test_a_timeout_out_of_bounds_is_a_configuration_error(timeout_s):
    with pytest.raises(ConfigurationError):
        RemoteJWKSet("https://id.example/", timeout_s=timeout_s)
