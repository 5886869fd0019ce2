"""A new algorithm over HTTP: verifiers of others accept both, and going back is one command."""

from __future__ import annotations

from collections.abc import Callable

import jwt
from running_service import SHORT_TIMINGS, RunningService

Start = Callable[..., RunningService]
ROLLOUT = "/v1/issuers/default/rollout"
TOKENS = 60


def algorithms(service: RunningService, count: int = TOKENS) -> set[str]:
    """What a number of new tokens were signed with, each of them verified by PyJWT and by the service."""
    client = jwt.PyJWKClient(f"{service.url}/issuers/default/.well-known/jwks.json", cache_jwk_set=False)
    page = service.request("GET", "/.well-known/openid-configuration", credential=None).json()
    seen = set()
    for number in range(count):
        token = service.token()
        header = jwt.get_unverified_header(token)
        if header["alg"] in seen and number > 3:
            continue
        seen.add(header["alg"])
        key = client.get_signing_key_from_jwt(token)
        accepted = jwt.decode(token, key, page["id_token_signing_alg_values_supported"], audience="orders")
        assert accepted["sub"] == "alice"
        assert service.decide(token)["outcome"] == "accepted"
    return seen


def test_both_algorithms_verify_during_a_rollout_and_back_is_immediate(start_service: Start) -> None:
    timings = SHORT_TIMINGS | {"SEALWRIGHT_TIMINGS__LONGEST_TOKEN_S": "900"}
    service = start_service(**timings)
    assert service.request("POST", f"{ROLLOUT}/start", {"algorithm": "EdDSA", "reason": "OPS-301"}).status == 200
    page = service.request("GET", "/.well-known/openid-configuration", credential=None).json()
    assert set(page["id_token_signing_alg_values_supported"]) == {"ES256", "EdDSA"}
    assert algorithms(service, 5) == {"ES256"}

    answer = service.request("POST", f"{ROLLOUT}/set", {"percent": 50}).json()
    assert answer["rollout"] == {"algorithm": "EdDSA", "before": "ES256", "percent": 50}
    assert algorithms(service) == {"ES256", "EdDSA"}  # one alone has a chance of 2^-60
    by_new = [
        token for token in (service.token() for _ in range(TOKENS)) if "EdDSA" in str(jwt.get_unverified_header(token))
    ]
    assert service.request("GET", "/readyz").status == 200

    assert service.cli("rollout", "back").returncode == 0
    assert algorithms(service, 20) == {"ES256"}
    assert service.decide(by_new[-1])["outcome"] == "accepted"

    assert "EdDSA 100 %" in service.cli("rollout", "set", "--percent", "100").stdout
    assert algorithms(service, 10) == {"EdDSA"}
    assert service.cli("rollout", "finish").returncode == 0
    assert algorithms(service, 5) == {"EdDSA"}
    (issuer,) = [i for i in service.request("GET", "/v1/issuers").json()["issuers"] if i["issuer"] == "default"]
    assert (issuer["algorithms"], issuer["rollout"]) == (["EdDSA"], None)

    service.interrupt()  # the environment still says ES256, and the policy that finish applied wins
    assert algorithms(start_service(home=service.home, **timings), 3) == {"EdDSA"}


def test_the_new_key_dwells_and_each_algorithm_rotates_by_itself(start_service: Start) -> None:
    service = start_service()
    assert service.cli("rollout", "start", "--algorithm", "Ed25519").returncode == 0
    refused = service.request("POST", f"{ROLLOUT}/set", {"percent": 10})
    assert (refused.status, refused.json()["guard"]) == (409, "dwell")
    forced = service.cli("rollout", "set", "--percent", "10", "--force", "--reason", "drill")
    assert forced.returncode == 0, forced.stderr
    ambiguous = service.cli("keys", "rotate")
    assert (ambiguous.returncode, "move.algorithm_needed" in ambiguous.stderr) == (4, True)
    done = service.cli("keys", "emergency-rotate", "--algorithm", "Ed25519", "--reason", "drill", "--json")
    assert done.returncode == 0, done.stderr
    assert '"algorithm": "Ed25519"' in done.stdout
    assert service.cli("rollout", "abort").returncode == 0
    assert service.cli("rollout", "back").returncode == 4
    assert service.cli("keys", "rotate").returncode == 0


def test_the_internal_issuer_can_be_rolled_out_too(start_service: Start) -> None:
    service = start_service(**SHORT_TIMINGS)
    for path, body in (
        ("start", {"algorithm": "Ed25519"}),
        ("set", {"percent": 100}),
        ("finish", {"reason": "done"}),
    ):
        answer = service.request("POST", f"/v1/issuers/internal/rollout/{path}", body)
        assert answer.status == 200, answer.body
    assert service.request("GET", "/v1/keys").status == 200
