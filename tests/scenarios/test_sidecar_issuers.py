"""A live sidecar with issuers of several kinds, one of them down: each is decided over by its own rules alone."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jwks_server import JwksServer
from running_service import clean_environment
from running_sidecar import COMMAND, RunningSidecar
from servers import free_port

import sealwright as sw
from sealwright.profiles.dpop_proof import sign_proof

KEYS = {name: sw.PrivateJWK.generate("ES256", key_id=name) for name in ("login", "cluster", "mesh", "down")}
SECRET = sw.SecretJWK.generate("HS256", key_id="partner")
WORKFLOW = {
    "sub": "repo:octo/app:ref:refs/heads/main", "repository": "octo/app", "repository_owner": "octo",
    "ref": "refs/heads/main", "sha": "abc", "workflow": "ci", "event_name": "push", "actor": "mona", "run_id": "7",
}  # fmt: skip
ACCOUNT = {"namespace": "shop", "serviceaccount": {"name": "cart", "uid": "u-1"}}
CLUSTER, PARTNER, DOWN, MESH = (
    "https://cluster.example",
    "https://partner.example",
    "https://down.example",
    "spiffe://example.org",
)
FILE = """
[identity]
scopes = "scope"
roles = "roles"

[routes."GET /orders/**"]
scopes = ["orders:read"]
[routes."POST /orders"]
scopes = ["orders:write"]
issuers = ["{login}"]
[routes."/admin/**"]
roles = ["admin"]
[routes."/deploy"]
issuers = ["{login}", "{cluster}"]

[issuers."{login}"]
profile = "github-actions"
audience = ["orders", "deploys"]
discovery = true
claims = {{ repository = "octo/app" }}
identity = {{ name = "{{repository}}@{{ref}}" }}

[issuers."{cluster}"]
profile = "kubernetes"
audience = "orders"
jwks_url = "{cluster_jwks}"
claims = {{ "kubernetes.io/namespace" = ["shop"] }}
identity = {{ name = "kubernetes.io/serviceaccount/name" }}

[issuers."{mesh}"]
profile = "spiffe"
trust_domain = "example.org"
audience = "orders"
keys_file = "bundle.json"
binding = ["mtls"]

[issuers."{partner}"]
profile = "jwt"
audience = "bills"
secret_file = "secret.json"
replay = "on"
binding = ["dpop"]

[replay]
capacity = 1000

[issuers."{down}"]
profile = "at+jwt"
audience = "orders"
jwks_url = "http://127.0.0.1:{closed}/jwks.json"
required = {required}
"""


class Running:
    """The sidecar, and the servers that its issuers have."""

    def __init__(self, folder: Path, *, down_is_required: bool) -> None:
        self.login_server, self.cluster_server = JwksServer(), JwksServer()
        self.login = self.login_server.origin
        self.login_server.publish(KEYS["login"])
        self.login_server.pages["/.well-known/openid-configuration"] = {
            "issuer": self.login, "jwks_uri": self.login_server.url,
        }  # fmt: skip
        self.cluster_server.publish(KEYS["cluster"])
        (folder / "bundle.json").write_text(json.dumps(bundle(KEYS["mesh"])))
        write_secret(folder / "secret.json")
        text = FILE.format(
            login=self.login, cluster=CLUSTER, cluster_jwks=self.cluster_server.url, mesh=MESH, partner=PARTNER,
            down=DOWN, closed=free_port(), required=str(down_is_required).lower(),
        )  # fmt: skip
        self.folder = folder
        (folder / "verifier.toml").write_text(text)
        self.sidecar = RunningSidecar(folder / "log", {"CONFIG": str(folder / "verifier.toml")})

    def stop(self) -> None:
        self.sidecar.stop()
        self.login_server.stop()
        self.cluster_server.stop()

    def decide(self, token: str, **members: Any) -> dict[str, Any]:
        answer = self.sidecar.request("POST", "/v1/verify", {"token": token, **members})
        assert answer.status == 200, answer.body
        return dict(answer.json())

    def workflow(self, **changes: Any) -> str:
        return token("login", {"iss": self.login, "aud": "orders", "jti": "1", **WORKFLOW, **changes})


def bundle(key: sw.PrivateJWK) -> dict[str, Any]:
    svid, other = key.public.to_dict() | {"use": "jwt-svid"}, key.public.to_dict() | {"use": "x509-svid"}
    return {"spiffe_sequence": 1, "spiffe_refresh_hint": 60, "keys": [{**other, "kid": "x"}, svid]}


def write_secret(path: Path) -> None:
    path.write_text(json.dumps(SECRET.export_secret_dict()))
    path.chmod(0o600)


def token(signer: str, claims: dict[str, Any], typ: str | None = None, key: Any = None) -> str:
    now = int(time.time())
    payload = {"iat": now, "exp": now + 300, **claims}
    return sw.sign(json.dumps(payload).encode(), key or KEYS[signer], typ=typ)


def account(**changes: Any) -> str:
    claims = {"iss": CLUSTER, "aud": ["orders"], "jti": "1", "sub": "system:serviceaccount:shop:cart"}
    return token("cluster", {**claims, "kubernetes.io": ACCOUNT, **changes})


def svid(**changes: Any) -> str:
    return token("mesh", {"aud": ["orders"], "sub": "spiffe://example.org/cart", **changes}, "JWT")


def access_token(**changes: Any) -> str:
    claims = {"iss": DOWN, "aud": "orders", "sub": "alice", "client_id": "shop", "jti": "1"}
    return token("down", {**claims, **changes}, "at+jwt")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    one = Running(tmp_path_factory.mktemp("sidecar"), down_is_required=False)
    yield one
    one.stop()


def test_each_issuer_is_decided_over_by_its_own_kind_and_keys(running: Running) -> None:
    expected = [
        (running.workflow(), running.login, {"name": "octo/app@refs/heads/main", "subject": WORKFLOW["sub"]}),
        (account(), CLUSTER, {"name": "cart", "subject": "system:serviceaccount:shop:cart"}),
        (svid(), MESH, {"subject": "spiffe://example.org/cart"}),
        (
            token("", {"iss": PARTNER, "aud": "bills", "jti": "i", "roles": ["admin"]}, key=SECRET),
            PARTNER,
            {"roles": ["admin"]},
        ),
    ]
    for presented, issuer, identity in expected:
        decision = running.decide(presented)
        assert (decision["outcome"], decision["issuer"]) == ("accepted", issuer), decision
        assert decision["identity"] == {"issuer": issuer, **identity}


def test_no_issuer_can_speak_for_another(running: Running) -> None:
    rejected = {
        "the cluster's key under the mesh's name": token("cluster", {"aud": ["orders"], "sub": "spiffe://example.org/x"}),
        "a workflow of somebody else": running.workflow(repository="octo/other"),
        "a namespace of somebody else": account(**{
            "sub": "system:serviceaccount:evil:cart", "kubernetes.io": ACCOUNT | {"namespace": "evil"},
        }),
        "the partner for another audience": token("", {"iss": PARTNER, "aud": "orders"}, key=SECRET),
        "an access token of the cluster": token("cluster", {"iss": CLUSTER, "aud": "orders"}, "at+jwt"),
        "an issuer that nobody named": token("login", {"iss": "https://other.example", "aud": "orders"}),
    }  # fmt: skip
    for what, presented in rejected.items():
        assert running.decide(presented)["outcome"] == "rejected", what


def test_the_issuer_that_is_down_is_undecided_and_holds_nobody_else_up(running: Running) -> None:
    running.decide(account())
    began = time.monotonic()
    decision = running.decide(access_token())
    assert (decision["outcome"], decision["reason"]) == ("undecided", "source.unavailable")
    for _ in range(20):
        assert running.decide(access_token())["outcome"] == "undecided"
        assert running.decide(account())["outcome"] == "accepted"
        assert running.decide(svid())["outcome"] == "accepted"
    assert time.monotonic() - began < 10
    forged = access_token()[:-8] + "AAAAAAAA"
    assert running.decide(forged)["outcome"] == "undecided"
    assert running.decide(access_token(), method="GET", path="/nowhere")["outcome"] == "undecided"


def test_bound_tokens_count_only_where_a_binding_is_configured_and_proven(running: Running) -> None:
    thumbprint = "a" * 43
    for presented, reason in (
        (svid(cnf={"x5t#S256": thumbprint}), None),
        (account(cnf={"x5t#S256": thumbprint}), "binding.missing"),
    ):
        assert running.decide(presented)["reason"] == "binding.missing"
        assert running.decide(presented, certificate_thumbprint=thumbprint)["reason"] == reason
    wrong = running.decide(svid(cnf={"x5t#S256": thumbprint}), certificate_thumbprint="b" * 43)
    assert wrong["reason"] == "binding.mismatch"


def test_a_token_counts_once_where_replay_is_on_and_a_refused_one_is_not_used_up(running: Running) -> None:
    presented = token("", {"iss": PARTNER, "aud": "bills", "sub": "a", "jti": "once"}, key=SECRET)
    assert running.decide(presented, method="GET", path="/elsewhere")["reason"] == "route.denied"
    assert running.decide(presented, method="GET", path="/orders/../x")["reason"] == "route.malformed"
    assert running.decide(presented, audience="bills")["outcome"] == "accepted"
    assert running.decide(presented)["reason"] == "replay.seen_before"
    assert running.decide(account())["outcome"] == running.decide(account())["outcome"] == "accepted"


def test_a_dpop_proof_is_judged_and_counts_once(running: Running) -> None:
    client, url = sw.PrivateJWK.generate("ES256"), "https://api.example/admin"
    claims = {
        "iss": PARTNER,
        "aud": "bills",
        "sub": "a",
        "roles": ["admin"],
        "cnf": {"jkt": client.public.thumbprint()},
    }
    request = {"method": "GET", "url": url, "scheme": "dpop"}
    first, second = (token("", {**claims, "jti": jti}, key=SECRET) for jti in ("d1", "d2"))
    proof = sign_proof(client, "GET", url, token=first)
    assert running.decide(first, **request)["reason"] == "binding.missing"
    assert running.decide(first, **request, dpop=proof)["outcome"] == "accepted"
    assert running.decide(first, **request, dpop=proof)["reason"] == "replay.seen_before"
    assert running.decide(second, **request, dpop=proof)["reason"] == "binding.proof"


def test_a_caller_may_name_one_audience_and_only_its_issuers_count(running: Running) -> None:
    presented = running.workflow(aud=["orders", "deploys"])
    assert running.decide(presented, audience="deploys")["outcome"] == "accepted"
    assert running.decide(running.workflow(), audience="deploys")["reason"] == "claims.audience"
    assert running.decide(account(aud=["orders", "deploys"]), audience="deploys")["reason"] == "issuer.unknown"
    answer = running.sidecar.request("POST", "/v1/verify", {"token": presented, "audience": "else"})
    assert (answer.status, answer.json()["reason"]) == (400, "request.malformed")


ROUTES = [
    ("GET", "/orders/5", {"scope": "orders:read"}, None),
    ("GET", "/orders/5?all=1", {"scope": "orders:write orders:read"}, None),
    ("GET", "/orders/5", {"scope": "orders:write"}, "claims.scope"),
    ("GET", "/orders/5", {}, "claims.scope"),
    ("POST", "/orders/5", {"scope": "orders:read"}, "route.denied"),
    ("POST", "/orders", {"scope": "orders:write"}, None),
    ("GET", "/admin/users", {"roles": ["admin"]}, None),
    ("GET", "/admin/users", {"roles": ["clerk"]}, "route.denied"),
    ("GET", "/admin", {}, "route.denied"),
    ("GET", "/elsewhere", {"roles": ["admin"]}, "route.denied"),
    ("GET", "/orders/%2e%2e/admin", {"scope": "orders:read"}, "route.malformed"),
    ("GET", "/orders//5", {"scope": "orders:read"}, "route.malformed"),
    ("GET", "/Admin", {"scope": "orders:read"}, "route.malformed"),
    ("PUT", "/deploy", {}, None),
]


@pytest.mark.parametrize(("method", "path", "claims", "reason"), ROUTES)
def test_a_route_is_open_to_who_brings_what_it_needs(
    running: Running, method: str, path: str, claims: dict[str, Any], reason: str | None
) -> None:
    decision = running.decide(running.workflow(**claims), method=method, path=path)
    assert decision["reason"] == reason, decision


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://api.example/orders/5?x=/admin", None),
        ("https://api.example/admin", "route.denied"),
        ("https://api.example", "route.denied"),
        ("https://api.example/orders/%2e%2e/admin", "route.malformed"),
        ("https://api.example\\orders/5", "route.malformed"),
        ("/orders/5", None),
        ("api.example/orders/5", "route.malformed"),
    ],
)
def test_without_a_path_that_of_the_url_is_the_route(running: Running, url: str, reason: str | None) -> None:
    decision = running.decide(running.workflow(scope="orders:read"), method="GET", url=url)
    assert decision["reason"] == reason, decision


def test_a_route_may_be_open_to_some_issuers_only(running: Running) -> None:
    assert running.decide(account(), method="PUT", path="/deploy")["outcome"] == "accepted"
    assert running.decide(svid(), method="PUT", path="/deploy")["reason"] == "route.denied"


@pytest.mark.parametrize("members", [{"path": "/"}, {"method": 1, "path": "/"}, {"uri": "/"}], ids=str)
def test_half_a_route_is_a_malformed_request(running: Running, members: dict[str, Any]) -> None:
    answer = running.sidecar.request("POST", "/v1/verify", {"token": svid(), **members})
    assert (answer.status, answer.json()["reason"]) == (400, "request.malformed")


def test_an_explanation_shows_the_route_and_what_the_kind_asks_for(running: Running) -> None:
    explained = running.decide(running.workflow(), method="GET", path="/orders/5", explain=True)
    names = [step["check"] for step in explained["steps"]]
    assert names[-4:] == ["workflow", "value of repository", "revoked token", "route"]
    assert explained["steps"][-1]["reason"] == explained["reason"] == "claims.scope"


def test_readiness_and_status_tell_of_each_issuer(running: Running) -> None:
    running.decide(access_token())
    ready = running.sidecar.request("GET", "/readyz")
    states = {running.login: True, CLUSTER: True, MESH: True, PARTNER: True, DOWN: False}
    assert (ready.status, ready.json()) == (200, {"ready": True, "issuers": states})
    status = running.sidecar.request("GET", "/v1/status").json()["issuers"]
    assert {name: one["can_decide"] for name, one in status.items()} == states
    assert status[DOWN]["keys"]["last_error"] == "source.unavailable"
    assert status[DOWN]["keys"]["age_s"] is None
    assert status[CLUSTER]["keys"]["last_error"] is None
    assert 0 <= status[CLUSTER]["keys"]["age_s"] < 600
    assert (status[MESH]["keys"]["keys"], status[MESH]["profile"], status[MESH]["audience"]) == (
        1,
        "spiffe",
        ["orders"],
    )
    shown = json.dumps(status)
    assert SECRET.export_secret_dict()["k"] not in shown


def test_no_token_and_no_secret_is_in_the_log_or_the_metrics(running: Running) -> None:
    by_partner = token("", {"iss": PARTNER, "aud": "bills", "jti": "log"}, key=SECRET)
    presented = [running.workflow(), svid(), access_token(), by_partner]
    for one in presented:
        running.decide(one)
    written = running.sidecar.log.read_text() + running.sidecar.request("GET", "/metrics").body.decode()
    for one in presented:
        assert one.split(".")[1] not in written
    assert SECRET.export_secret_dict()["k"] not in written
    assert running.sidecar.metric("jws_verify_total", issuer=MESH, result="accepted") > 0
    assert running.sidecar.metric("jws_verify_total", issuer=DOWN, result="undecided") > 0


def test_a_required_issuer_that_is_down_keeps_the_sidecar_from_being_ready_and_from_nothing_else(
    tmp_path: Path,
) -> None:
    one = Running(tmp_path, down_is_required=True)
    try:
        ready = one.sidecar.request("GET", "/readyz")
        assert (ready.status, ready.json()["ready"]) == (503, False)
        assert [name for name, state in ready.json()["issuers"].items() if not state] == [DOWN]
        assert one.decide(account())["outcome"] == "accepted"
    finally:
        one.stop()


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = clean_environment() | environment
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=30, check=False, env=env)


GOOD = """[issuers."spiffe://example.org"]
profile = "spiffe"
trust_domain = "example.org"
audience = "orders"
keys_file = "bundle.json"
"""


def test_check_names_every_fault_with_its_line_and_exits_with_6(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text(json.dumps(bundle(KEYS["mesh"])))
    path = tmp_path / "verifier.toml"
    path.write_text(GOOD)
    done = run("--check", "--config", str(path))
    assert (done.returncode, done.stdout) == (0, "valid: spiffe://example.org\n")
    assert run("--check", SEALWRIGHT_VERIFIER_CONFIG=str(path)).returncode == 0
    path.write_text(GOOD.replace('"orders"', '"*"') + 'audiences = "x"\n')
    for arguments in (["--check"], []):
        done = run(*arguments, "--config", str(path))
        told = done.stdout + done.stderr
        assert done.returncode == 6
        assert f"{path}:4:1: error: issuers.spiffe://example.org.audience: an audience is given in full" in told
        assert f"{path}:6:1: error: issuers.spiffe://example.org.audiences: there is no such key; did you mean" in told
        assert "Traceback" not in told


WRONG_FILES: dict[str, tuple[str, int, str]] = {
    "no JSON": ("keys", 0o600, "JSON"),
    "no usable key": ('{"keys": []}', 0o600, "no key that can be used"),
    "no set": ("{}", 0o600, "keys"),
    "anybody could write it": (json.dumps(bundle(KEYS["mesh"])), 0o666, "open to others"),
}


@pytest.mark.parametrize(("content", "mode", "told"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_keys_that_cannot_be_used_stop_the_start(tmp_path: Path, content: str, mode: int, told: str) -> None:
    (tmp_path / "bundle.json").write_text(content)
    (tmp_path / "bundle.json").chmod(mode)
    (tmp_path / "verifier.toml").write_text(GOOD)
    done = run("--check", "--config", str(tmp_path / "verifier.toml"))
    assert (done.returncode, told in done.stderr, len(done.stderr.splitlines())) == (6, True, 1), done.stderr


def test_a_secret_that_others_can_read_is_refused_and_never_shown(tmp_path: Path) -> None:
    write_secret(tmp_path / "bundle.json")
    os.chmod(tmp_path / "bundle.json", 0o604)  # noqa: PTH101
    (tmp_path / "verifier.toml").write_text(
        '[issuers."https://partner.example"]\nprofile = "jwt"\naudience = "a"\nsecret_file = "bundle.json"\n'
    )
    done = run("--check", "--config", str(tmp_path / "verifier.toml"))
    assert (done.returncode, "open to others" in done.stderr) == (6, True)
    assert SECRET.export_secret_dict()["k"] not in done.stdout + done.stderr


def test_the_schema_is_printed_for_editors() -> None:
    assert json.loads(run("--schema").stdout)["title"] == "verifier.toml"
