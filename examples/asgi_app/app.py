"""Orders as plain ASGI, which run on any ASGI server, with a websocket.

ISSUER=http://127.0.0.1:8700/issuers/default uvicorn --app-dir examples/asgi_app app:app
"""

import json
import os

import sealwright as sw
from sealwright.integrations.asgi import Guarded
from sealwright.integrations.guard import Guard

issuer = os.environ["ISSUER"]
keys = sw.RemoteJWKSet(os.environ.get("JWKS_URL", f"{issuer}/.well-known/jwks.json"))
verifier = sw.Verifier(issuer=issuer, audience="orders", keys=keys, typ="at+jwt")


async def orders(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    seen = scope["sealwright"]  # None where the path is public
    body = json.dumps({"orders_of": seen.subject} if seen else {"alive": True}).encode()
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": body.decode()})
        return await send({"type": "websocket.close"})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    return await send({"type": "http.response.body", "body": body})


async def lifespan(receive, send):
    while True:
        phase = (await receive())["type"].removeprefix("lifespan.")
        if phase == "shutdown":
            verifier.close()
        await send({"type": f"lifespan.{phase}.complete"})
        if phase == "shutdown":
            return


app = Guarded(orders, Guard(verifier, realm="orders", scopes=["orders:read"], public=["GET /healthz"]))
