"""Key pairs on a token: how they are found, named and made, what their public half is, and how they sign."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pkcs11 import MGF, Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass, PKCS11Error

from sealwright.errors import BackendError, Reason
from sealwright.jose.jwk import PublicJWK
from sealwright.keys import signature_forms

HALVES = (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)
_HANDLE = re.compile("[0-9a-f]{32}")
_CURVES: dict[str, tuple[ec.EllipticCurve, str]] = {  # and their EC_PARAMS: named curves by OID (RFC 5480 §2.1.1.1)
    "ES256": (ec.SECP256R1(), "06082a8648ce3d030107"),
    "ES384": (ec.SECP384R1(), "06052b81040022"),
    "ES512": (ec.SECP521R1(), "06052b81040023"),
}
_ED25519_PARAMS = "130c656477617264733235353139"  # PrintableString "edwards25519" (PKCS#11 v3.0 §2.3.10)
_PSS = {
    "PS256": (Mechanism.SHA256, MGF.SHA256, 32),
    "PS384": (Mechanism.SHA384, MGF.SHA384, 48),
    "PS512": (Mechanism.SHA512, MGF.SHA512, 64),
}
_DIGEST_INFO = {  # RFC 8017 §9.2, note 1
    "RS256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "RS384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "RS512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
ALGORITHMS = frozenset({*_CURVES, *_PSS, *_DIGEST_INFO, "Ed25519"})


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Both halves, and the one algorithm that the key is for."""

    private: Any
    public: Any
    algorithm: str

    def sign(self, signing_input: bytes) -> bytes:
        """In JWS form already: PKCS#11 has r||s for ECDSA."""
        data, mechanism, parameter = _signing(self.algorithm, signing_input)
        return bytes(self.private.sign(data, mechanism=mechanism, mechanism_param=parameter))

    def public_jwk(self) -> PublicJWK:
        return public_jwk(self.public, self.algorithm)


def is_handle(label: str) -> bool:
    return _HANDLE.fullmatch(label) is not None


def identifier(handle: str, algorithm: str) -> bytes:
    """CKA_ID: the handle, and the algorithm, which an RSA key would not tell otherwise."""
    if not is_handle(handle):
        raise BackendError(Reason.BACKEND_FAILED, "the key's handle is malformed")
    return bytes.fromhex(handle) + b":" + algorithm.encode()


def half(session: Any, which: ObjectClass, **named: Any) -> Any | None:
    """The only such object, or None. BackendError ``backend.failed`` when there are several."""
    wanted = {Attribute[name.upper()]: value for name, value in named.items()}
    found = list(session.get_objects({Attribute.CLASS: which, **wanted}))
    if len(found) > 1:
        raise BackendError(Reason.BACKEND_FAILED, "several keys on the token have the same name: name one by id:HEX")
    return found[0] if found else None


def halves(session: Any, handle: str) -> list[Any]:
    """The private one first."""
    found = (half(session, which, label=handle) for which in HALVES)
    return [one for one in found if one is not None]


def pair(session: Any, handle: str) -> KeyPair | None:
    """A half alone is no pair: it was left by a crash while the other was made or destroyed."""
    found = halves(session, handle)
    if len(found) < len(HALVES):
        return None
    algorithm = bytes(found[0][Attribute.ID])[17:].decode("ascii", "replace")
    if algorithm not in ALGORITHMS:
        raise BackendError(Reason.BACKEND_FAILED, "the key on the token does not say which algorithm it is for")
    return KeyPair(found[0], found[1], algorithm)


def make(session: Any, handle: str, algorithm: str, rsa_bits: int) -> KeyPair:
    """Raises PKCS11Error."""
    kind = _key_type(algorithm)
    parameters = _CURVES[algorithm][1] if algorithm in _CURVES else _ED25519_PARAMS
    missing = _mechanisms(algorithm) - session.token.slot.get_mechanisms()
    if missing:
        raise BackendError(
            Reason.BACKEND_UNSUPPORTED,
            f"the token cannot make {algorithm} keys; it lacks {', '.join(sorted(one.name for one in missing))}",
        )
    public, private = session.generate_keypair(
        kind,
        rsa_bits if kind == KeyType.RSA else None,
        id=identifier(handle, algorithm),
        label=handle,
        store=True,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        public_template={} if kind == KeyType.RSA else {Attribute.EC_PARAMS: bytes.fromhex(parameters)},
        private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    )
    return KeyPair(private, public, algorithm)


def rename(one: Any, handle: str, algorithm: str) -> None:
    """The label last: it is what the handle is found by. BackendError ``backend.unsupported`` if it is fixed."""
    if one[Attribute.LABEL] == handle:
        return
    try:
        one[Attribute.ID] = identifier(handle, algorithm)
        one[Attribute.LABEL] = handle
    except PKCS11Error as error:
        message = "the token does not allow the key's id and label to be changed, so it cannot be adopted"
        raise BackendError(Reason.BACKEND_UNSUPPORTED, message, detail=type(error).__name__) from error


def public_jwk(public: Any, algorithm: str) -> PublicJWK:
    """BackendError ``backend.failed`` for a key that is not for this algorithm."""
    try:
        native = _native(public, algorithm)
        spki = native.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, PKCS11Error) as error:
        raise BackendError(Reason.BACKEND_FAILED, f"the public key on the token is not for {algorithm}") from error
    return signature_forms.public_key(spki, algorithm)


def _native(public: Any, algorithm: str) -> Any:
    if _key_type(algorithm) == KeyType.RSA:
        exponent, modulus = public[Attribute.PUBLIC_EXPONENT], public[Attribute.MODULUS]
        return rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")).public_key()
    # Standing last, the point is found whether or not a token wraps it in an OCTET STRING.
    point = bytes(public[Attribute.EC_POINT])
    if algorithm == "Ed25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(point[-32:])
    curve = _CURVES[algorithm][0]
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, point[-1 - 2 * ((curve.key_size + 7) // 8) :])


def _key_type(algorithm: str) -> KeyType:
    if algorithm in _CURVES:
        return KeyType.EC
    return KeyType.EC_EDWARDS if algorithm == "Ed25519" else KeyType.RSA


def _mechanisms(algorithm: str) -> set[Mechanism]:
    makes = {
        KeyType.EC: Mechanism.EC_KEY_PAIR_GEN,
        KeyType.EC_EDWARDS: Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
        KeyType.RSA: Mechanism.RSA_PKCS_KEY_PAIR_GEN,
    }
    return {makes[_key_type(algorithm)], _signing(algorithm, b"")[1]}


def _signing(algorithm: str, signing_input: bytes) -> tuple[bytes, Mechanism, Any]:
    """Digests are made here: not every token can, and no input is then too large for one."""
    if algorithm == "Ed25519":
        return signing_input, Mechanism.EDDSA, None
    digest = signature_forms.digest(algorithm, signing_input)
    if algorithm in _CURVES:
        return digest, Mechanism.ECDSA, None
    if algorithm in _PSS:
        return digest, Mechanism.RSA_PKCS_PSS, _PSS[algorithm]
    return _DIGEST_INFO[algorithm] + digest, Mechanism.RSA_PKCS, None
