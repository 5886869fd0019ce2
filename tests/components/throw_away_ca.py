"""A certificate authority that makes one certificate for 127.0.0.1, and is forgotten."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def server_certificate(folder: Path) -> tuple[Path, Path]:
    """The authority's certificate, and the server's with its private key."""
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(*(False,) * 5, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False)
    root = _builder("Throw-away CA", "Throw-away CA", authority).add_extension(x509.BasicConstraints(True, None), True)
    root = root.add_extension(usage, True)  # Python 3.13 insists on it
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    leaf = _builder("127.0.0.1", "Throw-away CA", server).add_extension(names, False).add_extension(issuer, False)
    key = server.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    ca_file, server_file = folder / "ca.pem", folder / "server.pem"
    ca_file.write_bytes(root.sign(authority, hashes.SHA256()).public_bytes(Encoding.PEM))
    server_file.write_bytes(leaf.sign(authority, hashes.SHA256()).public_bytes(Encoding.PEM) + key)
    return ca_file, server_file


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return x509.CertificateBuilder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]),
        key.public_key(),
        x509.random_serial_number(),
        now - datetime.timedelta(days=1),
        now + datetime.timedelta(days=2),
    ).add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
