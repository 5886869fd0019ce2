"""Three processes on one PostgreSQL database rotate one key at the same moment, and all of them go on signing."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import pytest
from postgresql import shared_cluster
from replicas import WHO, Process, Replica, processes

import sealwright as sw
from sealwright.jose.jwk_set import JWKSet
from sealwright.keys.audit import check_chain

THREADS = 4


def race(folder: Path, rounds: int) -> None:
    url = shared_cluster().new_database()
    here = Replica(url, str(folder), "here")
    with contextlib.closing(here.catalog):
        here.keys.open_issuer("default", **WHO)
        with processes(url, folder, "a", "b", "c") as racing:
            for process in racing:
                process.began()
                process.ask("sign on")
            for _ in range(rounds):
                one_round(here, racing)
            signed = [one for process in racing for one in process.ask("signed")]
            for process in racing:
                process.ask("close")
        check_keys(here, rounds)
        check_signatures(here, signed)


def one_round(here: Replica, racing: list[Process]) -> None:
    key_id = str(here.keys.active("default").key_id)
    for process in racing:
        process.tell("rotate", key_id, THREADS)
    answers = [answer for process in racing for answer in process.answer()]
    won = [answer for answer in answers if not answer.startswith("refused")]
    assert len(won) == 1, answers
    assert set(answers) - set(won) == {"refused catalog.conflict"}
    assert here.keys.active("default").key_id == won[0]


def check_keys(here: Replica, rounds: int) -> None:
    records = here.catalog.records()
    states = Counter(str(record.state) for record in records)
    assert states == {"active": 1, "standby": 1, "verify_only": rounds}
    assert len({record.key_id for record in records}) == len(records)
    assert sorted(here.backend.handles()) == sorted(record.handle for record in records)


def check_signatures(here: Replica, signed: list[object]) -> None:
    """Each was released, verifies, and is in the audit; and nothing else is."""
    refused = [one for one in signed if not isinstance(one, tuple)]
    assert not refused
    keys = JWKSet([record.public_key() for record in here.catalog.records()])
    for token, _ in signed:  # type: ignore[misc]
        sw.verify_signature(token, keys)
    for writer in here.catalog.writers():
        assert check_chain(here.catalog.audit(writer=writer)) > 0
    entries = here.catalog.audit(action="token.signed")
    written = [one["signing_input_sha256"] for entry in entries for one in entry.facts["signatures"]]
    assert Counter(written) == Counter(digest for _, digest in signed)  # type: ignore[misc]


def test_processes_that_rotate_one_key_together_have_one_winner_each_time(tmp_path: Path) -> None:
    race(tmp_path / "keys", rounds=9)  # 108 attempts


@pytest.mark.soak
def test_a_thousand_attempts_have_one_winner_each_time(tmp_path: Path) -> None:
    race(tmp_path / "keys", rounds=84)  # 1,008 attempts
