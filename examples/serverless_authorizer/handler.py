"""Orders as a function, and an authorizer for the functions of others: AWS Lambda behind an API Gateway.

The build of the image bakes the keys:
python -c 'import sealwright as sw; sw.RemoteJWKSet("https://id.example/jwks.json", background=False).bake("keys.json")'
"""

import json
import os
from pathlib import Path

import sealwright as sw
from sealwright.integrations.guard import Guard
from sealwright.integrations.serverless import authorizer, guarded

issuer = os.environ["ISSUER"]
keys = sw.RemoteJWKSet(  # made once for each instance, and warm for all its calls; nothing is fetched here
    os.environ.get("JWKS_URL", f"{issuer}/.well-known/jwks.json"),
    background=False,
    baked=Path(__file__).with_name("keys.json"),
    timeout_s=2.0,
)
verifier = sw.Verifier(issuer=issuer, audience="orders", keys=keys, typ="at+jwt")
guard = Guard(verifier, realm="orders")

authorize = authorizer(guard)


@guarded(guard)
def orders(event, context, caller):
    return {"statusCode": 200, "body": json.dumps({"orders_of": caller.subject})}
