"""The benchmark judges by what it measured, and proves that everybody does the work that is timed."""

from __future__ import annotations

import pytest
from benchmarks import ours, proof, targets
from benchmarks.contestants import OURS, RAW
from benchmarks.modes import MODES, Mode, measure_modes
from benchmarks.rows import Row
from benchmarks.steps import measure_steps
from benchmarks.targets import Verdict
from benchmarks.work import ALGORITHMS, Work


def test_a_target_is_met_missed_or_not_measured() -> None:
    assert Verdict("", 1.15, 1.15).met is True
    assert Verdict("", 1.15, 1.16).met is False
    assert Verdict("", 4.0, 4.0, at_least=True).met is True
    assert Verdict("", 4.0, 3.9, at_least=True).met is False
    assert Verdict("", 1.5, None).met is None


def test_the_fastest_python_peer_is_the_one_to_beat() -> None:
    row = Row("HS256", "verify", seconds={RAW: 1.0, OURS: 3.0, "slow": 9.0, "fast": 2.0, "rust": 1.0})
    (verdict,) = targets.never_slower(["slow", "fast", "absent"], [row], [])
    assert (verdict.measured, verdict.met) == (1.5, False)


def test_without_ryjwt_its_targets_are_not_measured() -> None:
    verdicts = targets.over_ryjwt(["ES256", "HS256"], [], "Python 3.13")
    assert [verdict.met for verdict in verdicts] == [None]


def test_the_best_delegated_row_of_each_algorithm_is_judged() -> None:
    rows = [("ES256", "direct", 90_000), ("ES256", "delegated", 9_000), ("ES256", "delegated batch", 10_001)]
    found = [Mode(alg, name, rate, 0.0, 0.0, 0, 1) for alg, name, rate in rows]
    (verdict,) = targets.delegated(found)
    assert (verdict.measured, verdict.met) == (10_001, True)


def test_behind_an_hsm_the_modes_call_it_as_often_as_they_say() -> None:
    modes = {mode.name: mode for mode in measure_modes(["EdDSA"], seconds=0.2)}
    assert set(modes) == set(MODES)
    assert modes["direct"].calls_per_million >= 1e6
    assert modes["delegated batch"].backend_calls == 0


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_ours_does_all_of_the_work(alg: str) -> None:
    work = Work.of(alg)
    assert proof.unchecked(ours.verifying(work), work) == []
    proof.check_signed(ours.signing(work), work)


def test_a_verifier_that_checks_nothing_is_found_out() -> None:
    work = Work.of("HS256")
    gaps = proof.unchecked(lambda _: work.claims(), work)
    assert gaps == ["iss", "aud", "exp", "nbf", "kid of no key", "kid of another key", "signature"]


def test_the_steps_add_up_to_the_whole_call() -> None:
    for steps in measure_steps(["HS256"], rounds=1):
        assert sum(steps.seconds.values()) == pytest.approx(steps.whole)
