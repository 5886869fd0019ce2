"""Orders behind Flask, each route with scopes of its own.

ISSUER=http://127.0.0.1:8700/issuers/default flask --app examples/flask_app/app.py run
"""

import os

from flask import Flask, g

import sealwright as sw
from sealwright.integrations.flask import Guarded, require
from sealwright.integrations.guard import Guard

issuer = os.environ["ISSUER"]
keys = sw.RemoteJWKSet(os.environ.get("JWKS_URL", f"{issuer}/.well-known/jwks.json"))
verifier = sw.Verifier(issuer=issuer, audience="orders", keys=keys, typ="at+jwt")

app = Flask(__name__)
Guarded(Guard(verifier, realm="orders", public=["GET /healthz"]), app)


@app.get("/healthz")
def health():
    return {"alive": True}


@app.get("/orders")
@require("orders:read")
def orders():
    return {"orders_of": g.sealwright.subject}


@app.post("/orders")
@require("orders:write")
def add_order():
    return {"ordered_by": g.sealwright.subject}
