"""A Google Cloud KMS of one key ring: the real SDK talks gRPC to it, and its keys and signatures are real."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.cloud.kms_v1.types import resources, service

SERVICE = "google.cloud.kms.v1.KeyManagementService"
RING = "projects/tests/locations/europe-west3/keyRings/sealwright"
State = resources.CryptoKeyVersion.CryptoKeyVersionState
Algorithm = resources.CryptoKeyVersion.CryptoKeyVersionAlgorithm
CURVES = {"P256": ec.SECP256R1, "P384": ec.SECP384R1, "SECP256K1": ec.SECP256K1}
_METHODS = {
    "CreateCryptoKey": (service.CreateCryptoKeyRequest, resources.CryptoKey),
    "GetCryptoKey": (service.GetCryptoKeyRequest, resources.CryptoKey),
    "ListCryptoKeys": (service.ListCryptoKeysRequest, service.ListCryptoKeysResponse),
    "UpdateCryptoKey": (service.UpdateCryptoKeyRequest, resources.CryptoKey),
    "CreateCryptoKeyVersion": (service.CreateCryptoKeyVersionRequest, resources.CryptoKeyVersion),
    "GetCryptoKeyVersion": (service.GetCryptoKeyVersionRequest, resources.CryptoKeyVersion),
    "UpdateCryptoKeyVersion": (service.UpdateCryptoKeyVersionRequest, resources.CryptoKeyVersion),
    "DestroyCryptoKeyVersion": (service.DestroyCryptoKeyVersionRequest, resources.CryptoKeyVersion),
    "GetPublicKey": (service.GetPublicKeyRequest, resources.PublicKey),
    "AsymmetricSign": (service.AsymmetricSignRequest, service.AsymmetricSignResponse),
}


def crc32c(data: bytes) -> int:
    """Bit by bit, and so unlike the table that is tested against it."""
    checksum = 0xFFFFFFFF
    for byte in data:
        checksum ^= byte
        for _ in range(8):
            checksum = (checksum >> 1) ^ (0x82F63B78 * (checksum & 1))
    return checksum ^ 0xFFFFFFFF


class FakeGcpKms:
    """``fail``: answer the next calls of a method with a code. ``damaged``: the bytes whose checksum will not fit."""

    def __init__(self, *, page_size: int = 2) -> None:
        self.calls: Counter[str] = Counter()
        self.latency_s = 0.0
        self.reads_until_generated = 0
        self.damaged: dict[str, int] = {}  # "pem", "signature" or "digest": how many times
        self.keys: dict[str, resources.CryptoKey] = {}
        self.versions: dict[str, resources.CryptoKeyVersion] = {}
        self._private: dict[str, Any] = {}
        self._pending: Counter[str] = Counter()
        self._failures: dict[str, list[grpc.StatusCode]] = {}
        self._page_size = page_size
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        handlers = {name: self._handler(name, *types) for name, types in _METHODS.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    @property
    def uri(self) -> str:
        return f"gcpkms:{RING}?endpoint=127.0.0.1:{self.port}"

    def fail(self, method: str, code: grpc.StatusCode, times: int = 1) -> None:
        self._failures[method] = [code] * times

    def close(self) -> None:
        self._server.stop(None).wait()

    def _handler(self, name: str, asked: Any, answered: Any) -> grpc.RpcMethodHandler:
        method: Callable[[Any, Any], Any] = getattr(self, name)

        def serve(request: Any, context: grpc.ServicerContext) -> Any:
            time.sleep(self.latency_s)
            with self._lock:
                self.calls[name] += 1
                if self._failures.get(name):
                    context.abort(self._failures[name].pop(), "as the test asked for: secret-of-the-vendor")
            return method(request, context)

        return grpc.unary_unary_rpc_method_handler(serve, asked.deserialize, answered.serialize)

    def CreateCryptoKey(self, request: Any, context: Any) -> Any:
        name = f"{request.parent}/cryptoKeys/{request.crypto_key_id}"
        private = _new_private(Algorithm(request.crypto_key.version_template.algorithm).name)
        with self._lock:
            if name in self.keys:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, name)
            key = self.keys[name] = request.crypto_key
            key.name = name
            self._add_version(key, private)
        return key

    def CreateCryptoKeyVersion(self, request: Any, context: Any) -> Any:
        key = _held(self.keys, request.parent, context)
        return self._add_version(key, _new_private(Algorithm(key.version_template.algorithm).name))

    def _add_version(self, key: Any, private: Any) -> Any:
        number = 1 + sum(name.startswith(f"{key.name}/") for name in self.versions)
        name = f"{key.name}/cryptoKeyVersions/{number}"
        state = State.PENDING_GENERATION if self.reads_until_generated else State.ENABLED
        made = resources.CryptoKeyVersion(name=name, state=state, algorithm=key.version_template.algorithm)
        self.versions[name], self._private[name] = made, private
        self._pending[name] = self.reads_until_generated
        return made

    def GetCryptoKey(self, request: Any, context: Any) -> Any:
        return _held(self.keys, request.name, context)

    def ListCryptoKeys(self, request: Any, context: Any) -> Any:
        names = sorted(self.keys)
        start = int(request.page_token or 0)
        end = start + self._page_size
        following = str(end) if end < len(names) else ""
        return service.ListCryptoKeysResponse(
            crypto_keys=[self.keys[name] for name in names[start:end]], next_page_token=following
        )

    def UpdateCryptoKey(self, request: Any, context: Any) -> Any:
        key = _held(self.keys, request.crypto_key.name, context)
        assert list(request.update_mask.paths) == ["labels"]
        key.labels = dict(request.crypto_key.labels)
        return key

    def GetCryptoKeyVersion(self, request: Any, context: Any) -> Any:
        version = _held(self.versions, request.name, context)
        if version.state == State.PENDING_GENERATION:
            self._pending[version.name] -= 1
            if self._pending[version.name] < 0:
                version.state = State.ENABLED
        return version

    def UpdateCryptoKeyVersion(self, request: Any, context: Any) -> Any:
        version = _held(self.versions, request.crypto_key_version.name, context)
        if version.state not in (State.ENABLED, State.DISABLED):
            _refuse(version, context)
        version.state = request.crypto_key_version.state
        return version

    def DestroyCryptoKeyVersion(self, request: Any, context: Any) -> Any:
        version = _held(self.versions, request.name, context)
        if version.state not in (State.ENABLED, State.DISABLED):
            _refuse(version, context)
        version.state = State.DESTROY_SCHEDULED
        return version

    def GetPublicKey(self, request: Any, context: Any) -> Any:
        version = self._usable(request.name, context)
        public = self._private[version.name].public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        checksum = self._checksum("pem", pem)
        return resources.PublicKey(name=version.name, pem=pem.decode(), pem_crc32c=checksum)

    def AsymmetricSign(self, request: Any, context: Any) -> Any:
        version = self._usable(request.name, context)
        name, private = Algorithm(version.algorithm).name, self._private[version.name]
        if name == "EC_SIGN_ED25519":
            given, received, stated = request.data, "verified_data_crc32c", request.data_crc32c
            signature = private.sign(given)
        else:
            kind = name.rpartition("_")[2].lower()
            given, received, stated = getattr(request.digest, kind), "verified_digest_crc32c", request.digest_crc32c
            signature = _signed(name, private, given)
        if stated != crc32c(given):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the checksum of what is to be signed does not fit")
        intact = {received: not self._spoiled("digest")}
        checksum = self._checksum("signature", signature)
        return service.AsymmetricSignResponse(
            name=version.name, signature=signature, signature_crc32c=checksum, **intact
        )

    def _usable(self, name: str, context: Any) -> Any:
        version = _held(self.versions, name, context)
        if version.state != State.ENABLED:
            _refuse(version, context)
        return version

    def _spoiled(self, what: str) -> bool:
        left = self.damaged.get(what, 0)
        self.damaged[what] = max(left - 1, 0)
        return left > 0

    def _checksum(self, what: str, data: bytes) -> int:
        return crc32c(data) ^ self._spoiled(what)


def _held(things: dict[str, Any], name: str, context: Any) -> Any:
    if name not in things:
        context.abort(grpc.StatusCode.NOT_FOUND, f"{name} not found.")
    return things[name]


def _refuse(version: Any, context: Any) -> None:
    message = f"{version.name} is not enabled, current state is: {State(version.state).name}."
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, message)


def _new_private(name: str) -> Any:
    if name == "EC_SIGN_ED25519":
        return ed25519.Ed25519PrivateKey.generate()
    if name.startswith("EC_SIGN_"):
        return ec.generate_private_key(CURVES[name.split("_")[2]]())
    return rsa.generate_private_key(65537, int(name.split("_")[3]))


def _signed(name: str, private: Any, digest: bytes) -> bytes:
    kind = getattr(hashes, name.rpartition("_")[2])()
    if name.startswith("EC_SIGN_"):
        return private.sign(digest, ec.ECDSA(utils.Prehashed(kind)))
    pss = padding.PSS(padding.MGF1(kind), padding.PSS.DIGEST_LENGTH)
    return private.sign(digest, pss if "_PSS_" in name else padding.PKCS1v15(), utils.Prehashed(kind))
