"""Sign and verify tokens: ours, the raw primitive and peers side by side, as ratios of medians in one run.

Work: a token with 10 claims and a kid, picked from a set of three keys; signature, iss, aud, exp and nbf checked.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import joserfc.jwk
import joserfc.jwt
import jwt

import sealwright as sw
from sealwright.jose import compact
from sealwright.jose.algorithms import algorithm

ISSUER, AUDIENCE = "https://id.example", "orders"
CLAIMS = {"sub": "alice", "scope": "read write", "name": "Alice", "tenant": "t1", "roles": ["a", "b"]}
ROUNDS, BATCH_S = 15, 0.02
ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA", "HS256")
Work = Callable[[], Any]


def main() -> None:
    print(f"{'':<8}{'':<10}" + "".join(f"{name:>12}" for name in ("raw", "ours", "PyJWT", "joserfc")))
    for alg in ALGORITHMS:
        for verb, works in (("verify", verifying(alg)), ("sign", signing(alg))):
            took = medians(dict(works))
            raw = took["raw"]
            cells = (f"{raw * 1e6:.1f} µs", *(f"{took[name] / raw:.2f} x" for name in ("ours", "PyJWT", "joserfc")))
            print(f"{alg:<8}{verb:<10}" + "".join(f"{cell:>12}" for cell in cells))
    print("\nmedians over the raw primitive of the same row, same run; quote the ratios, not the times")


def verifying(alg: str) -> Iterator[tuple[str, Work]]:
    keys = [make(alg) for _ in range(3)]
    key = keys[1]
    now = int(time.time())
    times = {"iat": now, "nbf": now, "exp": now + 3600, "iss": ISSUER, "aud": AUDIENCE}
    token = sw.sign(json.dumps({**CLAIMS, **times}).encode(), key, typ="JWT")
    parsed = compact.parse(token)
    shown = shown_key(key)
    yield "raw", lambda: shown.verify(parsed.signature, parsed.signing_input)
    source = shown if alg == "HS256" else sw.JWKSet(shown_key(one) for one in keys)
    verifier = sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=source, algorithms=frozenset({alg}))
    yield "ours", lambda: verifier.verify(token)
    native = {one.key_id: native_key(one) for one in keys}

    def by_pyjwt() -> Any:
        kid = jwt.get_unverified_header(token)["kid"]
        return jwt.decode(token, native[kid], algorithms=[alg], audience=AUDIENCE, issuer=ISSUER)

    yield "PyJWT", by_pyjwt
    key_set = joserfc.jwk.KeySet([joserfc.jwk.import_key(members(one)) for one in keys])
    rules = joserfc.jwt.JWTClaimsRegistry(iss={"value": ISSUER}, aud={"value": AUDIENCE}, exp={"essential": True})

    def by_joserfc() -> Any:
        decoded = joserfc.jwt.decode(token, key_set, algorithms=[alg])
        rules.validate(decoded.claims)

    yield "joserfc", by_joserfc


def signing(alg: str) -> Iterator[tuple[str, Work]]:
    key = make(alg)
    signing_input = compact.parse(sw.sign(json.dumps(CLAIMS).encode(), key)).signing_input
    yield "raw", lambda: key.sign(signing_input)
    yield "ours", lambda: sw.sign_claims(CLAIMS, key, issuer=ISSUER, audience=AUDIENCE, lifetime_s=900)
    claims = {**CLAIMS, "iss": ISSUER, "aud": AUDIENCE, "iat": 1, "exp": 2, "jti": "x"}
    native, headers = native_private(key), {"kid": key.key_id}
    yield "PyJWT", lambda: jwt.encode(claims, native, algorithm=alg, headers=headers)
    theirs = joserfc.jwk.import_key(private_members(key))
    header = {"alg": alg, "kid": key.key_id}
    yield "joserfc", lambda: joserfc.jwt.encode(header, claims, theirs, algorithms=[alg])


def make(alg: str) -> Any:
    return sw.SecretJWK.generate(alg) if algorithm(alg).symmetric else sw.PrivateJWK.generate(alg)


def shown_key(key: Any) -> Any:
    return key if isinstance(key, sw.SecretJWK) else key.public


def private_members(key: Any) -> dict[str, Any]:
    return key.export_secret_dict() if isinstance(key, sw.SecretJWK) else key.export_private_dict()


def members(key: Any) -> dict[str, Any]:
    return key.export_secret_dict() if isinstance(key, sw.SecretJWK) else key.public.to_dict()


def native_key(key: Any) -> Any:
    return jwt.PyJWK(members(key)).key


def native_private(key: Any) -> Any:
    return jwt.PyJWK(private_members(key)).key


def medians(works: dict[str, Work]) -> dict[str, float]:
    """Seconds for each, interleaved so that a machine that slows down slows all of them."""
    batch = {name: repetitions(work) for name, work in works.items()}
    took: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            took[name].append(timed(work, batch[name]) / batch[name])
    return {name: statistics.median(values) for name, values in took.items()}


def repetitions(work: Work) -> int:
    work()
    return max(1, int(BATCH_S / max(timed(work, 3) / 3, 1e-7)))


def timed(work: Work, times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - began


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")  # one peer warns about the older name EdDSA at each call
    with suppress(KeyboardInterrupt):
        main()
