import ipaddress
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwks_server import JwksServer

from sealwright.errors import ConfigurationError, Reason, UnavailableError
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.sources.key_address import KeyAddress
from sealwright.trust.sources.remote import RemoteJWKSet


def failure(source):
    with pytest.raises(UnavailableError) as caught:
        source.find("k1")
    assert caught.value.reason == Reason.SOURCE_UNAVAILABLE
    assert isinstance(caught.value.__cause__, UnavailableError)
    return caught.value.__cause__


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


def test_k_keys_that_cannot_be_used_are_skipped_and_reported(remote, server, events, k1):
    server.publish(k1)
    server.mode = "bad"
    source = remote()
    assert source.find("k1").key_id == "k1"
    assert (events.next().unusable, source.status().unusable, source.status().keys) == (2, 2, 1)


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


@pytest.mark.parametrize(
    "url",
    [
        "",
        "jwks.json",
        "ftp://id.example/jwks.json",
        "file:///etc/passwd",
        "https://",
        "https:///jwks.json",
        "http://id.example/jwks.json",
        "http://localhost.example/jwks.json",
        "http://10.0.0.1/jwks.json",
        "https://user:pw@id.example/jwks.json",
        "https://id.example/jwks.json#keys",
        "https://169.254.169.254/latest/meta-data",
        "https://[fe80::1]/jwks.json",
        "https://[fd00:ec2::254]/jwks.json",
        "https://[::ffff:169.254.169.254]/jwks.json",
        "https://[64:ff9b::a9fe:a9fe]/jwks.json",
        "https://[2002:a9fe:a9fe::1]/jwks.json",
        "https://100.100.100.200/",
        "https://0.0.0.0/",
        "https://id.example:99999999/",
        "https://id.exa mple/",
    ],
)
def test_a_bad_url_is_a_configuration_error_at_once(url):
    with pytest.raises(ConfigurationError) as caught:
        RemoteJWKSet(url)
    assert caught.value.reason == Reason.SETTINGS_INVALID


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example/jwks.json",
        "https://10.0.0.1/",
        "http://localhost:1/",
        "http://127.0.0.1:1/",
        "http://[::1]/",
    ],
)
def test_a_good_url_makes_a_source(url):
    assert url in repr(RemoteJWKSet(url))


@pytest.mark.parametrize("timeout_s", [0, -1.0, 61.0])
def test_a_timeout_out_of_bounds_is_a_configuration_error(timeout_s):
    with pytest.raises(ConfigurationError):
        RemoteJWKSet("https://id.example/", timeout_s=timeout_s)


@pytest.mark.parametrize(
    "resolved", ["169.254.169.254", "fe80::1%eth0", "fd00:ec2::254", "::ffff:169.254.1.1", "ff02::1"]
)
def test_a_name_that_resolves_to_a_metadata_address_is_refused(resolved):
    with pytest.raises(UnavailableError):
        KeyAddress.parse("https://id.example/").check_resolved(resolved)


@pytest.mark.parametrize("resolved", ["93.184.216.34", "10.1.2.3", "127.0.0.1", "2606:2800::1"])
def test_a_name_that_resolves_to_any_other_address_is_not(resolved):
    KeyAddress.parse("https://id.example/").check_resolved(resolved)


def test_plain_http_never_leaves_this_machine_whatever_its_name_resolves_to():
    address = KeyAddress.parse("http://localhost/")
    address.check_resolved("::1")
    with pytest.raises(UnavailableError):
        address.check_resolved("10.1.2.3")


def test_a_name_that_resolves_to_a_refused_address_is_never_connected_to(server, events):
    with RemoteJWKSet(f"https://0:{server.port}/jwks.json", observer=events, timeout_s=2.0) as source:
        assert "address that is refused" in failure(source).message
        assert events.next().outcome == "failed"


@pytest.fixture
def certificate(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = JwksServer(context)
    yield server
    server.stop()


def test_https_works_with_the_authorities_that_were_given(tls_server, certificate, k1):
    tls_server.publish(k1)
    with RemoteJWKSet(tls_server.url, tls=ssl.create_default_context(cafile=str(certificate))) as source:
        assert source.find("k1").key_id == "k1"


def test_https_with_an_unknown_authority_is_unavailable(tls_server, k1):
    tls_server.publish(k1)
    with RemoteJWKSet(tls_server.url) as source:
        assert failure(source).reason == Reason.SOURCE_UNAVAILABLE
    assert tls_server.fetches == 0


def test_https_that_drips_is_cut_at_the_deadline_too(tls_server, certificate, events):
    tls_server.mode = "drip_header"
    tls = ssl.create_default_context(cafile=str(certificate))
    with RemoteJWKSet(tls_server.url, tls=tls, timeout_s=0.4, observer=events) as source:
        with pytest.raises(UnavailableError):
            source.find("k1")
        assert events.next().outcome == "failed"
