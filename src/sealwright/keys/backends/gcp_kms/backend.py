"""GcpKmsBackend: private keys in one key ring of Google Cloud KMS, in software or in its HSM."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from google.api_core.exceptions import FailedPrecondition
from google.cloud.kms_v1 import CryptoKey, CryptoKeyVersion, KeyManagementServiceClient, ProtectionLevel

from sealwright.errors import BackendError, Reason, RejectedError
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.keys import signature_forms
from sealwright.keys.backend import BackendSignature
from sealwright.keys.backend_uri import BackendUri, backend_setting
from sealwright.keys.backends.gcp_kms.calls import CloudKmsCalls, Connect, connecting_to
from sealwright.keys.retrying import Retrying

LONGEST_DATA_BYTES = 65_536  # for Ed25519, of which Google must have the whole input
PREFIX, HANDLE, VERSION, DESTROYED = "sealwright-", "sealwright-handle", "sealwright-version", "sealwright-destroyed"
_RETRYING = Retrying()
_GENERATING = Retrying(attempts=100, first_wait_s=0.2, deadline_s=60.0)
_SIZES = ("2048", "3072", "4096")
_ROWS = {
    "ES256": ("EC_SIGN_P256_SHA256",),
    "ES384": ("EC_SIGN_P384_SHA384",),
    "ES256K": ("EC_SIGN_SECP256K1_SHA256",),
    "Ed25519": ("EC_SIGN_ED25519",),
    "RS256": tuple(f"RSA_SIGN_PKCS1_{bits}_SHA256" for bits in _SIZES),
    "PS256": tuple(f"RSA_SIGN_PSS_{bits}_SHA256" for bits in _SIZES),
    "RS512": ("RSA_SIGN_PKCS1_4096_SHA512",),
    "PS512": ("RSA_SIGN_PSS_4096_SHA512",),
}
_ALGORITHMS = {name: algorithm for algorithm, names in _ROWS.items() for name in names}
_State = CryptoKeyVersion.CryptoKeyVersionState
_GONE = (_State.DESTROYED, _State.DESTROY_SCHEDULED)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is read once for each process, so that a signature is one call."""

    version: str  # the full name of its CryptoKeyVersion
    algorithm: str
    public: PublicJWK


class GcpKmsBackend:
    """A KeyBackend with one CryptoKey for each handle, of which it uses version 1; an adopted key names its version."""

    name = "gcpkms"

    def __init__(
        self,
        key_ring: str,
        *,
        hsm: bool = False,
        rsa_bits: str = "2048",
        connect: Connect = KeyManagementServiceClient,
        retrying: Retrying = _RETRYING,
        generating: Retrying = _GENERATING,
    ) -> None:
        self.algorithms = frozenset(_ROWS if hsm else _ROWS.keys() - {"ES256K"})
        self._ring = key_ring
        self._protection = ProtectionLevel.HSM if hsm else ProtectionLevel.SOFTWARE
        self._rsa_bits = rsa_bits
        self._calls = CloudKmsCalls(connect, retrying)
        self._generating = generating
        self._known: dict[str, _Known] = {}

    @classmethod
    def open(cls, uri: BackendUri) -> GcpKmsBackend:
        """gcpkms:projects/P/locations/L/keyRings/R?protection=hsm. Raises ConfigurationError ``settings.backend``."""
        uri.check_options("protection", "rsa-bits", "endpoint")
        protection, rsa_bits = uri.options.get("protection", "software"), uri.options.get("rsa-bits", "2048")
        if uri.host or not re.fullmatch("projects/[^/]+/locations/[^/]+/keyRings/[^/]+", uri.path):
            raise backend_setting("gcpkms: names its key ring as gcpkms:projects/P/locations/L/keyRings/R")
        if protection not in ("software", "hsm") or rsa_bits not in _SIZES:
            raise backend_setting("protection is software or hsm, and rsa-bits is 2048, 3072 or 4096")
        connect = connecting_to(uri.options.get("endpoint", ""))
        return cls(uri.path, hsm=protection == "hsm", rsa_bits=rsa_bits, connect=connect)

    def generate(self, handle: str, algorithm: str) -> PublicJWK:
        if algorithm not in self.algorithms:
            raise _unsupported(f"this key ring has no {algorithm} keys, but {', '.join(sorted(self.algorithms))}")
        if self._located(handle) is None:
            name = next((one for one in _ROWS[algorithm] if f"_{self._rsa_bits}_" in one), _ROWS[algorithm][0])
            template = {"algorithm": name, "protection_level": self._protection}
            key = {"purpose": "ASYMMETRIC_SIGN", "version_template": template, "labels": {HANDLE: handle}}
            self._calls.create(self._ring, PREFIX + handle, key)
        return self._held(handle).public

    def find(self, handle: str) -> PublicJWK | None:
        version = self._located(handle)
        if version is None or version.state in _GONE:
            self._known.pop(handle, None)
            return None
        return (self._known.get(handle) or self._learn(handle, version)).public

    def sign(self, handle: str, signing_input: bytes) -> BackendSignature:
        key = self._known.get(handle) or self._held(handle)
        if key.algorithm == "Ed25519" and len(signing_input) > LONGEST_DATA_BYTES:
            message = f"Google Cloud KMS signs at most {LONGEST_DATA_BYTES} bytes with Ed25519: use ES256"
            raise RejectedError(Reason.BACKEND_INPUT_TOO_LARGE, message)
        try:
            signature = self._calls.sign(key.version, key.algorithm, signing_input)
        except BackendError as error:
            if isinstance(error.__cause__, FailedPrecondition):
                self._check_state(handle)
            raise
        if key.algorithm.startswith("ES"):
            signature = signature_forms.ecdsa_from_der(key.algorithm, signature)
        return BackendSignature(signature)

    def disable(self, handle: str) -> None:
        self._switch(handle, _State.DISABLED)

    def enable(self, handle: str) -> None:
        self._switch(handle, _State.ENABLED)

    def destroy(self, handle: str) -> None:
        """Schedules it: Google keeps the key for the waiting time of the CryptoKey, 30 days unless set otherwise."""
        version = self._located(handle)
        self._known.pop(handle, None)
        if version is None:
            return
        if version.state not in _GONE:
            self._calls.destroy(version.name)
        key = self._calls.key(version.name)
        if DESTROYED not in key.labels:  # by which handles() knows without reading each version
            self._calls.set_labels(key.name, {**key.labels, DESTROYED: "true"})

    def handles(self) -> Iterable[str]:
        keys = self._calls.listed(self._ring)
        return [handle for key in keys if DESTROYED not in key.labels and (handle := _handle_of(key))]

    def adopt(self, handle: str, reference: str, algorithm: str) -> PublicJWK:
        """``reference`` is the full name of a CryptoKeyVersion in this key ring."""
        if not re.fullmatch(re.escape(self._ring) + "/cryptoKeys/[^/]+/cryptoKeyVersions/[0-9]+", reference):
            raise _unsupported(f"name the key version as {self._ring}/cryptoKeys/KEY/cryptoKeyVersions/NUMBER")
        version = self._calls.version(reference)
        if version is None or version.state in _GONE:
            raise _missing()
        if _ALGORITHMS.get(version.algorithm.name) != algorithm:
            raise _unsupported(f"the key is not for {algorithm}, but for {version.algorithm.name}")
        key = self._calls.key(reference)
        if _handle_of(key) not in (None, handle):
            raise _unsupported(f"the key belongs to another handle: see its name and its label {HANDLE}")
        labels = {**key.labels, HANDLE: handle, VERSION: reference.rpartition("/")[2]}
        labels.pop(DESTROYED, None)
        self._calls.set_labels(key.name, labels)
        return self._learn(handle, version).public

    def import_private(self, handle: str, key: PrivateJWK) -> PublicJWK:  # noqa: ARG002
        """Raises BackendError ``backend.unsupported``."""
        raise _unsupported("import the key into Cloud KMS with Google's import job, and adopt it")

    def close(self) -> None:
        self._known.clear()
        self._calls.close()

    def _located(self, handle: str) -> CryptoKeyVersion | None:
        """The version that a handle means: the one made for it, or else the one that a label gave it."""
        known = self._known.get(handle)
        version = self._calls.version(
            known.version if known else f"{self._ring}/cryptoKeys/{PREFIX}{handle}/cryptoKeyVersions/1"
        )
        if version is not None:
            return version
        for key in self._calls.listed(self._ring):
            if key.labels.get(HANDLE) == handle and VERSION in key.labels:
                return self._calls.version(f"{key.name}/cryptoKeyVersions/{key.labels[VERSION]}")
        return None

    def _held(self, handle: str) -> _Known:
        version = self._located(handle)
        if version is None or version.state in _GONE:
            raise _missing()
        return self._learn(handle, version)

    def _learn(self, handle: str, version: CryptoKeyVersion) -> _Known:
        version = self._generated(version)
        if version.state == _State.DISABLED:
            raise _disabled()
        algorithm = _ALGORITHMS.get(version.algorithm.name)
        if algorithm is None:
            raise _unsupported(f"a key for {version.algorithm.name} makes no JSON Web Signatures here")
        public = signature_forms.public_key(self._calls.public_pem(version.name), algorithm)
        return self._known.setdefault(handle, _Known(version.name, algorithm, public))

    def _generated(self, version: CryptoKeyVersion) -> CryptoKeyVersion:
        """The version once Google has made its key, which takes seconds for RSA in an HSM."""

        def ready() -> CryptoKeyVersion:
            now = self._calls.version(version.name)
            if now is None or now.state == _State.PENDING_GENERATION:
                raise BackendError(Reason.BACKEND_FAILED, "Google is still making the key: repeat the command later")
            return now

        return self._generating.call(ready) if version.state == _State.PENDING_GENERATION else version

    def _switch(self, handle: str, state: int) -> None:
        version = self._located(handle)
        if version is not None and version.state not in (*_GONE, state):
            self._calls.set_state(version.name, state)

    def _check_state(self, handle: str) -> None:
        """Google has one code for a key that is switched off, gone or not made yet, and the state tells them apart."""
        version = self._located(handle)
        if version is None or version.state in _GONE:
            self._known.pop(handle, None)
            raise _missing()
        if version.state == _State.DISABLED:
            raise _disabled()


def _handle_of(key: CryptoKey) -> str | None:
    short: str = key.name.rpartition("/")[2]
    own = short.removeprefix(PREFIX) if short.startswith(PREFIX) else None
    return key.labels.get(HANDLE) or own


def _missing() -> BackendError:
    return BackendError(Reason.BACKEND_KEY_MISSING, "the key backend does not have this key")


def _disabled() -> BackendError:
    return BackendError(Reason.BACKEND_KEY_DISABLED, "this key is switched off at its backend: enable it there")


def _unsupported(message: str) -> BackendError:
    return BackendError(Reason.BACKEND_UNSUPPORTED, message)
