"""From bytes to the one native key in them: PEM, DER, an OpenSSH line or a certificate (RFC 7468, RFC 5958)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection
from typing import Any

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_public_key,
)

from sealwright.errors import Reason, RejectedError
from sealwright.jose.certificates import load_certificate, signing_key

MAXIMUM_KEY_BYTES = 64 * 1024
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_SSH = re.compile(rb"(?:ssh|ecdsa|sk)-[!-~]+[ \t]")
_SSH_KINDS = re.compile(rb"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521))[ \t]")
_PUBLIC = {b"PUBLIC KEY", b"RSA PUBLIC KEY", b"CERTIFICATE"}
_PRIVATE = {b"PRIVATE KEY", b"ENCRYPTED PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY"}
# id-RSASSA-PSS: RFC 4055 §1.2 limits such a key to PSS with its own parameters, and a loaded key forgets them.
_PSS_ONLY, _PSS_WITHIN = bytes.fromhex("06092a864886f70d01010a"), 64


def load_public(data: bytes) -> Any:
    """The native public key in the data. Raises RejectedError ``key.*``: ``key.not_public`` for a private key."""
    blocks = _blocks(data)
    if any(label.endswith(b"PRIVATE KEY") for label, _ in blocks):
        raise _not_public()
    if blocks:
        label, block = _only(blocks, _PUBLIC)
        if label == b"CERTIFICATE":
            return signing_key(load_certificate(block))
        return _pem_public(block)
    text = data.strip()
    return _openssh(text) if _SSH.match(text) else _der_public(data)


def load_private(data: bytes, password: bytes | None) -> Any:
    """The native private key in the data, its numbers unchecked. Raises RejectedError ``key.*``."""
    blocks = _blocks(data)
    if not blocks:
        _refuse_pss_only(data)
        return _opened(load_der_private_key, data, password)
    private = [block for block in blocks if block[0].endswith(b"PRIVATE KEY")]
    if not private:
        raise RejectedError(Reason.KEY_MALFORMED, "a private key was expected and there is none")
    _, block = _only(private, _PRIVATE)
    _refuse_pss_only(_unwrapped(block))
    return _opened(load_pem_private_key, block, password)


def _blocks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Every PEM block with its label, in the order of the text."""
    if len(data) > MAXIMUM_KEY_BYTES:
        raise RejectedError(Reason.KEY_UNSUPPORTED, f"keys above {MAXIMUM_KEY_BYTES} bytes are not read")
    found, position = [], 0
    while begin := _BEGIN.search(data, position):
        end = b"-----END " + begin[1] + b"-----"
        at = data.find(end, begin.end())
        if at < 0:
            raise _malformed()
        position = at + len(end)
        found.append((begin[1], data[begin.start() : position]))
    return found


def _only(blocks: list[tuple[bytes, bytes]], known: Collection[bytes]) -> tuple[bytes, bytes]:
    if len(blocks) != 1:
        raise RejectedError(Reason.KEY_AMBIGUOUS, "there are several keys, and none is chosen by guessing")
    if blocks[0][0] not in known:
        raise _unsupported()
    return blocks[0]


def _pem_public(block: bytes) -> Any:
    _refuse_pss_only(_unwrapped(block))
    return _native(load_pem_public_key, block)


def _openssh(line: bytes) -> Any:
    if b"\n" in line:
        raise RejectedError(Reason.KEY_AMBIGUOUS, "there are several lines, and no key is chosen by guessing")
    if not _SSH_KINDS.match(line):
        raise _unsupported()
    return _native(load_ssh_public_key, line)


def _der_public(data: bytes) -> Any:
    _refuse_pss_only(data)
    try:
        return load_der_public_key(data)
    except UnsupportedAlgorithm:
        raise _unsupported() from None
    except ValueError:  # then it is something else
        pass
    if _is_private(data):
        raise _not_public()
    return signing_key(load_certificate(data))


def _is_private(data: bytes) -> bool:
    try:
        load_der_private_key(data, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, UnsupportedAlgorithm):
        return False
    except (TypeError, InternalError):  # it is encrypted, or its raw private key has the wrong length
        return True
    return True


def _opened(load: Callable[..., Any], data: bytes, password: bytes | None) -> Any:
    """RSA numbers are bounded and validated later, as JWK members: here a huge modulus would cost minutes."""
    try:
        return load(data, password, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        raise _password("the key needs a password" if not password else "the key is not encrypted") from None
    except UnsupportedAlgorithm:
        raise _unsupported() from None
    except (ValueError, InternalError):  # the latter for a raw private key of the wrong length
        if password and _is_encrypted(load, data):
            raise _password("the password is wrong, or the key was damaged") from None
        raise _malformed() from None


def _is_encrypted(load: Callable[..., Any], data: bytes) -> bool:
    try:
        load(data, None, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        return True
    except (ValueError, UnsupportedAlgorithm, InternalError):
        return False
    return False


def _native(load: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return load(data)
    except UnsupportedAlgorithm:
        raise _unsupported() from None
    except (ValueError, TypeError):
        raise _malformed() from None


def _unwrapped(block: bytes) -> bytes:
    """The beginning of the DER in a PEM block; nothing where the text is not plain base64."""
    try:
        return base64.b64decode(b"".join(block.splitlines()[1:-1])[:128])
    except ValueError:
        return b""


def _refuse_pss_only(der: bytes) -> None:
    if _PSS_ONLY in der[:_PSS_WITHIN]:
        raise _pss_only()


def _malformed() -> RejectedError:
    return RejectedError(Reason.KEY_MALFORMED, "the data do not form a key")


def _unsupported() -> RejectedError:
    return RejectedError(Reason.KEY_UNSUPPORTED, "this kind of key is not one that this package knows")


def _pss_only() -> RejectedError:
    return RejectedError(Reason.KEY_UNSUPPORTED, "RSA keys that are limited to PSS are not accepted: use a plain one")


def _not_public() -> RejectedError:
    return RejectedError(Reason.KEY_NOT_PUBLIC, "a public key was expected and this one is private")


def _password(message: str) -> RejectedError:
    return RejectedError(Reason.KEY_PASSWORD, message)
