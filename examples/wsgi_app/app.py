"""Orders as plain WSGI, which run on any WSGI server.

ISSUER=http://127.0.0.1:8700/issuers/default python examples/wsgi_app/app.py
"""

import json
import os
from wsgiref.simple_server import make_server

import sealwright as sw
from sealwright.integrations.guard import Guard
from sealwright.integrations.wsgi import Guarded

issuer = os.environ["ISSUER"]
keys = sw.RemoteJWKSet(os.environ.get("JWKS_URL", f"{issuer}/.well-known/jwks.json"))
verifier = sw.Verifier(issuer=issuer, audience="orders", keys=keys, typ="at+jwt")


def orders(environ, start_response):
    seen = environ["sealwright.verified"]  # None where the path is public
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"orders_of": seen.subject} if seen else {"alive": True}).encode()]


app = Guarded(orders, Guard(verifier, realm="orders", scopes=["orders:read"], public=["GET /healthz"]))

if __name__ == "__main__":
    with make_server("127.0.0.1", 8000, app) as server:
        server.serve_forever()
