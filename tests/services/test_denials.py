"""Refused calls cost what we decide: entries, answers and memory are bounded whatever strangers do."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request

from sealwright.clock import ManualClock
from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.keys.catalogs.memory import MemoryCatalog
from sealwright.services import denials
from sealwright.services.credentials import CredentialError
from sealwright.services.denials import Denials

WRONG = CredentialError(RejectedError(Reason.SIGNATURE_INVALID, "wrong"), "keys:read")


class Door:
    """Denials over an empty catalog, asked from any address."""

    def __init__(self) -> None:
        self.catalog, self.clock = MemoryCatalog(), ManualClock()
        self.denials = Denials(self.catalog, self.clock, burst=3, per_s=0.5)

    def refuse(self, address: str, failure: CredentialError = WRONG) -> int:
        scope = {"type": "http", "method": "GET", "path": "/v1/keys", "headers": [], "client": (address, 1)}
        return asyncio.run(self.denials.on_credential_error(Request(scope), failure)).status_code

    def entries(self) -> list[dict[str, object]]:
        return [dict(entry.facts) for entry in self.catalog.audit()]


@pytest.fixture
def door() -> Door:
    return Door()


def test_an_address_earns_one_refusal_in_each_interval(door: Door) -> None:
    assert [door.refuse("192.0.2.1") for _ in range(5)] == [401, 401, 401, 429, 429]
    door.clock.advance(2)
    assert [door.refuse("192.0.2.1") for _ in range(2)] == [401, 429]
    assert [facts.get("suppressed") for facts in door.entries()] == [None, None, None, 2]


def test_addresses_do_not_pay_for_one_another(door: Door) -> None:
    for _ in range(5):
        door.refuse("192.0.2.1")
    assert door.refuse("192.0.2.2") == 401


def test_the_addresses_of_one_ipv6_block_pay_together_and_mapped_ones_alone(door: Door) -> None:
    assert [door.refuse(f"2001:db8::{n:x}") for n in range(5)] == [401, 401, 401, 429, 429]
    assert door.refuse("2001:db8:0:1::1") == 401
    assert [door.refuse(f"::ffff:192.0.2.{n}") for n in range(1, 6)] == [401] * 5


def test_many_addresses_together_fill_neither_the_audit_nor_memory(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denials, "MAXIMUM_CALLERS", 50)
    for number in range(1000):
        assert door.refuse(f"10.0.{number // 250}.{number % 250}") == 401
    assert len(door.entries()) == denials.ENTRIES_BURST
    assert len(door.denials._budgets) == 50
    door.clock.advance(1)
    door.refuse("192.0.2.1")
    assert door.entries()[-1]["suppressed"] == 1000 - denials.ENTRIES_BURST


def test_text_that_is_no_address_does_not_get_into_the_audit(door: Door) -> None:
    door.refuse("' or 1=1; --")
    assert door.entries()[-1]["client"] == "unknown"


def test_an_outage_of_ours_is_nobodys_fault(door: Door) -> None:
    outage = CredentialError(UnavailableError(Reason.CATALOG_UNAVAILABLE, "down"), "keys:read")
    assert [door.refuse("192.0.2.1", outage) for _ in range(10)] == [503] * 10
    assert door.entries() == []
