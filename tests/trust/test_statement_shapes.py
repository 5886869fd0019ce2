"""Whatever is in a statement that somebody signed: it is read, or refused with one error."""

from hypothesis import given
from hypothesis import strategies as st

from sealwright.errors import RejectedError
from sealwright.statements.revoked_keys import RevokedKey, feed_claims, parse_feed
from sealwright.statements.security_events import parse_event
from sealwright.statements.trust_bundle import bundle_claims, parse_bundle
from sealwright.statements.verifier_reports import parse_answer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = ("iss", "sub", "iat", "exp", "seq", "revoked", "tokens", "keys", "spiffe_sequence", "spiffe_refresh_hint")
GOOD = {
    parse_feed: feed_claims("i", [RevokedKey("k", 1.0, "compromised")], sequence=1, now=1e9, tokens=["d"]),
    parse_bundle: bundle_claims("i", [{"kty": "EC"}], sequence=1, now=1e9),
}


def answered(parse, claims):
    """What was read, or the reason why not."""
    try:
        return parse(claims)
    except RejectedError as error:
        return str(error.reason)


@given(
    parse=st.sampled_from(list(GOOD)),
    changes=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3),
    dropped=st.sets(st.sampled_from(NAMES), max_size=2),
)
def test_a_changed_statement_is_read_or_refused(parse, changes, dropped):
    claims = {name: value for name, value in {**GOOD[parse], **changes}.items() if name not in dropped}
    answer = answered(parse, claims)
    assert answer in ("claims.malformed", "statement.malformed") or 0 <= answer.sequence < 2**63


@given(value=JSON, members=st.dictionaries(st.sampled_from(("sets", "trials", "events", "exp", "sub")), JSON))
def test_an_answer_or_event_of_any_shape_is_read_or_refused(value, members):
    for parse, given_ in ((parse_answer, value), (parse_answer, members), (parse_event, members)):
        answer = answered(parse, given_)
        assert not isinstance(answer, str) or answer == "statement.malformed"
