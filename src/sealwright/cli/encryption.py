"""sealwright sign --encrypt-for and verify --decrypt-with: a signed token inside of an encrypted one."""

from __future__ import annotations

from sealwright.cli.options import read_bytes
from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.encryption_keys import DecryptionJWK, EncryptionJWK, SharedEncryptionJWK
from sealwright.jose.key_types import PRIVATE_MEMBERS


def encrypted(token: str, recipient: str) -> str:
    """Raises RejectedError ``encryption.*`` or ``key.*``, and ConfigurationError without the extra."""
    from sealwright.jose import nested

    members = strict_json.parse_object(read_bytes(recipient))
    if members.get("kty") == "oct":
        return nested.encrypt(token, SharedEncryptionJWK.from_dict(members))
    if not PRIVATE_MEMBERS.isdisjoint(members):
        message = f"{recipient} is the recipient's private key: sealwright jwk public writes its public half"
        raise RejectedError(Reason.KEY_NOT_PUBLIC, message)
    return nested.encrypt(token, EncryptionJWK.from_dict(members))


def decrypted(text: bytes, key: str) -> bytes:
    """The signed token inside, not verified yet. Raises as ``encrypted``."""
    from sealwright.jose import nested

    members = strict_json.parse_object(read_bytes(key))
    kind = SharedEncryptionJWK if members.get("kty") == "oct" else DecryptionJWK
    return nested.decrypt(text, kind.from_dict(members)).encode()
