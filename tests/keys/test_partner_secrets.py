"""The HMAC secret of a partner lives like every key: handed over ahead, rotated, revoked, never published."""

from __future__ import annotations

from typing import Any

import pytest
from world import WHO, World

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.keys.backends.catalog_secrets import KIND, CatalogSecrets
from sealwright.keys.catalogs.memory import MemoryCatalog
from sealwright.keys.history import archived_keys, revoked_keys
from sealwright.keys.lifecycle import KeyLifecycle
from sealwright.keys.partner_secrets import PURPOSE, PartnerSecrets
from sealwright.keys.publication import published_keys
from sealwright.keys.sealing import Sealer
from sealwright.keys.states import KeyState

OLD, NEW = b"o" * 32, b"n" * 32


class Partner:
    """One partner of a service on a memory catalog."""

    def __init__(self) -> None:
        self.catalog, self.clock = MemoryCatalog(), ManualClock()
        self.store = CatalogSecrets(self.catalog, Sealer.fixed(OLD), self.clock)
        backends: Any = {"catalog": self.store}
        self.keys = KeyLifecycle(self.catalog, backends, clock=self.clock)
        self.secrets = PartnerSecrets(self.catalog, backends, self.clock)
        self.keys.open_issuer("acme", algorithm="HS256", backend="catalog", purpose=PURPOSE, **WHO)

    def one(self, state: KeyState) -> Any:
        (found,) = [record for record in self.catalog.records("acme") if record.state is state]
        return found

    def sign(self) -> Any:
        return self.secrets.sign("acme", b"hello", typ="hook+jws", actor="tester")


def test_what_we_sign_the_partner_verifies_with_the_secret_that_was_handed_over() -> None:
    partner = Partner()
    secret = partner.secrets.reveal(partner.one(KeyState.ACTIVE), actor="ops", reason="hand over")
    handed_over = sw.SecretJWK.from_dict(secret.export_secret_dict())
    assert sw.verify_signature(partner.sign().token, handed_over).payload == b"hello"
    theirs = sw.sign(b"hi", handed_over, typ="hook+jws")
    assert partner.secrets.verify("acme", theirs).payload == b"hi"
    actions = [entry.action for entry in partner.catalog.audit()]
    assert "secret.revealed" in actions
    assert "token.signed" in actions


def test_a_rotation_signs_with_the_next_secret_and_still_verifies_the_last() -> None:
    partner = Partner()
    before = partner.sign()
    partner.clock.advance(86_400)
    done = partner.keys.rotate("acme", purpose=PURPOSE, **WHO)
    after = partner.sign()
    assert after.key_id == done.active.key_id != before.key_id
    assert done.standby is not None
    for signed in (before, after):
        assert partner.secrets.verify("acme", signed.token).payload == b"hello"


def test_a_revoked_secret_signs_and_verifies_nothing() -> None:
    partner = Partner()
    before = partner.sign()
    done = partner.keys.emergency_rotate("acme", key_id=before.key_id, **WHO)
    assert done.previous.key_id == before.key_id
    with pytest.raises(sw.RejectedError) as caught:
        partner.secrets.verify("acme", before.token)
    assert caught.value.reason == "key.not_found"
    assert partner.secrets.verify("acme", partner.sign().token).payload == b"hello"
    assert len(partner.catalog.documents(KIND)) == 2  # of the active and of the new standby: the leaked one is gone


def test_no_page_for_the_world_knows_of_it() -> None:
    partner = Partner()
    partner.keys.emergency_rotate("acme", **WHO | {"key_id": partner.one(KeyState.ACTIVE).key_id})
    records = partner.catalog.records()
    assert len(published_keys(records, "acme")) == 0
    assert not revoked_keys(records, "acme")
    assert not archived_keys(records, "acme")


def test_a_key_that_is_no_shared_secret_is_never_revealed() -> None:
    partner, world = Partner(), World().opened()
    with pytest.raises(sw.RefusedError):
        partner.secrets.reveal(world.one(KeyState.ACTIVE), actor="ops", reason="curious")


def test_a_new_key_encryption_key_seals_the_secrets_anew() -> None:
    partner = Partner()
    secret = partner.store.reveal(partner.one(KeyState.ACTIVE).handle).export_secret_dict()
    turned = CatalogSecrets(partner.catalog, Sealer.fixed(NEW, OLD), partner.clock)
    assert turned.reseal() == 2
    assert turned.reseal() == 0
    only_new = CatalogSecrets(partner.catalog, Sealer.fixed(NEW), partner.clock)
    assert only_new.reveal(partner.one(KeyState.ACTIVE).handle).export_secret_dict() == secret
    with pytest.raises(sw.BackendError):
        partner.store.reveal(partner.one(KeyState.ACTIVE).handle)
