"""The keys of an issuer that is only known by its name: OpenID Connect Discovery and RFC 8414."""

import pytest
from hand_made import failure
from jwks_server import JwksServer

from sealwright.errors import ConfigurationError, Reason, RejectedError, UnavailableError
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.sources.discovered import DiscoveredJWKSet, metadata_urls

STEADY = CacheSettings(unknown_kid_wait_s=10.0, refresh_jitter_ratio=0.0, backoff_jitter_ratio=0.0)
OPENID = "/tenant/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server/tenant"


@pytest.fixture
def issuer(server, k1):
    """The server publishes k1 and a discovery document."""
    name = f"{server.origin}/tenant"
    server.publish(k1)
    server.pages[OPENID] = {"issuer": name, "jwks_uri": server.url}
    return name


@pytest.fixture
def discovered(issuer, clock, events):
    made = []

    def make(*mirrors, **changes):
        usual = {"clock": clock, "observer": events, "timeout_s": 10.0, "settings": STEADY}
        made.append(DiscoveredJWKSet(issuer, *mirrors, **{**usual, **changes}))
        return made[-1]

    yield make
    for source in made:
        source.close()


def test_the_keys_are_found_by_the_issuers_name(discovered, server):
    source = discovered()
    assert source.find("k1").key_id == "k1"
    assert server.paths == [OPENID, "/jwks.json"]
    assert source.status().url == server.url


def test_the_metadata_of_an_authorization_server_will_do(discovered, server, issuer):
    server.pages[OPENID] = 404
    server.pages[OAUTH] = {"issuer": issuer, "jwks_uri": server.url}
    assert discovered().find("k1").key_id == "k1"
    assert server.paths == [OPENID, OAUTH, "/jwks.json"]


@pytest.mark.parametrize(
    ("issuer", "openid", "oauth"),
    [
        (
            "https://id.example",
            "https://id.example/.well-known/openid-configuration",
            "https://id.example/.well-known/oauth-authorization-server",
        ),
        (
            "https://id.example/a/b/",
            "https://id.example/a/b/.well-known/openid-configuration",
            "https://id.example/.well-known/oauth-authorization-server/a/b",
        ),
    ],
)
def test_the_documents_lie_where_the_standards_put_them(issuer, openid, oauth):
    assert metadata_urls(issuer) == (openid, oauth)


def test_many_cold_callers_share_one_discovery_and_one_fetch(discovered, server, in_threads):
    server.hold()
    source = discovered()
    crowd = in_threads([lambda: source.find("k1")] * 50)
    server.wait_for_fetches(1)
    server.release()
    assert {key.key_id for key in crowd.join()} == {"k1"}
    assert server.paths == [OPENID, "/jwks.json"]


def test_200_unknown_kids_cost_no_more_than_the_budget_and_no_discovery(discovered, server):
    source = discovered()
    source.find("k1")
    server.paths.clear()
    for number in range(200):
        with pytest.raises(RejectedError):
            source.find(f"unk-{number}")
    assert server.paths == ["/jwks.json"] * 5


def test_the_document_is_asked_for_again_when_it_has_grown_old(discovered, server, clock):
    source = discovered(settings=CacheSettings(discovery_s=1000.0, stale_s=5000.0))
    source.find("k1")
    clock.advance(999.0)
    source.refresh()
    assert server.paths.count(OPENID) == 1
    clock.advance(2.0)
    source.refresh()
    assert server.paths.count(OPENID) == 2


def test_a_document_of_a_short_max_age_is_still_asked_for_no_more_often_than_keys_are(discovered, server, clock):
    server.headers = {"Cache-Control": "max-age=1"}
    source = discovered()
    for _ in range(10):
        source.refresh()
        clock.advance(29.0)
    assert server.paths.count(OPENID) == 1
    clock.advance(20.0)
    source.refresh()
    assert server.paths.count(OPENID) == 2


def test_a_document_is_believed_no_longer_than_the_settings_say_whatever_its_max_age(discovered, server, clock):
    server.headers = {"Cache-Control": "max-age=86400"}
    source = discovered(settings=CacheSettings(discovery_s=1000.0, stale_s=5000.0))
    source.find("k1")
    clock.advance(1001.0)
    source.refresh()
    assert server.paths.count(OPENID) == 2


def test_keys_that_have_moved_are_found_after_one_failed_fetch(discovered, server, issuer, clock, k2):
    source = discovered()
    source.find("k1")
    moved = JwksServer()
    moved.publish(k2)
    try:
        server.mode = "error"
        server.pages[OPENID] = {"issuer": issuer, "jwks_uri": moved.url}
        with pytest.raises(UnavailableError):
            source.refresh()
        clock.advance(1.0)
        assert source.refresh().url == moved.url
        assert source.find("k2").key_id == "k2"
    finally:
        moved.stop()


@pytest.mark.parametrize("broken", [500, {"issuer": "https://evil.example", "jwks_uri": "https://evil.example/"}])
def test_while_discovery_fails_the_address_that_is_known_stays_in_use(discovered, server, clock, broken):
    source = discovered(settings=CacheSettings(discovery_s=300.0))
    source.find("k1")
    server.pages[OPENID] = broken
    clock.advance(301.0)
    source.refresh()
    assert source.status().fresh
    assert server.paths[-1] == "/jwks.json"


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": 7},
        {"jwks_uri": "http://id.example/jwks.json"},
        {"jwks_uri": "https://169.254.169.254/latest"},
        {"jwks_uri": "https://[fd00:ec2::254]/"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "https://user:pw@id.example/"},
        {"jwks_uri": "http://10.0.0.1/jwks.json"},
    ],
)
def test_a_document_that_names_another_issuer_or_a_refused_address_leads_nowhere(discovered, server, changed):
    server.pages[OPENID] |= changed
    assert failure(discovered()).reason == Reason.SOURCE_MALFORMED
    assert server.fetches == 0


def test_the_issuers_name_must_be_the_same_to_the_last_slash(discovered, server, issuer):
    server.pages[OPENID]["issuer"] = issuer + "/"
    assert failure(discovered()).reason == Reason.SOURCE_MALFORMED


def test_behind_an_https_issuer_the_keys_are_https_too_even_on_this_machine(server, k1):
    from sealwright.trust.sources.bounded_get import Answer
    from sealwright.trust.sources.discovered import _DiscoveredFetcher

    settings = CacheSettings()
    fetcher = _DiscoveredFetcher("https://id.example", private=True, settings=settings, algorithms=None, tls=None)
    body = b'{"issuer":"https://id.example","jwks_uri":"%s"}'
    with pytest.raises(UnavailableError):
        fetcher._address(Answer(200, {}, body % b"http://127.0.0.1:1/"))
    assert fetcher._address(Answer(200, {}, body % b"https://127.0.0.1:1/")).port == 1


@pytest.mark.parametrize("mode", [{"mode": "redirect"}, {"mode": "big"}, {"mode": "compressed"}, {"mode": "garbage"}])
def test_the_document_is_fetched_under_the_same_limits(discovered, server, mode):
    del server.pages[OPENID]
    server.mode = mode["mode"]
    with pytest.raises(UnavailableError):
        discovered().find("k1")
    assert "/elsewhere.json" not in server.paths
    assert server.bytes_sent < 16 * 1024 * 1024


def test_a_document_that_drips_is_cut_at_the_deadline(discovered, server, events):
    del server.pages[OPENID]
    server.mode = "drip_body"
    with pytest.raises(UnavailableError):
        discovered(timeout_s=0.4).find("k1")
    assert events.next().outcome == "failed"


def test_a_mirror_stands_in_where_the_issuer_says_nothing(discovered, server, k1):
    server.pages[OPENID] = 500
    mirror = JwksServer()
    mirror.publish(k1)
    try:
        source = discovered(mirror.url)
        assert source.find("k1").key_id == "k1"
        assert source.status().url == mirror.url
    finally:
        mirror.stop()


def test_closing_ends_a_discovery_that_hangs(discovered, server, in_threads):
    del server.pages[OPENID]
    server.hold()
    source = discovered(timeout_s=30.0)
    crowd = in_threads([lambda: source.find("k1")])
    server.wait_for(lambda: server.paths)
    source.close()
    assert crowd.join()[0].reason == Reason.SOURCE_UNAVAILABLE
    server.release()


@pytest.mark.parametrize(
    "issuer", ["", "id.example", "http://id.example", "https://id.example?x=1", "https://id.example#x", "https://"]
)
def test_an_issuer_that_is_no_url_is_a_configuration_error(issuer):
    with pytest.raises(ConfigurationError):
        DiscoveredJWKSet(issuer)
