"""A token that is bound to a certificate, behind a real Envoy and nginx that are set up as the guides say."""

from __future__ import annotations

import hashlib
import re
import ssl
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from edge_world import BOUND_ISSUER, Answer, EdgeWorld, exchange, head
from gateways import Gateway
from throwaway_certificates import Authority, Pair

from sealwright.jose import base64url

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


def envoy_changes(folder: Path) -> Mapping[str, str]:
    """The fragment of the guide to the mesh, at its two places."""
    fragment = re.findall(r"```yaml\n(.*?)```", (GUIDES / "mesh.md").read_text("utf-8"), re.DOTALL)[0]
    _, manager, chain = re.split(r"^# in the .*\n", fragment.replace("/tls/", f"{folder}/"), flags=re.MULTILINE)
    return {
        "                stat_prefix: orders\n": "                stat_prefix: orders\n"
        + textwrap.indent(manager, " " * 16),
        "        - filters:\n": "        - " + textwrap.indent(chain, " " * 10).lstrip() + "          filters:\n",
    }


def nginx_changes(folder: Path) -> Mapping[str, str]:
    told = "proxy_set_header X-Client-Cert $ssl_client_escaped_cert;"
    assert told in (GUIDES / "gateway.md").read_text("utf-8")
    own = f"ssl_certificate {folder}/tls.crt; ssl_certificate_key {folder}/tls.key;"
    tls = f"{own} ssl_client_certificate {folder}/ca.crt; ssl_verify_client on;"
    before = "            internal;\n            "
    return {
        "listen 127.0.0.1:8000;": f"listen 127.0.0.1:8000 ssl; {tls}",
        f"{before}proxy_pass": f"{before}{told}\n            proxy_pass",
    }


EDGES = {
    "envoy": 'proxies = ["127.0.0.1/32"]\ncertificate_form = "xfcc"',
    "nginx": 'proxies = ["127.0.0.1/32"]\ncertificate_form = "pem"\ncertificate_header = "x-client-cert"',
}
CHANGES = {"envoy": envoy_changes, "nginx": nginx_changes}


class Mesh:
    """A proxy that ends TLS, and two clients with certificates of its authority."""

    def __init__(self, name: str, folder: Path) -> None:
        authority = Authority(folder)
        authority.cert.rename(folder / "ca.crt")
        authority.issue("tls")
        self.caller, self.other = (authority.issue(client, None) for client in ("caller", "other"))
        (folder / "sidecar").mkdir()
        (folder / "proxy").mkdir()
        self.world = EdgeWorld(folder / "sidecar", EDGES[name])
        self.gateway = Gateway(
            name, folder / "proxy", self.world.sidecar_port, self.world.app.port,
            changes=CHANGES[name](folder), tls=showing(self.caller),
        )  # fmt: skip
        der = ssl.PEM_cert_to_DER_cert(self.caller.cert.read_text())
        self.digest = hashlib.sha256(der).digest()
        self.token = self.world.token(iss=BOUND_ISSUER, cnf={"x5t#S256": base64url.encode_text(self.digest)})

    def ask(self, client: Pair, *lines: tuple[str, str]) -> Answer:
        raw = head("GET", "/orders/1", [("Authorization", f"Bearer {self.token}"), *lines])
        return exchange(self.gateway.port, raw, tls=showing(client))[0]

    def stop(self) -> None:
        self.gateway.stop()
        self.world.stop()


def showing(client: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the proxy's own certificate is not the matter
    context.load_cert_chain(client.cert, client.key)
    return context


@pytest.fixture(scope="module", params=["envoy", pytest.param("nginx", marks=pytest.mark.soak)])
def mesh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    made = Mesh(str(request.param), tmp_path_factory.mktemp(str(request.param)))
    yield made
    made.stop()


def test_a_token_that_is_bound_to_a_certificate_counts_from_its_holder_alone(mesh: Mesh) -> None:
    answer = mesh.ask(mesh.caller)
    assert answer.status == 200, answer
    assert ["x-sealwright-subject", "alice"] in [[name.lower(), value] for name, value in answer.seen()["headers"]]
    assert mesh.ask(mesh.other).status == 401


def test_no_client_writes_the_certificates_header_itself(mesh: Mesh) -> None:
    pem = mesh.caller.cert.read_text().replace("\n", "%0A").replace(" ", "%20").replace("+", "%2B")
    told = [("X-Forwarded-Client-Cert", f"Hash={mesh.digest.hex()}"), ("X-Client-Cert", pem)]
    reached = len(mesh.world.app.seen)
    for lines in (told, told + told, [(name.replace("-", "_"), value) for name, value in told]):
        assert mesh.ask(mesh.other, *lines).status in {400, 401}
    assert len(mesh.world.app.seen) == reached
    assert mesh.ask(mesh.caller, *told).status == 200
