"""As many tokens as may be revoked fit into what a verifier reads."""

from __future__ import annotations

import random

import sealwright as sw
from sealwright.jose import strict_json
from sealwright.keys.token_statuses import BITS, LIST_SIZE, MOST_IN_FEED, MOST_IN_LISTS
from sealwright.statements.revoked_keys import TYP, feed_claims, parse_feed, token_digest
from sealwright.statements.status_list import INVALID, decode, encode, pack
from sealwright.trust.sources.bounded_get import MAXIMUM_BODY_BYTES

KEY = sw.PrivateJWK.generate("ES256")


def test_a_full_feed_is_read() -> None:
    digests = [token_digest(str(number)) for number in range(MOST_IN_FEED)]
    claims = feed_claims("https://id.example", [], sequence=1, now=1_700_000_000, tokens=digests)
    feed = sw.sign(strict_json.encode_object(claims), KEY, typ=TYP)
    assert len(feed) < MAXIMUM_BODY_BYTES / 2
    assert parse_feed(sw.verify_signature(feed, KEY.public).json()).tokens == set(digests)


def test_a_full_status_list_is_read() -> None:
    places = random.Random(1).sample(range(LIST_SIZE), MOST_IN_LISTS)
    listed = pack(dict.fromkeys(places, INVALID), size=LIST_SIZE, bits=BITS)
    member = encode(listed)
    assert len(member["lst"]) < MAXIMUM_BODY_BYTES / 2
    assert decode(member) == listed
