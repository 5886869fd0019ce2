"""Keys from a signed trust bundle: from a URL, from a file, handed over; with a hard end and no way back."""

import asyncio

import pytest
from statement_server import StatementServer

from sealwright.errors import RejectedError, UnavailableError
from sealwright.jose import strict_json
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.jose.signing import sign
from sealwright.statements.historical_keys import archive_claims
from sealwright.statements.trust_bundle import LIFETIME_S, bundle_claims, parse_bundle
from sealwright.trust.sources.bundle import BundleKeys
from sealwright.trust.statement_reader import ReaderSettings
from sealwright.trust.trust_root import TrustRoot

ISSUER = "https://id.example"
QUICK = ReaderSettings(floor_s=0.001, backoff_first_s=0.01, backoff_maximum_s=0.01, timeout_s=2.0)
ROOT = PrivateJWK.generate("ES256", key_id="root-1")


@pytest.fixture
def server():
    server = StatementServer()
    yield server
    server.stop()


@pytest.fixture
def text(clock, k1):
    def make(*members, sequence=1, now=None, root=ROOT, typ="jwk-set+jwt", **changes):
        keys = members or (k1.public.to_dict(),)
        claims = bundle_claims(ISSUER, keys, sequence=sequence, now=clock.now() if now is None else now)
        kept = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return sign(strict_json.encode_object(kept), root, typ=typ)

    return make


@pytest.fixture
def keys_of(clock, events, tmp_path):
    made = []

    def make(origin=None):
        pinned = TrustRoot(JWKSet([ROOT.public]))
        made.append(BundleKeys(ISSUER, origin, pinned, tmp_path, settings=QUICK, clock=clock, observer=events))
        return made[-1]

    yield make
    for one in made:
        one.close()


def refused(call):
    with pytest.raises((RejectedError, UnavailableError)) as caught:
        call()
    return str(caught.value.reason)


def test_the_first_find_waits_for_the_bundle_of_a_url(server, keys_of, text, k1):
    server.body = text().encode()
    source = keys_of(server.url)
    assert source.find("k1") == k1.public
    assert asyncio.run(source.afind("k1")) == k1.public
    assert server.fetches == 1
    assert source.sequence == 1
    assert [key.key_id for key in source.held()] == ["k1"]


def test_an_event_loop_is_not_blocked_by_the_first_find(server, keys_of, text, k1):
    server.body = text().encode()
    server.hold()
    source = keys_of(server.url)

    async def both():
        finding = asyncio.create_task(source.afind("k1"))
        await asyncio.to_thread(server.wait_for_fetches, 1)
        server.release()
        return await finding

    assert asyncio.run(both()) == k1.public


def test_a_token_verifies_with_the_keys_of_a_bundle(keys_of, text, verifier_of, token_of, k1):
    source = keys_of()
    verifier = verifier_of(source)
    assert verifier.decide(token_of(k1)).outcome == "undecided"
    source.load(text())
    assert verifier.decide(token_of(k1)).outcome == "accepted"
    assert str(verifier.decide(token_of(ROOT)).reason) == "key.not_found"


def test_without_keys_everything_is_revoked(keys_of, text):
    source = keys_of()
    source.load(text(keys=[]))
    assert refused(lambda: source.find("k1")) == "key.not_found"


def test_keys_have_limits_of_their_own(keys_of, text, clock, k1, k2):
    now = int(clock.now())
    revoked = {**k1.public.to_dict(), "revoked": {"revoked_at": now, "reason": "compromised"}}
    later = {**k2.public.to_dict(), "nbf": now + 60, "exp": now + 120}
    source = keys_of()
    source.load(text(revoked, later))
    assert refused(lambda: source.find("k1")) == "key.revoked"
    assert refused(lambda: source.find("k2")) == "key.not_yet_valid"
    clock.advance(61)
    assert source.find("k2").key_id == "k2"
    clock.advance(60)
    assert refused(lambda: source.find("k2")) == "key.expired"


def test_the_end_of_a_bundle_is_hard(keys_of, text, clock):
    source = keys_of()
    source.load(text())
    clock.advance(LIFETIME_S - 1)
    source.find("k1")
    clock.advance(2)
    assert refused(lambda: source.find("k1")) == "source.unavailable"
    assert refused(lambda: source.load(text(now=clock.now() - LIFETIME_S - 1, sequence=2))) == "claims.expired"
    source.load(text(sequence=2))
    source.find("k1")


def test_a_clock_that_was_set_back_revives_nothing(keys_of, text, clock):
    keys_of().load(text(sequence=2))
    old = text(sequence=2, now=clock.now() - LIFETIME_S - 10)
    clock.jump(-LIFETIME_S - 5)
    assert refused(lambda: keys_of().load(old)) == "claims.expired"


def test_a_device_whose_clock_starts_in_1970_believes_the_bundle(keys_of, text, clock):
    bundle = text()
    clock.jump(-clock.now())
    source = keys_of()
    source.load(bundle)
    source.find("k1")


def test_an_older_bundle_is_refused_also_after_a_restart(keys_of, text, k2):
    source = keys_of()
    source.load(text(sequence=5))
    for one in (source, keys_of()):
        assert refused(lambda one=one: one.load(text(sequence=4))) == "statement.rolled_back"
    assert refused(lambda: source.load(text(k2.public.to_dict(), sequence=5))) == "statement.rolled_back"
    source.find("k1")
    keys_of().load(text(sequence=5))


FORGERIES = {
    "by a token key": ({"root": PrivateJWK.generate("ES256", key_id="k1")}, "key.not_found"),
    "of another type": ({"typ": "revoked-keys+jwt"}, "header.type"),
    "of another issuer": ({"iss": "https://other.example"}, "claims.issuer"),
    "about another issuer": ({"sub": "https://other.example"}, "claims.issuer"),
    "without a sequence": ({"spiffe_sequence": None}, "statement.malformed"),
    "with a sequence beyond 64 bits": ({"spiffe_sequence": 2**63}, "statement.malformed"),
    "without an end": ({"exp": None}, "statement.malformed"),
    "without a beginning": ({"iat": None}, "statement.malformed"),
    "without keys": ({"keys": None}, "statement.malformed"),
    "with keys that are none": ({"keys": "k1"}, "statement.malformed"),
    "with an endless number of keys": ({"keys": [{}] * 101}, "statement.malformed"),
    "with a hint of text": ({"spiffe_refresh_hint": "300"}, "statement.malformed"),
}


@pytest.mark.parametrize(("changes", "reason"), FORGERIES.values(), ids=FORGERIES)
def test_a_forged_or_broken_bundle_is_refused(keys_of, text, changes, reason):
    source = keys_of()
    assert refused(lambda: source.load(text(**changes))) == reason
    assert refused(lambda: source.find("k1")) == "source.unavailable"


def test_an_archive_is_no_bundle(keys_of, clock):
    claims = archive_claims(ISSUER, [], sequence=3, now=clock.now())
    archive = sign(strict_json.encode_object(claims), ROOT, typ="jwk-set+jwt")
    assert refused(lambda: keys_of().load(archive)) == "statement.malformed"
    with pytest.raises(RejectedError):
        parse_bundle(claims)


def test_a_file_that_is_brought_here_is_read_and_read_again(keys_of, text, tmp_path, clock, k2):
    file = tmp_path / "bundle.jwt"
    file.write_text(text() + "\n")
    source = keys_of(file)
    source.find("k1")
    file.write_text(text(k2.public.to_dict(), sequence=2))
    clock.advance(1)
    source.refresh()
    assert source.find("k2").key_id == "k2"
    assert refused(lambda: source.find("k1")) == "key.not_found"


def test_a_key_that_is_not_known_yet_is_asked_for_within_a_budget(keys_of, text, server, events, clock):
    server.body = text().encode()
    source = keys_of(server.url)
    source.find("k1")
    events.next()
    new = PrivateJWK.generate("ES256", key_id="new")
    server.body = text(new.public.to_dict(), sequence=2).encode()
    clock.advance(1)
    assert refused(lambda: source.find("new")) == "key.not_found"
    assert events.next().outcome == "changed"
    source.find("new")
    for number in range(50):
        clock.advance(0.01)
        refused(lambda number=number: source.find(f"unknown-{number}"))
    assert server.fetches <= 2 + 5


def test_a_service_that_is_down_leaves_the_held_bundle_until_its_end(keys_of, text, server, clock):
    server.body = text().encode()
    source = keys_of(server.url)
    source.find("k1")
    server.mode = "error"
    clock.advance(1)
    assert refused(source.refresh) == "source.unavailable"
    source.find("k1")
    clock.advance(LIFETIME_S)
    assert refused(lambda: source.find("k1")) == "source.unavailable"
