"""One function for each parser: it raises for any error but ours, and for an answer that cannot be right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import seeds

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.errors import SealwrightError
from sealwright.jose import base64url, compact, json_forms, key_formats, strict_json
from sealwright.jose.algorithms import ASYMMETRIC
from sealwright.jose.header import Header
from sealwright.statements import status_list, verifier_reports
from sealwright.trust import introspection
from sealwright.trust.claim_path import MAXIMUM_VALUE_CHARACTERS
from sealwright.trust.client_certificates import parse_header
from sealwright.trust.dpop import DpopProofs
from sealwright.trust.evidence import Evidence
from sealwright.trust.identity import IdentityMap
from sealwright.trust.request_path import segments_of
from sealwright.trust.request_url import normalized
from sealwright.trust.sources.shared_secret import SharedSecret
from sealwright.trust.sources.static import StaticKeys

Target = Callable[[bytes], None]

_CANONICAL = re.compile(
    rb"(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?"  # RFC 4648 §3.5
)


def _issuer(name: str, algorithm: str, source: Any) -> sw.TrustedIssuer:
    policy = sw.VerificationPolicy(issuer=name, audience=seeds.AUDIENCE, algorithms=frozenset({algorithm}))
    return sw.TrustedIssuer(policy, source)


_IDENTITIES = IdentityMap(
    {"subject": "sub", "scopes": "scope", "roles": "a/roles", "groups": "g", "name": "{kubernetes.io/namespace}:{sub}"}
)
_ISSUERS = [
    _issuer(seeds.ES_ISSUER, "ES256", StaticKeys(seeds.ES_KEY.public)),
    _issuer(seeds.HS_ISSUER, "HS256", SharedSecret(seeds.HS_KEY)),
]
_PROOFS = DpopProofs()
_CLOCK = ManualClock(seeds.NOW)
_ALL = sw.Verifier(issuers=_ISSUERS, clock=_CLOCK)
_EACH = [sw.Verifier(issuers=[one], clock=_CLOCK) for one in _ISSUERS]  # only these take the shortcut


def _decide(token: bytes) -> bool:
    """Whether the token is accepted: the long way and the shortcut must agree, and neither may hide an error."""
    decision, *alone = [verifier.decide(token) for verifier in (_ALL, *_EACH)]
    assert all(one.outcome != "undecided" for one in (decision, *alone)), "the verifier hid an unforeseen error"
    assert decision.accepted == any(one.accepted for one in alone)
    assert decision.reason in {one.reason for one in alone}
    return decision.accepted


def _result(read: Callable[..., Any], *arguments: Any) -> Any:
    """What was read, or None where it was refused in our own words."""
    try:
        return read(*arguments)
    except SealwrightError:
        return None


def base64url_decode(data: bytes) -> None:
    decoded = _result(base64url.decode, data)
    assert (decoded is not None) == (_CANONICAL.fullmatch(data) is not None)
    assert decoded is None or base64url.encode(decoded) == data


def strict_json_object(data: bytes) -> None:
    value = _result(strict_json.parse_object, data)
    if value is None:
        return
    text = data.decode("utf-8")
    assert repr(json.loads(text)) == repr(value) == repr(strict_json.parse_thoroughly(data))
    named: list[int] = []
    json.loads(text, object_pairs_hook=lambda pairs: (named.append(len(pairs)), dict(pairs))[1])
    assert _members_and_depth(value) == (sum(named), True)
    assert repr(strict_json.parse_object(strict_json.encode_thoroughly(value))) == repr(value)
    assert repr(strict_json.parse_object(strict_json.encode_object(value))) == repr(value)


def _members_and_depth(value: Any) -> tuple[int, bool]:
    """How many members there are in all, and whether none of them lies deeper than is allowed."""
    count, deepest, open_ = 0, 0, [(value, 1)]
    while open_:
        one, depth = open_.pop()
        if isinstance(one, dict | list):
            deepest = max(deepest, depth)
            count += len(one) if isinstance(one, dict) else 0
            open_.extend((inner, depth + 1) for inner in (one.values() if isinstance(one, dict) else one))
    return count, deepest <= strict_json.MAX_DEPTH


def header(data: bytes) -> None:
    read = _result(Header.parse, base64url.encode(data))
    assert read is None or read.algorithm == json.loads(data)["alg"]
    _result(Header.parse, data)


def compact_token(data: bytes) -> None:
    token = _result(compact.parse, data)
    if token is not None:
        assert token.signing_input + b"." + base64url.encode(token.signature) == data
        _result(token.unverified_claims)
        payload = _result(token.unverified_payload)  # decoded only now: the signature comes first
        assert payload is None or compact.parse(data.decode("ascii")).signing_input == token.signing_input


def public_jwk(data: bytes) -> None:
    members = _result(strict_json.parse_object, data)
    key = None if members is None else _result(sw.PublicJWK.from_dict, members)
    if key is not None:
        _check_public(key)


def _check_public(key: sw.PublicJWK) -> None:
    assert sw.PublicJWK.from_dict(key.to_dict()) == key
    assert len(key.thumbprint()) == 43
    assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} & key.members.keys()
    bound = _result(key.bound_to, ASYMMETRIC)
    if bound is not None:
        assert not any(bound.verify(forged, b"x") for forged in (b"", bytes(64), b"\x01" * 64, bytes(256)))


def private_jwk(data: bytes) -> None:
    members = _result(strict_json.parse_object, data)
    key = None if members is None else _result(sw.PrivateJWK.from_dict, members)
    if key is not None:
        _check_private(key)


def _check_private(key: sw.PrivateJWK) -> None:
    assert sw.PrivateJWK.from_dict(key.export_private_dict()).public == key.public
    assert key.public.verify(key.sign(b"x"), b"x")
    _check_public(key.public)


def secret_jwk(data: bytes) -> None:
    members = _result(strict_json.parse_object, data)
    key = None if members is None else _result(sw.SecretJWK.from_dict, members)
    if key is not None:
        assert sw.SecretJWK.from_dict(key.export_secret_dict()).verify(key.sign(b"x"), b"x")


def jwk_set(data: bytes) -> None:
    keys = _result(sw.JWKSet.from_json, data)
    if keys is not None:
        assert len(keys) + len(keys.unusable) == len(json.loads(data)["keys"])
        assert len(sw.JWKSet.from_dict(keys.to_dict())) == len(keys)
        for key in keys.bound_to(ASYMMETRIC):
            found = _result(keys.find, key.key_id)
            assert found is None or found.key_id == key.key_id


def json_form(data: bytes) -> None:
    parsed = _result(json_forms.parse, data)
    if parsed is not None:
        members = json.loads(data)
        assert len(parsed.signatures) == len(members.get("signatures", [members]))
        assert (parsed.payload is None) == (members.get("payload") is None)
        for one in parsed.signatures:
            assert isinstance(one, json_forms.UnverifiedSignature | SealwrightError)


def verify(token: bytes) -> None:
    assert not _decide(token) or token.rpartition(b".")[0] in seeds.TRUSTED_INPUTS, "forged"


def verify_parts(data: bytes) -> None:
    verify(b".".join(base64url.encode(part) for part in data.split(seeds.SEPARATOR, 2)))


def _decide_signed(head: bytes, payload: bytes) -> bool:
    signing_input = base64url.encode(head) + b"." + base64url.encode(payload)
    return _decide(signing_input + b"." + base64url.encode(seeds.HS_KEY.sign(signing_input)))


def signed_header(data: bytes) -> None:
    if _decide_signed(data, seeds.PAYLOADS[1]):
        members = json.loads(data)
        assert members["alg"] == "HS256"
        assert members.get("kid", "hs") == "hs"
        assert members.get("crit", ["b64"]) == ["b64"]
        assert members.get("b64", True) is True


def signed_claims(data: bytes) -> None:
    if _decide_signed(b'{"alg":"HS256","kid":"hs"}', data):
        claims = json.loads(data)
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        assert claims["iss"] == seeds.HS_ISSUER
        assert seeds.AUDIENCE in audience
        assert claims["exp"] > seeds.NOW - 60
        assert max(claims.get("nbf", 0), claims.get("iat", 0)) <= seeds.NOW + 60


def key_file_public(data: bytes) -> None:
    key = _result(key_formats.read_public, data)
    if key is not None:
        _check_public(key)


def key_file_private(data: bytes) -> None:
    key = _result(lambda: key_formats.read_private(data, alg="RS256")) or _result(
        lambda: key_formats.read_private(data, alg=None)
    )
    if key is not None:
        _check_private(key)


def client_certificate(data: bytes) -> None:
    text = data.decode("latin-1")
    for form in ("rfc9440", "xfcc", "pem"):
        found = _result(parse_header, text, form)
        assert found is None or len(base64url.decode_text(found)) == 32


def request_url(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    found = _result(normalized, text)
    if found is not None:
        assert normalized(found) == found
        assert normalized(text + "#x") == found


def request_path(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")
    found = _result(segments_of, text)
    if found is not None:
        again = "/" + "/".join(quote(segment, safe="") for segment in found)
        assert segments_of(again) == found
        assert all(segment and segment.isprintable() and not set("/\\%;?#") & set(segment) for segment in found)
        assert not {".", ".."} & set(found)


def identity(data: bytes) -> None:
    claims = _result(strict_json.parse_object, data)
    if claims is not None:
        found = _result(_IDENTITIES.identity_of, sw.Verified("i", None, "ES256", claims))
        texts = [] if found is None else [*found.texts.values(), *sum(found.lists.values(), ())]
        assert all(text.isprintable() and len(text) <= MAXIMUM_VALUE_CHARACTERS for text in texts)


def dpop_proof(data: bytes) -> None:
    """Header and claims are made up, and the signature is right: a proof that holds has to be that of its request."""
    head, _, payload = data.partition(seeds.SEPARATOR)
    signing_input = base64url.encode(head) + b"." + base64url.encode(payload)
    signed = signing_input + b"." + base64url.encode(seeds.ES_KEY.sign(signing_input))
    for proof in (signed, data):
        shown = Evidence(method="GET", url=seeds.URL, proofs=(proof.decode("latin-1"),))
        held = _result(_PROOFS.check, shown, "a.b.c", seeds.ES_KEY.public.thumbprint(), seeds.NOW)
        if held is not None:
            claims = json.loads(payload)
            assert json.loads(head)["typ"].lower().removeprefix("application/") == "dpop+jwt"
            assert (claims["htm"], normalized(claims["htu"])) == ("GET", seeds.URL)
            assert (claims["jti"], claims["ath"]) == (held.proof_id, seeds.PROOF_CLAIMS["ath"])
            assert -10 <= seeds.NOW - claims["iat"] <= 70


def verifier_report(data: bytes) -> None:
    """What is read is bounded, and says of itself what was read."""
    report = _result(lambda: verifier_reports.parse_report(strict_json.parse_object(data)))
    if report is not None:
        assert verifier_reports.parse_report(report.to_dict()) == report
        assert len(report.issuers) <= verifier_reports.MOST_ISSUERS
        assert len(report.tried) <= verifier_reports.MOST_TRIALS
        assert all(len(one.keys) <= verifier_reports.MOST_KEYS for one in report.issuers.values())


def poll_answer(data: bytes) -> None:
    answer = _result(lambda: verifier_reports.parse_answer(strict_json.parse_object(data)))
    if answer is not None:
        assert verifier_reports.parse_answer(answer.to_dict()) == answer
        trials = {name: replace(trial, token="hidden") for name, trial in answer.trials.items()}
        assert repr(answer) == repr(replace(answer, sets={}, trials=trials))


def status_lists(data: bytes) -> None:
    """The claims of a list, and those of a token with a place in one."""
    members = _result(strict_json.parse_object, data)
    if members is None:
        return
    said = _result(lambda: status_list.parse_statement(members, maximum_bytes=64 * 1024))
    if said is not None:
        listed = said.statuses
        assert len(listed.octets) <= 64 * 1024
        assert status_list.decode(status_list.encode(listed)) == listed
        assert 0 <= listed.status(len(listed) - 1) < 2**listed.bits
    named = _result(status_list.parse_reference, members)
    assert named is None or members["status"]["status_list"]["idx"] == named.index >= 0


def introspection_answer(data: bytes) -> None:
    said = _result(introspection.parse_answer, data)
    if said is not None:
        assert said.active is json.loads(data)["active"]
        assert said.expires_at is None or said.expires_at == json.loads(data)["exp"]


TARGETS: dict[str, Target] = {
    "base64url": base64url_decode,
    "strict_json": strict_json_object,
    "header": header,
    "compact": compact_token,
    "public_jwk": public_jwk,
    "private_jwk": private_jwk,
    "secret_jwk": secret_jwk,
    "jwk_set": jwk_set,
    "json_forms": json_form,
    "verify": verify,
    "verify_parts": verify_parts,
    "signed_header": signed_header,
    "signed_claims": signed_claims,
    "key_file_public": key_file_public,
    "key_file_private": key_file_private,
    "client_certificate": client_certificate,
    "request_url": request_url,
    "request_path": request_path,
    "identity": identity,
    "dpop_proof": dpop_proof,
    "verifier_report": verifier_report,
    "poll_answer": poll_answer,
    "status_lists": status_lists,
    "introspection_answer": introspection_answer,
}


def _planted(data: bytes) -> None:
    """Not one of the parsers: a fault of the kind that is looked for, which shows that the campaign sees it."""
    members = _result(strict_json.parse_object, data)
    if members is not None:
        members.get("alg", "").upper()


PLANTED: dict[str, Target] = {"planted": _planted}
