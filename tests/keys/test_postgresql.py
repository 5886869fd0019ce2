"""Several processes on one PostgreSQL database: names, turns, versions, fences, and a server that stops."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgresql import Cluster, database_of, shared_cluster
from replicas import WHO, Replica, eventually, processes
from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool

import sealwright as sw
from sealwright.keys.audit import AuditEntry, check_chain
from sealwright.keys.catalogs.postgresql import _lock_of
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.catalogs.sql_tables import METADATA
from sealwright.keys.fleet import Member
from sealwright.keys.managed_signer import ManagedSigner


@pytest.fixture
def url() -> str:
    return shared_cluster().new_database()


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """For tests that stop it."""
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def replica(url: str, tmp_path: Path) -> Iterator[Replica]:
    made = Replica(url, str(tmp_path / "keys"), "here")
    yield made
    made.catalog.close()


def opened(replica: Replica) -> Replica:
    replica.keys.open_issuer("default", **WHO)
    return replica


def unavailable(call: Any) -> None:
    with pytest.raises(sw.UnavailableError) as caught:
        call()
    assert caught.value.reason == "catalog.unavailable"


def test_the_migrations_build_what_the_code_expects(url: str) -> None:
    SqlCatalog.open(url).close()
    engine = create_engine(url.replace("postgresql", "postgresql+psycopg"), poolclass=NullPool)
    for name, table in METADATA.tables.items():
        found = {column["name"]: column["nullable"] for column in inspect(engine).get_columns(name)}
        assert found == {column.name: column.nullable for column in table.columns}
        assert {index["name"] for index in inspect(engine).get_indexes(name)} >= {one.name for one in table.indexes}


def test_processes_that_start_together_on_an_empty_database_all_come_up(url: str, tmp_path: Path) -> None:
    with processes(url, tmp_path, "one", "two", "three") as started:
        assert sorted(process.began() for process in started) == ["one", "three", "two"]


def test_each_process_has_a_chain_of_its_own_and_a_dead_one_leaves_its_name(url: str, tmp_path: Path) -> None:
    with processes(url, tmp_path, "pod") as (first,):
        assert first.began() == "pod"
        with processes(url, tmp_path, "pod", "pod") as others:
            assert sorted(process.began() for process in others) == ["pod-2", "pod-3"]
        first.kill()

        def name_is_free() -> bool:
            with processes(url, tmp_path, "pod") as (again,):
                return again.began() == "pod"

        eventually(name_is_free, "the name of a dead process stays taken")


def test_two_processes_write_two_chains_and_see_each_others_keys(url: str, tmp_path: Path, replica: Replica) -> None:
    opened(replica)
    with processes(url, tmp_path / "keys", "there") as (there,):
        there.began()
        token, digest = there.ask("sign")
        here = replica.keys.active("default")
        assert sw.verify_signature(token, here.public_key()).key_id == here.key_id
    replica.sign()
    assert replica.catalog.writers() == ["here", "there"]
    for writer in ("here", "there"):
        assert check_chain(replica.catalog.audit(writer=writer)) > 0
    (signed,) = replica.catalog.audit(writer="there", action="token.signed")
    assert [one["signing_input_sha256"] for one in signed.facts["signatures"]] == [digest]


def test_what_one_process_commits_another_sees_soon(url: str, tmp_path: Path, replica: Replica) -> None:
    with processes(url, tmp_path / "keys", "there") as (there,):
        there.began()
        before = there.ask("version")
        opened(replica)
        eventually(lambda: there.ask("version") >= replica.catalog.version() > before, "the version is not seen", 2)


def test_a_signature_by_a_key_that_another_process_rotated_away_is_not_released(
    url: str, tmp_path: Path, replica: Replica
) -> None:
    opened(replica)
    with processes(url, tmp_path / "keys", "there") as (there,):
        there.began()
        there.ask("sign")
        leaked = replica.keys.active("default")
        replica.keys.emergency_rotate("default", actor="tester", reason="leaked")
        token, _ = there.ask("sign")
    with pytest.raises(sw.RejectedError):
        sw.verify_signature(token, leaked.public_key())
    assert sw.verify_signature(token, replica.keys.active("default").public_key())


def test_a_turn_has_one_holder_among_processes_and_a_dead_one_lets_go(
    url: str, tmp_path: Path, replica: Replica
) -> None:
    with processes(url, tmp_path, "there") as (there,):
        there.began()
        there.ask("hold", "issuer:default")
        for wait_s in (0, 0.1):
            with pytest.raises(sw.UnavailableError) as caught, replica.catalog.turn("issuer:default", wait_s=wait_s):
                pass
            assert caught.value.reason == "catalog.busy"
        killer = threading.Timer(0.2, there.kill)
        killer.start()
        with replica.catalog.turn("issuer:default", wait_s=30):
            killer.join()


def test_signers_that_never_pause_do_not_keep_an_emergency_waiting(url: str, tmp_path: Path, replica: Replica) -> None:
    opened(replica)
    with processes(url, tmp_path / "keys", "a", "b", "c") as signing:
        for process in signing:
            process.began()
            process.ask("sign on")
        for _ in range(3):
            leaked = str(replica.keys.active("default").key_id)
            replica.keys.emergency_rotate("default", key_id=leaked, actor="tester", reason="leaked")
        assert all(isinstance(one, tuple) for process in signing for one in process.ask("signed"))


def test_rows_that_a_process_holds_while_it_stands_still_are_taken_from_it(url: str, replica: Replica) -> None:
    active = opened(replica).keys.active("default")
    still = SqlCatalog.open(url, writer="still")
    with still._database.engine.connect() as connection, contextlib.suppress(sw.SealwrightError):
        still._database.share_key(connection, active.handle)  # in the middle of a signature, for ever
        replica.keys.emergency_rotate("default", actor="tester", reason="leaked")
        connection.invalidate()
    still.close()
    assert replica.keys.active("default").key_id != active.key_id


def test_a_move_waits_for_the_signature_that_is_being_recorded_and_the_next_signature_for_the_move(
    url: str, replica: Replica
) -> None:
    active = opened(replica).keys.active("default")
    other, moved = SqlCatalog.open(url, writer="other"), threading.Event()

    def rotate() -> None:
        replica.keys.emergency_rotate("default", actor="tester", reason="leaked")
        moved.set()

    with other._database.engine.connect() as connection, connection.begin():
        other._database.share_key(connection, active.handle)
        mover = threading.Thread(target=rotate)
        mover.start()
        assert not moved.wait(1)
    mover.join(60)
    assert moved.is_set()
    late = AuditEntry(1.0, "tester", "token.signed", "default", active.key_id, "", {})
    with pytest.raises(sw.RefusedError) as caught:
        other.record_signatures(active, late)
    assert caught.value.reason == "catalog.conflict"
    other.close()


def test_a_lost_writer_name_costs_no_entry(url: str, replica: Replica) -> None:
    """The session that holds the name is cut, and somebody else takes it."""
    opened(replica)
    lock = _lock_of("writer", "here") & 0xFFFFFFFF
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = {lock}"
    shared_cluster().execute(database_of(url), cut)
    usurper = SqlCatalog.open(url, writer="here")
    assert usurper.writer == "here"
    signed = []
    for catalog in (usurper, replica.catalog) * 3:
        replica.signer = ManagedSigner(catalog, {"local": replica.backend}, "default")
        signed.append(replica.sign()[1])
    assert (usurper.writer, replica.catalog.writer) == ("here", "here-2")
    entries = [*replica.catalog.audit(action="token.signed")]
    written = [one["signing_input_sha256"] for entry in entries for one in entry.facts["signatures"]]
    assert sorted(written) == sorted(signed)
    for writer in replica.catalog.writers():
        check_chain(replica.catalog.audit(writer=writer))
    usurper.close()


def test_a_server_that_restarts_is_found_again_and_nothing_is_released_meanwhile(
    own_cluster: Cluster, tmp_path: Path
) -> None:
    replica = opened(Replica(own_cluster.new_database(), str(tmp_path), "here"))
    replica.sign()
    own_cluster.stop(signal.SIGQUIT)
    for call in (replica.sign, replica.catalog.records, replica.catalog.check_writable):
        unavailable(call)
    with pytest.raises(sw.UnavailableError), replica.catalog.turn("issuer:default"):
        pass
    eventually(lambda: replica.catalog.confirmed_age_s() > 2.1, "an age that nobody confirms must grow")
    unavailable(replica.catalog.version)
    own_cluster.start()
    eventually(lambda: _signs(replica), "signing does not come back")
    assert check_chain(replica.catalog.audit()) > 0
    assert replica.catalog.writer == "here"
    replica.catalog.close()


def _signs(replica: Replica) -> bool:
    try:
        return bool(replica.sign())
    except sw.UnavailableError:
        return False


def test_a_server_that_hangs_is_given_up_on(own_cluster: Cluster, tmp_path: Path) -> None:
    replica = opened(Replica(own_cluster.new_database(), str(tmp_path), "here"))
    _signal_all(own_cluster.pid, signal.SIGSTOP)
    began = time.monotonic()
    threads = [threading.Thread(target=unavailable, args=(replica.sign,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert time.monotonic() - began < 60  # far from for ever
    _signal_all(own_cluster.pid, signal.SIGCONT)
    eventually(lambda: _signs(replica), "signing does not come back")
    replica.catalog.close()


def _signal_all(server: int, number: signal.Signals) -> None:
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    for pid in (server, *map(int, children)):
        with contextlib.suppress(ProcessLookupError):  # a backend may end between the listing and the signal
            os.kill(pid, number)


def test_a_server_that_is_down_at_the_start_is_no_wrong_setting_and_its_password_stays_out_of_sight() -> None:
    with pytest.raises(sw.UnavailableError) as caught:
        SqlCatalog.open("postgresql://someone:hunter2@127.0.0.1:9/nowhere")
    assert caught.value.reason == "catalog.unavailable"
    assert "hunter2" not in f"{caught.value} {caught.value.detail}"


ROLE = """
CREATE ROLE {role} LOGIN;
GRANT SELECT, INSERT, UPDATE ON keys, signatures TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON documents, verifiers TO {role};
GRANT SELECT, UPDATE ON catalog TO {role};
GRANT SELECT, INSERT ON audit TO {role};
GRANT SELECT ON alembic_version TO {role};
"""


def test_a_role_that_may_only_append_to_the_audit_is_enough(url: str, tmp_path: Path) -> None:
    SqlCatalog.open(url).close()
    role = f"app_{database_of(url)}"
    shared_cluster().execute(database_of(url), ROLE.format(role=role))
    theirs = shared_cluster().url(database_of(url), role)
    replica = opened(Replica(theirs, str(tmp_path), "app"))
    replica.sign()
    replica.rotate(str(replica.keys.active("default").key_id))
    replica.catalog.fleet.put([Member("orders", "one", 1.0, 1.0)])
    assert replica.catalog.fleet.forget(2.0) == 1
    for statement in ("DELETE FROM audit", "UPDATE audit SET actor = 'nobody'", "DELETE FROM keys"):
        with psycopg.connect(theirs) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)  # type: ignore[call-overload]
    (chain,) = replica.catalog.chains()
    replica.sign()
    with pytest.raises(sw.UnavailableError, match="may not delete"):
        replica.catalog.prune_audit(chain.head, most=1)
    replica.catalog.close()
