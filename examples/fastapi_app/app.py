"""Orders behind FastAPI, each route with scopes of its own; OpenAPI shows them at /docs, which is public.

ISSUER=http://127.0.0.1:8700/issuers/default uvicorn --app-dir examples/fastapi_app app:app
"""

import os
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Security

import sealwright as sw
from sealwright.integrations.asgi import Guarded
from sealwright.integrations.fastapi import Bearer
from sealwright.integrations.guard import Guard

issuer = os.environ["ISSUER"]
keys = sw.RemoteJWKSet(os.environ.get("JWKS_URL", f"{issuer}/.well-known/jwks.json"))
verifier = sw.Verifier(issuer=issuer, audience="orders", keys=keys, typ="at+jwt")
guard = Guard(verifier, realm="orders", public=["GET /healthz", "GET /docs", "GET /openapi.json"])
bearer = Bearer(guard)

Reader = Annotated[sw.Verified, Security(bearer, scopes=["orders:read"])]
Writer = Annotated[sw.Verified, Security(bearer, scopes=["orders:write"])]


@asynccontextmanager
async def lifespan(_: FastAPI):
    yield
    verifier.close()


app = FastAPI(lifespan=lifespan)
app.add_middleware(Guarded, guard=guard)  # whatever a route forgets, nothing is open unsaid


@app.get("/healthz")
async def health():
    return {"alive": True}


@app.get("/orders")
async def orders(caller: Reader):
    return {"orders_of": caller.subject}


@app.post("/orders")
async def add_order(caller: Writer):
    return {"ordered_by": caller.subject}
