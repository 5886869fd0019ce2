import pytest

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url
from sealwright.jose.header import encode
from sealwright.trust.policy import IGNORE_AUDIENCE, IGNORE_ISSUER
from sealwright.trust.verifier import Verifier

NOW = 1_700_000_000


def signed(key, payload):
    """A token over exactly these bytes, valid JSON or not."""
    head = encode(key.algorithm.name, key.key_id, None)
    signing_input = head + b"." + base64url.encode(payload)
    return (signing_input + b"." + base64url.encode(key.sign(signing_input))).decode()


@pytest.fixture
def decide(clock, k1):
    def decide(token, **changes):
        usual = {"issuer": "https://id.example", "audience": "orders", "keys": k1.public, "clock": clock}
        return Verifier(**{**usual, **changes}).decide(token)

    return decide


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ('"exp":true', Reason.CLAIMS_WRONG_TYPE),
        ('"exp":"9999999999"', Reason.CLAIMS_WRONG_TYPE),
        ('"exp":null', Reason.CLAIMS_WRONG_TYPE),
        ('"exp":[9999999999]', Reason.CLAIMS_WRONG_TYPE),
        ('"exp":NaN', Reason.JSON_MALFORMED),
        ('"exp":Infinity', Reason.JSON_MALFORMED),
        ('"exp":1e400', Reason.JSON_MALFORMED),
        ('"exp":-1', Reason.CLAIMS_EXPIRED),
        (f'"exp":{NOW - 60}', Reason.CLAIMS_EXPIRED),
        (f'"exp":{NOW - 59}', None),
        (f'"exp":{NOW + 1}.5', None),
        (f'"exp":{NOW}{"0" * 400}', Reason.CLAIMS_MALFORMED),
        (f'"exp":{NOW + 900},"iat":-1{"0" * 400}', Reason.CLAIMS_MALFORMED),
        (f'"exp":{NOW}{"0" * 5000}', Reason.JSON_MALFORMED),
        (f'"exp":{NOW + 900},"nbf":{NOW + 61}', Reason.CLAIMS_NOT_YET_VALID),
        (f'"exp":{NOW + 900},"nbf":{NOW + 60}', None),
        (f'"exp":{NOW + 900},"nbf":true', Reason.CLAIMS_WRONG_TYPE),
        (f'"exp":{NOW + 900},"iat":{NOW + 61}', Reason.CLAIMS_ISSUED_IN_FUTURE),
        (f'"exp":{NOW + 900},"iat":"{NOW}"', Reason.CLAIMS_WRONG_TYPE),
        (f'"exp":{NOW + 900},"sub":7', Reason.CLAIMS_WRONG_TYPE),
        (f'"exp":{NOW + 900},"scope":["a"]', Reason.CLAIMS_WRONG_TYPE),
        (f'"exp":{NOW + 900},"jti":{{}}', Reason.CLAIMS_WRONG_TYPE),
        (f'"exp":{NOW + 900},"sub":"a","sub":"b"', Reason.JSON_DUPLICATE_NAME),
        ('"sub":"alice"', Reason.CLAIMS_MISSING),
    ],
)
def test_the_times_and_types_of_claims(decide, k1, claim, reason):
    token = signed(k1, f'{{"iss":"https://id.example","aud":"orders",{claim}}}'.encode())
    assert decide(token).reason == reason


@pytest.mark.parametrize(
    ("parties", "reason"),
    [
        ('"iss":"https://id.example","aud":"orders"', None),
        ('"iss":"https://id.example","aud":["x","orders"]', None),
        ('"iss":"https://id.example","aud":"order"', Reason.CLAIMS_AUDIENCE),
        ('"iss":"https://id.example","aud":"orders2"', Reason.CLAIMS_AUDIENCE),
        ('"iss":"https://id.example","aud":"Orders"', Reason.CLAIMS_AUDIENCE),
        ('"iss":"https://id.example","aud":[]', Reason.CLAIMS_AUDIENCE),
        ('"iss":"https://id.example"', Reason.CLAIMS_AUDIENCE),
        ('"iss":"https://id.example","aud":[["orders"]]', Reason.CLAIMS_WRONG_TYPE),
        ('"iss":"https://id.example","aud":["orders",7]', Reason.CLAIMS_WRONG_TYPE),
        ('"iss":"https://id.example","aud":null', Reason.CLAIMS_WRONG_TYPE),
        ('"iss":"https://id.example","aud":{"orders":1}', Reason.CLAIMS_WRONG_TYPE),
        ('"aud":"orders"', Reason.ISSUER_MISSING),
        ('"iss":null,"aud":"orders"', Reason.ISSUER_MISSING),
        ('"iss":["https://id.example"],"aud":"orders"', Reason.ISSUER_MISSING),
        ('"iss":"https://id.example/","aud":"orders"', Reason.ISSUER_UNKNOWN),
        ('"iss":"HTTPS://ID.EXAMPLE","aud":"orders"', Reason.ISSUER_UNKNOWN),
        ('"iss":"","aud":"orders"', Reason.ISSUER_UNKNOWN),
    ],
)
def test_the_parties_of_a_token(decide, k1, parties, reason):
    assert decide(signed(k1, f'{{{parties},"exp":{NOW + 900}}}'.encode())).reason == reason


@pytest.mark.parametrize("leeway_s", [0.0, 10.0])
def test_leeway_widens_and_never_narrows(decide, token_of, k1, leeway_s):
    assert decide(token_of(k1, exp=NOW + 5), leeway_s=leeway_s).accepted
    assert decide(token_of(k1, exp=NOW - 5), leeway_s=leeway_s).accepted == (leeway_s == 10.0)
    assert decide(token_of(k1, nbf=NOW + 5), leeway_s=leeway_s).accepted == (leeway_s == 10.0)
    assert decide(token_of(k1, exp=NOW), leeway_s=leeway_s).accepted == (leeway_s == 10.0)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"[]", Reason.JSON_MALFORMED),
        (b'"text"', Reason.JSON_MALFORMED),
        (b"7", Reason.JSON_MALFORMED),
        (b"", Reason.JSON_MALFORMED),
        (b"not json", Reason.JSON_MALFORMED),
        (b'{"iss":"\xff"}', Reason.JSON_MALFORMED),
        (b'{"a":' * 40 + b"1" + b"}" * 40, Reason.JSON_TOO_DEEP),
    ],
)
@pytest.mark.parametrize("issuer", ["https://id.example", IGNORE_ISSUER])
def test_a_payload_that_is_not_a_json_object_has_no_claims(decide, k1, payload, reason, issuer):
    assert decide(signed(k1, payload), issuer=issuer).reason == reason


def test_a_token_for_an_audience_is_refused_where_another_is_expected_and_accepted_where_none_is_checked(
    decide, token_of, k1
):
    token = token_of(k1, aud="billing")
    assert decide(token).reason == Reason.CLAIMS_AUDIENCE
    assert decide(token, audience=["billing", "orders"]).accepted
    assert decide(token, audience=IGNORE_AUDIENCE).accepted


def test_expiry_is_required_unless_a_policy_says_otherwise(decide, token_of, k1):
    token = token_of(k1, exp=None)
    assert decide(token).reason == Reason.CLAIMS_MISSING
    assert decide(token, require_expiry=False).accepted


def test_maximum_age_and_lifetime_are_enforced(decide, token_of, k1):
    assert decide(token_of(k1, iat=NOW - 400), maximum_age_s=300.0).reason == Reason.CLAIMS_TOO_OLD
    assert decide(token_of(k1, iat=None), maximum_age_s=300.0).reason == Reason.CLAIMS_MISSING
    assert decide(token_of(k1, exp=NOW + 901), maximum_lifetime_s=900.0).reason == Reason.CLAIMS_LIFETIME
    assert decide(token_of(k1), maximum_lifetime_s=900.0, maximum_age_s=300.0).accepted


def test_required_claims_and_scopes_are_enforced(decide, token_of, k1):
    assert decide(token_of(k1), required_claims=["jti"]).reason == Reason.CLAIMS_MISSING
    assert decide(token_of(k1, jti="1"), required_claims=["jti"]).accepted
    assert decide(token_of(k1, scope="read"), required_scopes={"write"}).reason == Reason.CLAIMS_SCOPE
    assert decide(token_of(k1, scope="read write"), required_scopes={"write"}).accepted


def test_scopes_asked_for_at_the_call_are_enforced_as_whole_words(token_of, clock, k1):
    verifier = Verifier(issuer="https://id.example", audience="orders", keys=k1.public, clock=clock)
    token = token_of(k1, scope="read write:all")
    assert verifier.decide(token, scopes=frozenset({"read"})).accepted
    for missing in ("write", "rea", "admin"):
        assert verifier.decide(token, scopes=frozenset({"read", missing})).reason == Reason.CLAIMS_SCOPE
    assert verifier.decide(token_of(k1), scopes=frozenset({"read"})).reason == Reason.CLAIMS_SCOPE
    with pytest.raises(RejectedError):
        verifier.verify(token_of(k1), scopes=frozenset({"read"}))


@pytest.mark.parametrize(
    ("typ", "accepted"),
    [("at+jwt", True), ("AT+JWT", True), ("application/at+jwt", True), ("JWT", False), (None, False)],
)
def test_the_type_is_compared_as_a_media_type(decide, token_of, k1, typ, accepted):
    decision = decide(token_of(k1, typ=typ), typ="at+jwt")
    assert decision.accepted == accepted
    assert decision.reason in (None, Reason.HEADER_TYPE)


def test_any_type_is_accepted_where_none_is_required(decide, token_of, k1):
    assert decide(token_of(k1, typ="at+jwt")).accepted
