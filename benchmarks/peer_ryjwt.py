"""ryjwt, which needs Python 3.12 or newer and therefore runs in an environment of its own."""

from __future__ import annotations

from typing import Any

import ryjwt

from benchmarks.contestants import Contestant, Sign, Verify
from benchmarks.work import AUDIENCE, ISSUER, Work, native, pem


def _verifying(work: Work) -> Verify:
    rules: dict[str, Any] = {"algorithms": [work.alg], "audience": AUDIENCE, "issuer": ISSUER}
    if work.alg != "HS256":
        return ryjwt.PublicKey.from_jwks({"keys": work.public_members()}, **rules).decode
    keys = {key.key_id: ryjwt.SecretKey(native(key), **rules) for key in work.keys}

    def verify(token: str) -> dict[str, Any]:
        # It has no set of secrets: the kid is read first, by the call that its documentation names for that.
        claims: dict[str, Any] = keys[ryjwt.unverified_header(token)["kid"]].decode(token)
        return claims

    return verify


def _signing(work: Work) -> Sign:
    claims = work.claims_to_sign()
    if work.alg == "HS256":
        secret, header = ryjwt.SecretKey(native(work.key), algorithms=["HS256"]), {"kid": work.kid}
        return lambda: secret.encode(claims, header=header)
    key = ryjwt.PrivateKey(pem(work.key), algorithms=[work.alg], kid=work.kid)
    return lambda: key.encode(claims)


CONTESTANTS = (Contestant("ryjwt", "rust", _verifying, _signing),)
