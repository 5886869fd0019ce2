"""TLS and mTLS: the listener, the command line beside it and the one elsewhere."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3
from command_here import run_here
from running_service import RunningService, clean_environment, eventually, run_cli
from throwaway_certificates import Authority, Pair

Start = Callable[..., RunningService]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def tls(pair: Pair, client_ca: Path | None = None) -> dict[str, str]:
    settings = {"SEALWRIGHT_TLS_CERT_FILE": str(pair.cert), "SEALWRIGHT_TLS_KEY_FILE": str(pair.key)}
    return settings | ({"SEALWRIGHT_TLS_CLIENT_CA_FILE": str(client_ca)} if client_ca else {})


def get(service: RunningService, authority: Authority, client: Pair | None = None, **more: Any) -> bytes:
    context = ssl.create_default_context(cafile=authority.cert)
    context.set_ciphers("ALL:@SECLEVEL=0")  # whatever is refused, the listener refuses
    for name, value in more.items():
        setattr(context, name, value)
    if client is not None:
        context.load_cert_chain(client.cert, client.key)
    with urllib3.PoolManager(retries=False, timeout=20, ssl_context=context) as pool:
        return pool.request("GET", f"{service.url}/healthz").data


def shown_by(service: RunningService) -> str:
    return ssl.get_server_certificate(("127.0.0.1", service.port))


def elsewhere(service: RunningService, authority: Authority, **more: str) -> dict[str, str]:
    return {
        **clean_environment(),
        "SEALWRIGHT_URL": service.url,
        "SEALWRIGHT_CREDENTIAL_FILE": str(service.home / "operator.token"),
        "SEALWRIGHT_CA_FILE": str(authority.cert),
        **more,
    }


def test_the_listener_speaks_tls_and_every_url_says_so(start_service: Start, authority: Authority) -> None:
    service = start_service(**tls(authority.issue("service")))
    assert service.url.startswith("https://127.0.0.1:")
    assert get(service, authority) == b"alive\n"
    assert f"{service.url}/issuers/default" in "".join(service.output)
    with urllib3.PoolManager(retries=False, timeout=20) as plain, pytest.raises(urllib3.exceptions.HTTPError):
        plain.request("GET", service.url.replace("https:", "http:") + "/healthz")


def test_a_protocol_older_than_tls_1_2_is_refused(start_service: Start, authority: Authority) -> None:
    service = start_service(**tls(authority.issue("service")))
    assert get(service, authority, maximum_version=ssl.TLSVersion.TLSv1_2) == b"alive\n"
    with pytest.raises((urllib3.exceptions.HTTPError, ssl.SSLError)), pytest.warns(DeprecationWarning, match="TLS"):
        get(service, authority, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)


def test_the_command_line_beside_it_needs_no_setting(start_service: Start, authority: Authority) -> None:
    service = start_service(**tls(authority.issue("service", host=None)))  # not even the name has to fit
    done = run_here("keys", "list", "--home", str(service.home))
    assert done.returncode == 0, done.stderr


def test_the_command_line_beside_it_trusts_no_other_certificate(start_service: Start, authority: Authority) -> None:
    service = start_service(**tls(authority.issue("service")))
    (service.home / "service-certificate").write_text("00" * 32)
    done = run_here("keys", "list", "--home", str(service.home))
    assert (done.returncode, "service.unreachable" in done.stderr) == (3, True)


def test_the_command_line_elsewhere_trusts_the_ca_or_the_very_certificate(
    start_service: Start, authority: Authority, tmp_path: Path
) -> None:
    pair = authority.issue("service")
    service = start_service(**tls(pair))
    assert run_here("keys", "list", environment=elsewhere(service, authority)).returncode == 0
    pinned = elsewhere(service, authority, SEALWRIGHT_CA_FILE=str(pair.cert))
    assert run_here("keys", "list", environment=pinned).returncode == 0
    stranger = elsewhere(service, authority, SEALWRIGHT_CA_FILE=str(Authority(tmp_path, "stranger").cert))
    assert run_here("keys", "list", environment=stranger).returncode == 3
    missing = elsewhere(service, authority, SEALWRIGHT_CA_FILE=str(tmp_path / "nowhere.pem"))
    done = run_here("keys", "list", environment=missing)
    assert (done.returncode, "settings.tls" in done.stderr) == (6, True)


def test_with_a_client_ca_only_its_certificates_get_through(
    start_service: Start, authority: Authority, tmp_path: Path
) -> None:
    clients = Authority(tmp_path, "clients")
    mine, foreign = clients.issue("mine"), authority.issue("foreign")
    service = start_service(**tls(authority.issue("service"), clients.cert))
    assert get(service, authority, mine) == b"alive\n"
    for wrong in (None, foreign):
        with pytest.raises((urllib3.exceptions.HTTPError, ssl.SSLError)):
            get(service, authority, wrong)
    shown = {"SEALWRIGHT_CLIENT_CERT_FILE": str(mine.cert), "SEALWRIGHT_CLIENT_KEY_FILE": str(mine.key)}
    assert run_here("keys", "list", environment=elsewhere(service, authority, **shown)).returncode == 0
    assert run_here("keys", "list", environment=elsewhere(service, authority)).returncode == 3
    beside = run_here("keys", "list", "--home", str(service.home), environment={**clean_environment(), **shown})
    assert beside.returncode == 0, beside.stderr


def test_a_renewed_certificate_is_served_without_a_new_start(start_service: Start, authority: Authority) -> None:
    pair = authority.issue("service")
    service = start_service(**tls(pair))
    before = shown_by(service)
    pair.cert.write_text("half of a file")
    eventually(lambda: '"reason": "settings.tls"' in "".join(service.output), "what cannot be used is said")
    assert shown_by(service) == before
    authority.issue("service")
    eventually(lambda: shown_by(service) != before, "the new certificate is served")
    assert get(service, authority) == b"alive\n"
    eventually(lambda: run_here("keys", "list", "--home", str(service.home)).returncode == 0, "the note follows")


@pytest.mark.parametrize("wrong", ["no key", "no certificate", "open key", "other key", "not PEM", "no client CA"])
def test_wrong_files_stop_the_start_and_are_named(authority: Authority, tmp_path: Path, wrong: str) -> None:
    pair, other = authority.issue("service"), authority.issue("other")
    settings = tls(pair)
    if wrong == "no key":
        del settings["SEALWRIGHT_TLS_KEY_FILE"]
    elif wrong == "no certificate":
        settings["SEALWRIGHT_TLS_CERT_FILE"] = str(tmp_path / "nowhere.pem")
    elif wrong == "open key":
        pair.key.chmod(0o644)
    elif wrong == "other key":
        settings["SEALWRIGHT_TLS_KEY_FILE"] = str(other.key)
    elif wrong == "not PEM":
        pair.cert.write_text("not PEM")
    else:
        settings["SEALWRIGHT_TLS_CLIENT_CA_FILE"] = str(pair.key)
    home = tmp_path / "data"
    done = run_cli("up", "--home", str(home), "--port", "0", environment={**clean_environment(), **settings})
    assert (done.returncode, "settings.tls" in done.stderr) == (6, True), done.stderr
    assert not home.exists()
