"""One instance of a function: imports, verifies its first token, then many, and prints the milliseconds as JSON."""

import sys
import time

BEGAN = time.perf_counter()  # before every import that a contestant needs

WARM_CALLS = 2000
TIMEOUT_S = 5.0


def ours(url, algorithm, baked):
    import sealwright as sw

    keys = sw.RemoteJWKSet(url, background=False, baked=baked, timeout_s=TIMEOUT_S)
    return sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=keys, algorithms=[algorithm]).verify


def pyjwt(url, algorithm, _):
    import jwt

    client = jwt.PyJWKClient(url, timeout=TIMEOUT_S)

    def verify(token):
        key = client.get_signing_key_from_jwt(token)
        return jwt.decode(token, key, algorithms=[algorithm], audience=AUDIENCE, issuer=ISSUER)

    return verify


CONTESTANTS = {"ours": ours, "ours, baked": ours, "PyJWT": pyjwt}
NAME, URL, ALGORITHM, BAKED, ISSUER, AUDIENCE, TOKEN = sys.argv[1:]


def main():
    verify = CONTESTANTS[NAME](URL, ALGORITHM, BAKED or None)
    imported = time.perf_counter()
    assert verify(TOKEN)
    cold = time.perf_counter()
    calls = []
    for _ in range(WARM_CALLS):
        began = time.perf_counter()
        verify(TOKEN)
        calls.append(time.perf_counter() - began)
    warm_s = sorted(calls)[len(calls) // 2]
    import json

    seconds = {"import_ms": imported - BEGAN, "first_ms": cold - imported, "warm_ms": warm_s}
    print(json.dumps({name: value * 1e3 for name, value in seconds.items()}))


main()
