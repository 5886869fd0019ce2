"""The key service over HTTP, with the calls and errors of the local operations; and tokens for other services."""

from sealwright.client.key_service import KeyServiceClient
from sealwright.client.renewal import RenewedCredential

__all__ = ["KeyServiceClient", "RenewedCredential"]
