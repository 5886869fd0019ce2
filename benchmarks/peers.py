"""The peers that run on any supported Python, each in the fastest way that its own documentation shows."""

from __future__ import annotations

import json
from typing import Any

import jose.jwk
import jose.jwt
import joserfc.jwk
import joserfc.jws
import joserfc.jwt
import jwcrypto.jwk
import jwcrypto.jwt
import jwt
import oxyjwt

from benchmarks.contestants import CannotError, Contestant, Sign, Verify
from benchmarks.work import AUDIENCE, ISSUER, Work, members, native, pem

HEADROOM = 2**21  # where a peer limits sizes: what the largest token of the benchmark needs


def _pyjwt_verifying(work: Work) -> Verify:
    keys = {one["kid"]: jwt.PyJWK(one) for one in work.public_members()}
    algorithms = [work.alg]

    def verify(token: str) -> dict[str, Any]:
        key = keys[jwt.get_unverified_header(token)["kid"]]  # as its JWKS client does: it has no other way to pick
        claims: dict[str, Any] = jwt.decode(token, key, algorithms=algorithms, audience=AUDIENCE, issuer=ISSUER)
        return claims

    return verify


def _pyjwt_signing(work: Work) -> Sign:
    claims, key, headers = work.claims_to_sign(), jwt.PyJWK(members(work.key)).key, {"kid": work.kid}
    return lambda: jwt.encode(claims, key, algorithm=work.alg, headers=headers)


def _joserfc_verifying(work: Work) -> Verify:
    keys = joserfc.jwk.KeySet([joserfc.jwk.import_key(one) for one in work.public_members()])
    rules = joserfc.jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": AUDIENCE}, exp={"essential": True}
    )
    registry = joserfc.jws.JWSRegistry(algorithms=[work.alg])
    registry.max_payload_length = HEADROOM

    def verify(token: str) -> dict[str, Any]:
        claims = joserfc.jwt.decode(token, keys, registry=registry).claims
        rules.validate(claims)
        return claims

    return verify


def _joserfc_signing(work: Work) -> Sign:
    alg = "Ed25519" if work.alg == "EdDSA" else work.alg  # at each use of the older name it warns, which takes time
    claims, key = work.claims_to_sign(), joserfc.jwk.import_key({**members(work.key), "alg": alg})
    header, algorithms = {"alg": alg, "kid": work.kid}, [alg]
    return lambda: joserfc.jwt.encode(header, claims, key, algorithms=algorithms)


def _jwcrypto_verifying(work: Work) -> Verify:
    keys = jwcrypto.jwk.JWKSet.from_json(json.dumps({"keys": work.public_members()}))
    rules, algorithms = {"iss": ISSUER, "aud": AUDIENCE, "exp": None, "nbf": None}, [work.alg]

    def verify(token: str) -> dict[str, Any]:
        seen = jwcrypto.jwt.JWT(jwt=token, key=keys, check_claims=rules, algs=algorithms, expected_type="JWS")
        claims: dict[str, Any] = json.loads(seen.claims)  # it hands out text
        return claims

    return verify


def _jwcrypto_signing(work: Work) -> Sign:
    claims, key = work.claims_to_sign(), jwcrypto.jwk.JWK(**members(work.key))
    header = {"alg": work.alg, "kid": work.kid, "typ": "JWT"}

    def sign() -> str:
        token = jwcrypto.jwt.JWT(header=header, claims=claims)
        token.make_signed_token(key)
        text: str = token.serialize()
        return text

    return sign


def _jose_verifying(work: Work) -> Verify:
    _refuse_missing(work)
    keys = {one["kid"]: jose.jwk.construct(one, work.alg) for one in work.public_members()}
    options = {"require_exp": True, "require_iss": True, "require_aud": True}

    def verify(token: str) -> dict[str, Any]:
        key = keys[jose.jwt.get_unverified_header(token)["kid"]]  # given the set, it would try each key in turn
        return jose.jwt.decode(token, key, work.alg, options, AUDIENCE, ISSUER)

    return verify


def _jose_signing(work: Work) -> Sign:
    _refuse_missing(work)
    claims, key, headers = work.claims_to_sign(), jose.jwk.construct(members(work.key), work.alg), {"kid": work.kid}
    return lambda: jose.jwt.encode(claims, key, work.alg, headers)


def _refuse_missing(work: Work) -> None:
    if work.alg in ("EdDSA", "PS256"):
        raise CannotError(f"it has no {work.alg}")


def _oxyjwt_verifying(work: Work) -> Verify:
    keys = {one["kid"]: oxyjwt.PyJWK(one, work.alg).key for one in work.public_members()}
    algorithms = [work.alg]

    def verify(token: str) -> dict[str, Any]:
        key = keys[oxyjwt.get_unverified_header(token)["kid"]]
        claims: dict[str, Any] = oxyjwt.decode(token, key, algorithms, audience=AUDIENCE, issuer=ISSUER)
        return claims

    return verify


def _oxyjwt_signing(work: Work) -> Sign:
    reader = {"HS256": "secret", "ES256": "ec_pem", "EdDSA": "ed_pem"}.get(work.alg, "rsa_pem")
    material = native(work.key) if work.alg == "HS256" else pem(work.key)
    key = getattr(oxyjwt.EncodingKey, f"from_{reader}")(material)
    claims, headers = work.claims_to_sign(), {"kid": work.kid}
    return lambda: oxyjwt.encode(claims, key, work.alg, headers)


CONTESTANTS = (
    Contestant("PyJWT", "python", _pyjwt_verifying, _pyjwt_signing),
    Contestant("joserfc", "python", _joserfc_verifying, _joserfc_signing),
    Contestant("jwcrypto", "python", _jwcrypto_verifying, _jwcrypto_signing),
    Contestant("python-jose", "python", _jose_verifying, _jose_signing),
    Contestant("oxyjwt", "rust", _oxyjwt_verifying, _oxyjwt_signing),
)
