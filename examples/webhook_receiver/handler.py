"""Receives webhooks as a function: each is signed, recent, meant for this endpoint, and counts once.

A delivery has one header beside its body, ``Webhook-JWT``: a JWT of the type webhook+jwt with the digest of the body.
"""

import hashlib
import hmac
import json
import os
import sys
from pathlib import Path

import sealwright as sw
from sealwright.integrations.function_event import asked_of, body_of
from sealwright.jose import strict_json
from sealwright.trust.replay import claim_key
from sealwright.trust.stores.memory import MemoryReplayStore

SENDER, ENDPOINT = os.environ["SENDER"], os.environ["ENDPOINT"]
MAXIMUM_BODY_BYTES = 256 * 1024
WINDOW_S, LEEWAY_S = 300, 60
STATUSES = {sw.Reason.REQUEST_TOO_LARGE: 413, sw.Reason.REQUEST_MALFORMED: 400, sw.Reason.JSON_MALFORMED: 400}

keys = sw.RemoteJWKSet(
    os.environ["JWKS_URL"], background=False, baked=Path(__file__).with_name("keys.json"), timeout_s=2.0
)
verifier = sw.Verifier(
    issuer=SENDER,
    audience=ENDPOINT,
    keys=keys,
    typ="webhook+jwt",
    leeway_s=LEEWAY_S,
    maximum_age_s=WINDOW_S,
    maximum_lifetime_s=WINDOW_S,
    required_claims={"iat", "jti", "htm", "htu", "request_body_sha256"},
    claim_values={"htm": ["POST"], "htu": [ENDPOINT]},
)
# The memory of one instance. Where one sender reaches several of them, open a shared store:
# sealwright.wiring.replay_stores.open_replay_store("rediss://…")
deliveries = MemoryReplayStore()


def handler(event, context):
    try:
        body = body_of(event, MAXIMUM_BODY_BYTES)
        seen = verifier.verify(signature_of(event))
        check_digest(seen, body)
        told = strict_json.parse_object(body)
        is_first = deliveries.claim(delivery_key(seen), WINDOW_S + 2 * LEEWAY_S)
    except sw.SealwrightError as error:
        print(json.dumps({"webhook": "refused", "reason": error.reason}), file=sys.stderr)
        status = STATUSES.get(error.reason, 401 if isinstance(error, sw.RejectedError) else 503)
        return {"statusCode": status, "body": ""}
    if is_first:
        receive(seen.claims["jti"], told)
    return {"statusCode": 204, "body": ""}  # also for what was received before: an error would bring it again


def signature_of(event):
    found = [value for name, value in asked_of(event).headers if name.lower() == "webhook-jwt"]
    if len(found) != 1:
        raise sw.RejectedError(sw.Reason.TOKEN_MISSING, "a delivery has one header Webhook-JWT")
    return found[0]


def check_digest(seen, body):
    """Over the bytes as they arrived: JSON that is written anew is another body."""
    signed, found = str(seen.claims["request_body_sha256"]), hashlib.sha256(body).hexdigest()
    if not hmac.compare_digest(signed.encode(), found.encode()):
        raise sw.RejectedError(sw.Reason.SIGNATURE_INVALID, "the body is not the one that was signed")


def delivery_key(seen):
    """One attempt: a sender that tries again signs anew, under the same id, which ``receive`` must be able to take."""
    return claim_key(seen.issuer, seen.claims["jti"], str(seen.claims["iat"]))


def receive(event_id, event):
    """Put it into a queue, under its id, and do the work elsewhere."""
