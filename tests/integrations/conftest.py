"""A certificate that a caller may show."""

from __future__ import annotations

import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from sealwright.jose import base64url


@pytest.fixture(scope="session")
def certificate() -> tuple[str, str]:
    """PEM, and x5t#S256."""
    key, name = ed25519.Ed25519PrivateKey.generate(), x509.Name([])
    begins = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 7, begins, begins.replace(year=2050)).sign(key, None)
    thumbprint = hashlib.sha256(built.public_bytes(serialization.Encoding.DER)).digest()
    return built.public_bytes(serialization.Encoding.PEM).decode(), base64url.encode_text(thumbprint)
