"""Signs a webhook: the header that goes with a body."""

import hashlib

import sealwright as sw


def webhook_headers(body, signer, *, sender, endpoint, event_id, clock=None):
    """``signer`` is a PrivateJWK, or whatever else signs; each attempt is signed anew."""
    claims = {
        "jti": event_id,
        "htm": "POST",
        "htu": endpoint,
        "request_body_sha256": hashlib.sha256(body).hexdigest(),
    }
    options = {} if clock is None else {"clock": clock}
    token = sw.sign_claims(
        claims, signer, issuer=sender, audience=endpoint, lifetime_s=300, typ="webhook+jwt", **options
    )
    return {"Content-Type": "application/json", "Webhook-JWT": token}
