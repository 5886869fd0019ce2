"""A verifier in a process of its own: it obeys a feed, polls where it may, and decides over the tokens of its stdin."""

import json
import sys
import time
from pathlib import Path

from sealwright.trust.revocation_feeds import ObeyedFeed
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.statement_reader import ReaderSettings
from sealwright.trust.verifier import Verifier
from sealwright.wiring.obeying import build_obeying


def main() -> None:
    """Arguments: one JSON object. Each line in has an audience and a token; each line out a decision and its time."""
    given = json.loads(sys.argv[1])
    folder, url = Path(given["folder"]), given["url"]
    issuer = f"{url}/issuers/default"
    pages = f"{issuer}/.well-known"
    credential = given.get("credential")
    obeying = build_obeying(
        name=given["name"],
        trust_root_file=Path(given["root"]),
        state_folder=folder,
        feeds=[ObeyedFeed(issuer, f"{pages}/revoked-keys")],
        service_url=given.get("poll_url", url) if credential else None,
        credential_file=Path(credential) if credential else None,
        public_url=url,
        settings=ReaderSettings(refresh_s=given["refresh_s"], floor_s=min(0.25, given["refresh_s"])),
    )
    keys = RemoteJWKSet(f"{pages}/jwks.json")

    def verifier_of(audience: str) -> Verifier:
        return Verifier(
            issuer=issuer,
            audience=audience,
            keys=keys,
            revocation=obeying.revocation,
            observer=obeying.observer,
        )

    verifiers = {audience: verifier_of(audience) for audience in ("orders", given["canary_audience"])}
    obeying.start(verifiers["orders"])
    obeying.check_ready(20)
    print("ready", flush=True)
    for line in sys.stdin:
        audience, token = line.split()
        decision = verifiers[audience].decide(token)
        print(decision.outcome, decision.reason, time.time(), flush=True)
    obeying.close()
    keys.close()


if __name__ == "__main__":
    main()
