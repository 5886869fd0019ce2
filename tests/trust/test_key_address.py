import ipaddress
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hand_made import failure
from jwks_server import JwksServer

from sealwright.errors import ConfigurationError, Reason, UnavailableError
from sealwright.trust.sources.key_address import KeyAddress
from sealwright.trust.sources.remote import RemoteJWKSet


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


PRIVATE = ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "fd12::1", "::1", "::ffff:10.0.0.1"]


@pytest.mark.parametrize("resolved", [*PRIVATE, "64:ff9b::a01:203", "64:ff9b:1::a01:203", "2002:a01:203::1"])
def test_private_addresses_are_refused_where_the_issuers_policy_does_not_allow_them(resolved):
    KeyAddress.parse("https://id.example/").check_resolved(resolved)
    with pytest.raises(UnavailableError):
        KeyAddress.parse("https://id.example/", private=False).check_resolved(resolved)


@pytest.mark.parametrize("resolved", ["93.184.216.34", "2606:2800::1"])
def test_public_addresses_are_not(resolved):
    KeyAddress.parse("https://id.example/", private=False).check_resolved(resolved)


@pytest.mark.parametrize(
    "url", ["https://10.1.2.3/", "https://[fd12::1]/", "https://127.0.0.1/", "http://localhost:1/"]
)
def test_a_url_of_a_private_address_is_then_a_configuration_error(url):
    RemoteJWKSet(url)
    with pytest.raises(ConfigurationError):
        RemoteJWKSet(url, private_addresses=False)
    with pytest.raises(ConfigurationError):
        RemoteJWKSet("https://id.example/", url, private_addresses=False)


def test_a_name_that_resolves_to_a_private_address_is_then_never_connected_to(server):
    url = f"https://localhost:{server.port}/jwks.json"
    with RemoteJWKSet(url, private_addresses=False, timeout_s=2.0) as source:
        assert "private address" in failure(source).message
    assert server.paths == []


def test_a_name_with_one_refused_address_among_good_ones_is_refused(monkeypatch):
    """A name of the attacker's may resolve to both: which of them would be connected to is then his choice."""
    import socket

    from sealwright.trust.sources.bounded_get import BoundedGet

    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in ("127.0.0.1", "169.254.169.254")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(UnavailableError) as caught:
        BoundedGet(KeyAddress.parse("https://id.example/")).get({}, 2.0)
    assert "refused" in caught.value.message


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
