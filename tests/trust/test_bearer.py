import pytest

from sealwright.errors import ConfigurationError, Reason, RejectedError, UnavailableError
from sealwright.trust.bearer import bearer_token, challenge, dpop_challenge, nonce_headers, presented_token, status
from sealwright.trust.dpop_nonces import NonceError


def rejected(reason, message="no"):
    return RejectedError(reason, message)


@pytest.mark.parametrize("header", ["Bearer a.b-c_d", "bearer a.b-c_d", "BEARER  a.b-c_d", " Bearer a.b-c_d "])
def test_a_bearer_token_is_read_whatever_the_case_of_its_scheme(header):
    assert bearer_token(header) == "a.b-c_d"


@pytest.mark.parametrize("header", [None, "", "Basic dXNlcjpwdw==", "a.b.c", "DPoP a.b.c", "Bearerx a"])
def test_no_bearer_credential_is_a_missing_one(header):
    with pytest.raises(RejectedError) as caught:
        bearer_token(header)
    assert caught.value.reason == Reason.CREDENTIAL_MISSING


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer a b", "Bearer a, Bearer b", 'Bearer "a"', "Bearer ä", "Bearer a\n"]
)
def test_a_broken_bearer_credential_is_a_malformed_request(header):
    with pytest.raises(RejectedError) as caught:
        bearer_token(header)
    assert caught.value.reason == Reason.REQUEST_MALFORMED


@pytest.mark.parametrize("error", [None, rejected(Reason.CREDENTIAL_MISSING), rejected(Reason.TOKEN_MISSING)])
def test_a_request_without_token_is_told_no_error_code(error):
    assert challenge(error, realm="orders") == 'Bearer realm="orders"'


def test_an_undecided_token_is_not_called_invalid():
    assert challenge(UnavailableError(Reason.SOURCE_UNAVAILABLE, "later"), realm="r") == 'Bearer realm="r"'


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.CLAIMS_EXPIRED, "invalid_token"),
        (Reason.SIGNATURE_INVALID, "invalid_token"),
        (Reason.KEY_REVOKED, "invalid_token"),
        (Reason.CLAIMS_SCOPE, "insufficient_scope"),
        (Reason.REQUEST_MALFORMED, "invalid_request"),
    ],
)
def test_a_refused_token_is_told_the_code_of_rfc_6750(reason, code):
    expected = f'Bearer realm="r", error="{code}", error_description="no", scope="read write"'
    assert challenge(rejected(reason), realm="r", scope="read write") == expected


def test_a_description_cannot_break_out_of_its_quotes():
    error = rejected(Reason.CLAIMS_MISSING, 'no "exp" \\ claim\r\nSet-Cookie: ä')
    assert challenge(error, realm="r").endswith("error_description=\"no 'exp'  claimSet-Cookie: \"")


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\r\nb", "ä"])
def test_a_realm_or_scope_that_needs_escaping_is_a_configuration_error(text):
    with pytest.raises(ConfigurationError):
        challenge(None, realm=text)
    with pytest.raises(ConfigurationError):
        challenge(None, realm="r", scope=text)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (rejected(Reason.CREDENTIAL_MISSING), 401),
        (rejected(Reason.CLAIMS_EXPIRED), 401),
        (rejected(Reason.CLAIMS_SCOPE), 403),
        (rejected(Reason.REQUEST_MALFORMED), 400),
        (UnavailableError(Reason.SOURCE_UNAVAILABLE, "later"), 503),
    ],
)
def test_the_status_says_who_should_do_what(error, code):
    assert status(error) == code


@pytest.mark.parametrize(
    ("header", "expected"),
    [("DPoP a.b.c", ("dpop", "a.b.c")), ("dpop  a", ("dpop", "a")), ("Bearer a", ("bearer", "a"))],
)
def test_a_token_is_read_with_the_scheme_that_presents_it(header, expected):
    assert presented_token(header) == expected


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, Reason.CREDENTIAL_MISSING),
        ("Basic eA==", Reason.CREDENTIAL_MISSING),
        ("DPoP", Reason.REQUEST_MALFORMED),
        ("DPoP a b", Reason.REQUEST_MALFORMED),
        ("DPoP a, DPoP b", Reason.REQUEST_MALFORMED),
        ("Bearer ", Reason.REQUEST_MALFORMED),
    ],
)
def test_a_presented_token_is_one_or_none(header, reason):
    with pytest.raises(RejectedError) as caught:
        presented_token(header)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, None),
        (rejected(Reason.CREDENTIAL_MISSING), None),
        (UnavailableError(Reason.REPLAY_UNAVAILABLE, "later"), None),
        (rejected(Reason.BINDING_PROOF), "invalid_dpop_proof"),
        (rejected(Reason.BINDING_NONCE), "use_dpop_nonce"),
        (rejected(Reason.BINDING_MISMATCH), "invalid_token"),
        (rejected(Reason.CLAIMS_EXPIRED), "invalid_token"),
        (rejected(Reason.CLAIMS_SCOPE), "insufficient_scope"),
    ],
)
def test_a_dpop_challenge_names_the_code_of_rfc_9449_and_the_algorithms(error, code):
    said = "" if code is None else f'error="{code}", error_description="no", '
    expected = f'DPoP realm="r", {said}algs="ES256 PS256"'
    assert dpop_challenge(error, realm="r", algorithms={"PS256", "ES256"}) == expected


def test_only_an_answer_about_a_nonce_has_one():
    assert nonce_headers(NonceError("eu.1.x")) == {"DPoP-Nonce": "eu.1.x"}
    assert nonce_headers(rejected(Reason.BINDING_PROOF)) == {}
    assert nonce_headers(None) == {}
