"""What a verifier says of itself fits into a poll, whatever its issuers publish."""

import json
import time

from poll_server import PollServer

from sealwright.client.credential_file import credential_in
from sealwright.client.verifier_report import MOST_BYTES, Reporting
from sealwright.clock import SYSTEM_CLOCK, ManualClock
from sealwright.events import TokenDecided
from sealwright.jose import base64url, strict_json
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.statements.verifier_reports import parse_report
from sealwright.trust.acceptance import Acceptance
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.revocation_feeds import RevocationFeeds
from sealwright.trust.sources.static import StaticKeys
from sealwright.trust.trust_root import TrustRoot

ROOT = PrivateJWK.generate("ES256", key_id="root-1")
KEY = PrivateJWK.generate("ES256", key_id="k1")


def named(*key_ids):
    return StaticKeys(JWKSet.from_dict({"keys": [{**KEY.public.to_dict(), "kid": key_id} for key_id in key_ids]}))


def reporting(folder, *sources, acceptance=None):
    policies = [VerificationPolicy(issuer=f"https://id-{n}.example", audience="a") for n in range(len(sources))]
    trusted = tuple(TrustedIssuer(policy, source) for policy, source in zip(policies, sources, strict=True))
    feeds = RevocationFeeds([], TrustRoot(JWKSet([ROOT.public])), folder)
    return Reporting("orders", "host/1/abc", trusted, feeds, acceptance or Acceptance())


def test_many_issuers_with_many_keys_still_fit(tmp_path):
    source = named(*(f"{number:0>43}" for number in range(100)))
    said = reporting(tmp_path, *[source] * 80).report({}).to_dict()
    assert len(json.dumps(said)) < MOST_BYTES + 8 * 1024
    read = parse_report(said)
    assert len(read.issuers) == 64
    assert all(one.keys for one in read.issuers.values())


def test_a_kid_that_no_report_can_carry_is_left_out_and_spoils_nothing(tmp_path):
    said = reporting(tmp_path, named("k1", "line\nbreak", "x" * 501)).report({}).to_dict()
    assert set(parse_report(said).issuers["https://id-0.example"].keys) == {"k1"}


def test_a_source_that_tells_nothing_is_reported_without_keys(tmp_path):
    class Silent:
        """Another's key source."""

    read = parse_report(reporting(tmp_path, Silent()).report({}).to_dict())
    assert read.issuers["https://id-0.example"].keys == {}
    assert read.issuers["https://id-0.example"].sequence is None


def test_only_what_was_accepted_is_remembered():
    clock = ManualClock()
    acceptance = Acceptance(clock)
    for outcome, key_id in (("accepted", "k1"), ("rejected", "k2"), ("undecided", "k3"), ("accepted", None)):
        acceptance.observe(TokenDecided("i", "ES256", key_id, outcome, None, 0.1))
    assert acceptance.of("i", ["k1", "k2", "k3"]) == {"k1": clock.now(), "k2": None, "k3": None}
    assert acceptance.of("other", ["k1"]) == {"k1": None}
    for number in range(10_000):
        acceptance.observe(TokenDecided("i", "ES256", str(number), "accepted", None, 0.1))
    assert len(acceptance._last) <= 4096


def test_a_credential_in_a_file_is_renewed_in_place(tmp_path):
    server, file = PollServer(ROOT), tmp_path / "credential"
    try:
        now = int(time.time())
        life = base64url.encode(strict_json.encode_object({"iat": now - 60, "exp": now + 30})).decode()
        file.write_text(f"e30.{life}.x\n")
        credential = credential_in(file, server.url, None, SYSTEM_CLOCK)
        assert credential() == "renewed"
        assert file.read_text() == "renewed\n"
        assert file.stat().st_mode & 0o777 == 0o600
        assert server.headers[-1]["Authorization"] == f"Bearer e30.{life}.x"
    finally:
        server.stop()


def test_issuers_with_kids_that_grow_when_they_are_written_still_fit(tmp_path):
    source = named(*("\N{KEY}" * 400 + str(number) for number in range(100)))
    said = reporting(tmp_path, source, named("k1")).report({}).to_dict()
    assert len(json.dumps(said)) < MOST_BYTES + 8 * 1024
    assert parse_report(said).issuers["https://id-1.example"].keys == {"k1": None}
