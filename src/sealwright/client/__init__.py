"""The key service over HTTP: the same calls as the local operations, and the same errors."""

from sealwright.client.key_service import KeyServiceClient
from sealwright.client.renewal import RenewedCredential

__all__ = ["KeyServiceClient", "RenewedCredential"]
