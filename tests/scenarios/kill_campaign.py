"""A campaign of kill -9 in the middle of create, rotate, emergency and destroy, at two backends of one service."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jwt
from kept_stores import KeptStores
from key_moves import KINDS, KeyMoves
from openbao import shared as shared_openbao
from postgresql import shared_cluster
from running_service import SHORT_TIMINGS, RunningService

from sealwright.keys.record import KeyRecord

ISSUERS = {"default": "local", "vaulted": "bao"}
MOUNTS = itertools.count(1)
SETTINGS = SHORT_TIMINGS | {
    "SEALWRIGHT_TIMINGS__LONGEST_TOKEN_S": "900",
    "SEALWRIGHT_TIMINGS__PUBLISHED_KEYS": "100",
    "SEALWRIGHT_ISSUERS": json.dumps({name: {"algorithm": "ES256", "backend": at} for name, at in ISSUERS.items()}),
}
SHOWN = ("standby", "active", "verify_only")
KILLED_WITHIN_S = 0.05  # of the beginning of a move


class Campaign:
    """Kills one service again and again, and remembers what it had promised."""

    def __init__(self, start: Callable[..., RunningService], stores: KeptStores, seed: int) -> None:
        self.kills = 0
        self.interrupted: Counter[str] = Counter()
        self._start = start
        self._stores = stores
        self._chance = random.Random(seed)
        self._settings = SETTINGS | stores.settings()
        self._revoked: set[str] = set()
        self._gone: set[str] = set()
        self._service = start(stores.home, **self._settings)

    def run(self, kills: int) -> None:
        for number in range(kills):
            self.one_kill(KINDS[number % len(KINDS)])
        self.check_proof()

    def one_kill(self, kind: str) -> None:
        tokens = {issuer: self._service.token(issuer) for issuer in ISSUERS}
        moves = self._kill_during(kind)
        self._check_what_is_left()
        self._service = self._start(self._stores.home, self._service.port, **self._settings)
        self._check_what_was_repaired()
        self._check_promises(moves)
        self._check_tokens(tokens)

    def check_proof(self) -> None:
        proven = self._service.cli("audit", "verify", "--json")
        assert proven.returncode == 0, proven.stdout + proven.stderr
        assert json.loads(proven.stdout)["chains"]

    def _kill_during(self, kind: str) -> KeyMoves:
        self.kills += 1
        moves = KeyMoves(self._service, kind, self._chance.randint(1, 3), self._chance.randrange(2**32))
        moves.start(*ISSUERS, opening=(f"new-{self.kills}", self._chance.choice(list(ISSUERS.values()))))
        assert moves.reached.wait(60), moves.wrong
        time.sleep(self._chance.uniform(0, KILLED_WITHIN_S))
        os.kill(self._service.process.pid, signal.SIGKILL)
        self._service.kill()
        moves.join()
        assert not moves.wrong
        self.interrupted += moves.interrupted
        return moves

    def _check_what_is_left(self) -> None:
        """True at every instant, before anything was repaired."""
        records = self._stores.records()
        active = Counter(record.lineage for record in records if record.state == "active")
        opened = {record.lineage for record in records if record.published_at is not None}
        assert active == Counter(opened)
        self._stores.check_audit()

    def _check_what_was_repaired(self) -> None:
        records = self._stores.records()
        states = Counter((record.lineage, str(record.state)) for record in records)
        for lineage in {record.lineage for record in records}:
            assert (states[lineage, "active"], states[lineage, "standby"], states[lineage, "pending"]) == (1, 1, 0)
        kids = [record.key_id for record in records if record.key_id]
        assert len(kids) == len(set(kids))
        self._check_backends(records)
        self._check_pages(records)
        self._stores.check_audit()

    def _check_backends(self, records: list[KeyRecord]) -> None:
        """Each holds the keys that are not destroyed, and nothing else."""
        alive = {
            at: {r.handle for r in records if r.backend == at and r.destroyed_at is None} for at in ("local", "bao")
        }
        assert self._stores.held() == alive
        assert self._stores.part_files() <= alive["local"] | {"kek-check"}
        gone = [record for record in records if record.state in ("destroyed", "revoked")]
        assert all(record.destroyed_at is not None for record in gone)
        found = self._service.request("GET", "/v1/orphans").json()["backends"]
        assert not [one for one in found if one["unknown"] or one["missing"] or one.get("failed")]

    def _check_pages(self, records: list[KeyRecord]) -> None:
        for issuer in {record.issuer for record in records}:
            page = self._service.request("GET", f"/issuers/{issuer}/.well-known/jwks.json", credential=None)
            mine = [record for record in records if record.issuer == issuer and record.purpose == "token"]
            shown = sorted(str(record.key_id) for record in mine if record.state in SHOWN)
            assert sorted(key["kid"] for key in page.json()["keys"]) == shown

    def _check_promises(self, moves: KeyMoves) -> None:
        """What was answered with 200 is done; what is revoked stays revoked."""
        records = self._stores.records()
        revoked = {str(record.key_id) for record in records if record.state == "revoked"}
        self._revoked |= moves.promised["revoked"]
        assert self._revoked <= revoked
        self._revoked = revoked
        self._gone = {str(record.key_id) for record in records if record.state in ("retired", "destroyed")}
        assert moves.promised["destroyed"] <= {str(r.key_id) for r in records if r.state == "destroyed"}
        assert moves.promised["opened"] <= {record.issuer for record in records}

    def _check_tokens(self, before: dict[str, str]) -> None:
        for issuer, token in before.items():
            assert self._service.decide(self._service.token(issuer))["outcome"] == "accepted"
            decision = self._service.decide(token)
            expected = "rejected" if kid_of(token) in self._revoked | self._gone else "accepted"
            assert decision["outcome"] == expected, decision


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def stores_on(database: str, folder: Path) -> KeptStores:
    """``sqlite`` or ``postgresql``, and a transit engine of its own."""
    vault, mount = shared_openbao(), f"transit-{os.getpid()}-{next(MOUNTS)}"
    vault.ask("POST", f"sys/mounts/{mount}", {"type": "transit"})
    home = folder / "data"
    url = shared_cluster().new_database() if database == "postgresql" else f"sqlite:///{home / 'sealwright.db'}"
    return KeptStores(home, url, vault, mount)
