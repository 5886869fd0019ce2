"""The closed loop: what verifiers report decides rotations, rehearsals and how long an emergency took, and is shown."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from polling_verifier import PollingVerifier
from running_service import SHORT_TIMINGS, RunningService, eventually

ISSUERS = '{"default": "ES256", "payments": "ES256"}'


@pytest.fixture
def service(start_service: Callable[..., RunningService]) -> RunningService:
    settings = {"SEALWRIGHT_TIMINGS__LONGEST_TOKEN_S": "900", "SEALWRIGHT_SCHEDULER_EVERY_S": "0.5"}
    return start_service(**SHORT_TIMINGS | settings | {"SEALWRIGHT_ISSUERS": ISSUERS})


@pytest.fixture
def verifiers(service: RunningService) -> Iterator[list[PollingVerifier]]:
    """Three processes of one verifier, which poll and heed."""
    body = {"subject": "orders", "roles": ["verifier"]}
    token = service.request("POST", "/v1/credentials", body).json()["token"]
    at = f"{service.url}/issuers/default"
    started = [PollingVerifier(service.url, at, token, "orders", f"pod-{number}") for number in range(3)]
    yield [one.start() for one in started]
    for one in started:
        one.stop()


def fleet(service: RunningService) -> dict[str, Any]:
    answer = service.request("GET", "/v1/fleet")
    assert answer.status == 200, answer.body
    return dict(answer.json())


def live(service: RunningService, count: int) -> None:
    eventually(lambda: fleet(service)["issuers"]["default"]["live"] == count, f"there are not {count} verifiers")


def rotate(service: RunningService, **more: Any) -> Any:
    return service.request("POST", "/v1/issuers/default/rotate", {"reason": "drill", **more})


def test_a_rotation_waits_for_the_verifiers_and_goes_on_when_they_hold_the_key(
    service: RunningService, verifiers: list[PollingVerifier]
) -> None:
    live(service, 3)
    verifiers[2].deaf = True
    assert rotate(service).status == 200  # all of them hold the first standby
    eventually(lambda: fleet(service)["issuers"]["default"]["behind"] == 1, "nobody is behind")
    refused = rotate(service)
    assert (refused.status, refused.json()["reason"]) == (409, "guard.acknowledgement")
    assert "1 of 3 verifiers do not hold this key: orders/pod-2 since " in refused.json()["detail"]
    printed = service.cli("keys", "rotate", "--issuer", "default")
    assert (printed.returncode, "guard.acknowledgement" in printed.stderr) == (4, True)
    plan = service.request("GET", "/v1/plan?for_s=8000000").json()["moves"]
    (blocked,) = [one["blocked_by"] for one in plan if one["move"] == "rotate" and one["issuer"] == "default"][:1]
    assert blocked == ["guard.acknowledgement"]
    shown = service.cli("fleet")
    assert shown.returncode == 0
    assert "orders/pod-2" in shown.stdout
    assert "lacks " in shown.stdout
    (behind,) = [one for one in fleet(service)["verifiers"] if one["status"] == "behind"]
    assert behind["instance"] == "pod-2"
    lacks = behind["issuers"]["default"]["behind"]
    assert {"what": "lacks", "key_id": service.keys()["standby"][0]}.items() <= lacks[0].items()
    assert lacks[0]["for_s"] >= 0
    assert rotate(service, force=True).status == 200
    assert rotate(service, force=True, reason="routine").json()["reason"] == "move.reason_missing"
    page = service.request("GET", "/v1/audit?action=key.rotated").json()
    assert page["entries"][-1]["facts"]["forced"] == ["guard.acknowledgement"]
    verifiers[2].deaf = False
    eventually(lambda: fleet(service)["issuers"]["default"]["behind"] == 0, "somebody stays behind")
    assert rotate(service).status == 200


def test_the_lag_of_a_rotation_is_measured_to_the_last_verifier(
    service: RunningService, verifiers: list[PollingVerifier]
) -> None:
    """M6: each new key is held everywhere a moment after its publication."""
    live(service, 3)
    rotate(service)
    new = service.keys()["standby"][0]

    def spread() -> dict[str, Any]:
        return next(key for key in fleet(service)["issuers"]["default"]["keys"] if key["key_id"] == new)

    eventually(lambda: spread()["holders"] == 3, "the key does not spread")
    assert 0 <= spread()["held_after_s"] < 5
    assert spread()["accepted_after_s"] is None
    for one in verifiers:
        one.accepted[new] = time.time()
    rotate(service)
    eventually(lambda: spread()["accepted_after_s"] is not None, "no acceptance is known", within_s=40)
    counted = 'fleet_verifiers{issuer="default",status="live"} 3.0'
    eventually(lambda: counted in scrape(service), "no metric of the fleet", within_s=40)
    assert 'fleet_rotation_lag_seconds{issuer="default"} ' in scrape(service)


def scrape(service: RunningService) -> str:
    return service.request("GET", "/metrics", credential=None).body.decode()


def test_a_key_that_was_just_accepted_is_not_retired(service: RunningService, verifiers: list[PollingVerifier]) -> None:
    live(service, 3)
    old = service.keys()["active"][0]
    service.token()
    verifiers[0].accepted[old] = time.time() + 60
    assert rotate(service).status == 200
    eventually(lambda: scheduled_retirement(service, old) == ["guard.still_accepted"], "the acceptance is not known")
    answer = service.request("POST", f"/v1/keys/{old}/retire", {"reason": "drill"})
    assert (answer.status, answer.json()["reason"]) == (409, "guard.verify_window")


def scheduled_retirement(service: RunningService, key_id: str) -> list[str]:
    moves = service.request("GET", "/v1/plan").json()["moves"]
    return next((list(one["waits_for"]) for one in moves if (one["move"], one["key_id"]) == ("retire", key_id)), [])


# Rehearsals


def test_a_standby_is_rehearsed_by_every_verifier_before_it_signs(
    service: RunningService, verifiers: list[PollingVerifier]
) -> None:
    live(service, 3)
    standby = service.keys()["standby"][0]
    done = service.cli("keys", "rehearse", standby, "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["accepted"], answer["of"]) == (0, 3, 3)
    assert {one["outcome"] for one in answer["verifiers"]} == {"accepted"}
    assert service.keys()["standby"] == [standby]
    assert verifiers[0].sequence is not None
    assert fleet(service)["issuers"]["default"]["rehearsal"]["key_id"] == standby
    (entry,) = service.request("GET", "/v1/audit?action=key.rehearsed").json()["entries"]
    assert entry["facts"]["key_id"] == standby
    assert "eyJ" not in json.dumps(entry)
    (trial,) = {trial["token"] for _, _, one in verifiers[0].answers for trial in one.get("trials", {}).values()}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    told = service.request("POST", "/issuers/default/introspect", raw=f"token={trial}".encode(), headers=form)
    assert told.json() == {"active": False}, "it is good for nothing else"


def test_a_verifier_for_which_the_key_would_not_work_is_found(
    service: RunningService, verifiers: list[PollingVerifier]
) -> None:
    live(service, 3)
    verifiers[1].deaf = True
    verifiers[2].stop()
    rotate(service)

    def behind() -> set[str]:
        return {one["instance"] for one in fleet(service)["verifiers"] if one["status"] == "behind"}

    eventually(lambda: "pod-1" in behind() and "pod-0" not in behind(), "they do not differ")
    done = service.cli("keys", "rehearse", "--issuer", "default", "--wait", "3s")
    assert done.returncode == 1
    lines = {line.split()[0]: line.rstrip() for line in done.stdout.splitlines() if line.startswith("orders/")}
    assert "rejected (key.not_found)" in lines["orders/pod-1"]
    assert lines["orders/pod-0"].endswith("accepted")
    assert "1 of 3" in done.stdout or "2 of 3" in done.stdout


def test_where_nobody_reports_or_nothing_leaked_that_is_said_and_nothing_is_proven(service: RunningService) -> None:
    done = service.cli("keys", "rehearse", "--issuer", "payments")
    assert (done.returncode, "no verifier of this issuer reports" in done.stdout) == (3, True)
    assert "no verifier reports" in service.cli("fleet").stdout
    active = service.keys()["active"][0]
    assert service.cli("keys", "rehearse", active).returncode == 4
    assert service.cli("keys", "rehearse").returncode == 1
    answer = service.request("GET", f"/v1/keys/{active}/rehearsal")
    assert (answer.status, answer.json()["reason"]) == (404, "request.not_found")
    unproven = service.cli("keys", "enforced", active)
    assert (unproven.returncode, "no canary" in unproven.stderr) == (1, True)
    done = service.cli("keys", "emergency-rotate", "--issuer", "payments", "--reason", "leak", "--wait", "0s")
    assert (done.returncode, "no verifier of this issuer reports" in done.stdout) == (3, True)


# Emergencies


def test_a_verifier_that_goes_on_accepting_a_leaked_key_is_named(
    service: RunningService, verifiers: list[PollingVerifier]
) -> None:
    live(service, 3)
    verifiers[1].deaf = True
    leaked = service.keys()["active"][0]
    done = service.cli("keys", "emergency-rotate", "--reason", "leak", "--wait", "3s", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["previous"]["key_id"]) == (3, leaked)
    assert answer["enforcement"]["refusing"] == 2
    assert [one["instance"] for one in answer["enforcement"]["waiting"]] == ["pod-1"]
    shown = service.cli("keys", "enforced", leaked)
    assert (shown.returncode, "orders/pod-1" in shown.stdout, "accepted" in shown.stdout) == (3, True, True)
    assert "2 of 3 verifiers refuse it, the last of them " in shown.stdout
    verifiers[1].deaf = False
    assert service.cli("keys", "enforced", leaked, "--wait", "30s").returncode == 0
