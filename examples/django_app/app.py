"""Orders behind Django in one file, with a view of each kind and each route with scopes of its own.

ISSUER=http://127.0.0.1:8700/issuers/default uvicorn --app-dir examples/django_app app:application
"""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

import sealwright as sw
from sealwright.integrations.django import require

issuer = os.environ["ISSUER"]
keys = sw.RemoteJWKSet(os.environ.get("JWKS_URL", f"{issuer}/.well-known/jwks.json"))
verifier = sw.Verifier(issuer=issuer, audience="orders", keys=keys, typ="at+jwt")

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["sealwright.integrations.django.Guarded"],
    SEALWRIGHT={"verifier": f"{__name__}.verifier", "realm": "orders", "public": ["GET /healthz"]},
)


def health(request):
    return JsonResponse({"alive": True})


@require_GET
@require("orders:read")
async def orders(request):
    return JsonResponse({"orders_of": request.sealwright.subject})


@require_POST
@require("orders:write")
def add_order(request):
    return JsonResponse({"ordered_by": request.sealwright.subject})


urlpatterns = [path("healthz", health), path("orders", orders), path("orders/new", add_order)]
application = get_asgi_application()
