"""AzureKeyVaultBackend: private keys in one vault of Azure Key Vault, or in a Managed HSM."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

from azure.keyvault.keys import KeyVaultKey, KeyVaultKeyIdentifier

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import BackendError, Reason
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.keys import signature_forms
from sealwright.keys.backend import BackendSignature
from sealwright.keys.backend_uri import BackendUri, backend_setting
from sealwright.keys.backends.azure_key_vault import vault_keys
from sealwright.keys.backends.azure_key_vault.calls import FixedToken, KeyVaultCalls, Vault
from sealwright.keys.backends.azure_key_vault.vault_keys import ALGORITHM, CURVES, HANDLE, PREFIX, RSA, VERSION
from sealwright.keys.retrying import Retrying

SETTLE_S = 1.1  # a version's time of creation is in whole seconds
YOUNG_S = 300.0  # creators that know nothing of each other, and clocks that disagree
_RETRYING = Retrying()


@dataclass(frozen=True, slots=True)
class _Known:
    """What is read once for each process, so that a signature is one call."""

    name: str
    version: str
    algorithm: str
    public: PublicJWK
    key: KeyVaultKey


class AzureKeyVaultBackend:
    """A KeyBackend with one vault key for each handle, of which it uses the oldest version.

    Azure has no "create unless it exists": of two creators the later one makes a second version. So each of them lists
    the versions after creating, once no other can still get the same time, and the oldest one is the key for everybody.
    """

    name = "azurekv"
    algorithms = frozenset({*CURVES, *RSA})

    def __init__(
        self,
        vault: Vault,
        *,
        hsm: bool = False,
        rsa_bits: str = "2048",
        retrying: Retrying = _RETRYING,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._vault_url = vault.url
        self._hsm = hsm
        self._rsa_bits = int(rsa_bits)
        self._settle_s = settle_s
        self._calls = KeyVaultCalls(vault, retrying)
        self._known: dict[str, _Known] = {}

    @classmethod
    def open(cls, uri: BackendUri, *, settle_s: float = SETTLE_S) -> AzureKeyVaultBackend:
        """azurekv://NAME.vault.azure.net?hsm=on. Raises ConfigurationError ``settings.backend``."""
        uri.check_options("hsm", "rsa-bits", *(("ca-file", "token") if uri.on_loopback else ()))
        hsm, rsa_bits = uri.options.get("hsm", "off"), uri.options.get("rsa-bits", "2048")
        if not uri.host or uri.path:
            raise backend_setting("azurekv: names its vault as azurekv://NAME.vault.azure.net")
        if hsm not in ("on", "off") or rsa_bits not in ("2048", "3072", "4096"):
            raise backend_setting("hsm is on or off, and rsa-bits is 2048, 3072 or 4096")
        token = FixedToken(uri.secret("token")) if "token" in uri.options else None
        port = f":{uri.port}" if uri.port else ""
        vault = Vault(f"https://{uri.host}{port}", uri.options.get("ca-file"), token)
        return cls(vault, hsm=hsm == "on", rsa_bits=rsa_bits, settle_s=settle_s)

    def generate(self, handle: str, algorithm: str) -> PublicJWK:
        if algorithm not in self.algorithms:
            raise _unsupported(f"this vault has no {algorithm} keys, but {', '.join(sorted(self.algorithms))}")
        named = self._named(handle)
        if named is None:
            name = PREFIX + handle
            kind = vault_keys.kind(algorithm, self._rsa_bits, hsm=self._hsm)
            self._calls.create(name, kind, {HANDLE: handle, ALGORITHM: algorithm})
            named = name, self._oldest(name, created=True)
        return self._held(handle, named, algorithm).public

    def find(self, handle: str) -> PublicJWK | None:
        named = self._named(handle)
        key = self._calls.key(*named) if named else None
        if key is None:
            self._known.pop(handle, None)
            return None
        return self._learn(handle, key).public

    def sign(self, handle: str, signing_input: bytes) -> BackendSignature:
        known = self._known.get(handle) or self._held(handle, self._named(handle))
        digest = signature_forms.digest(known.algorithm, signing_input)
        try:
            return BackendSignature(*self._calls.sign(known.key, known.algorithm, digest))
        except BackendError as error:
            if error.reason == Reason.BACKEND_KEY_MISSING:
                self._known.pop(handle, None)
            raise

    def disable(self, handle: str) -> None:
        if named := self._named(handle):
            self._calls.switch(*named, on=False)

    def enable(self, handle: str) -> None:
        if named := self._named(handle):
            self._calls.switch(*named, on=True)

    def destroy(self, handle: str) -> None:
        """Deletes the key with all its versions; the vault keeps it, unusable, for its retention time."""
        named = self._named(handle)
        self._known.pop(handle, None)
        if named:
            self._calls.delete(named[0])

    def handles(self) -> Iterable[str]:
        return [handle for key in self._calls.listed() if (handle := vault_keys.handle_of(key))]

    def adopt(self, handle: str, reference: str, algorithm: str) -> PublicJWK:
        """``reference`` is the name of a key in this vault, or the URL of its current version."""
        name, version = self._reference(reference)
        key = self._calls.key(name)
        if key is None:
            raise BackendError(Reason.BACKEND_KEY_MISSING, "the vault has no key of this name")
        if version not in (None, key.properties.version):  # a list of keys shows the tags of current versions only
            raise _unsupported("only the current version of a key can be adopted: leave the version out")
        if vault_keys.handle_of(key.properties) not in (None, handle):
            raise _unsupported(f"the key belongs to another handle: see its name and its tag {HANDLE}")
        if algorithm not in vault_keys.fitting(key) or (key.properties.tags or {}).get(ALGORITHM) not in (
            None,
            algorithm,
        ):
            raise _unsupported(f"the key is not for {algorithm}")
        tags = {HANDLE: handle, ALGORITHM: algorithm, VERSION: key.properties.version or ""}
        self._calls.set_tags(name, key.properties.version, {**(key.properties.tags or {}), **tags})
        return self._remember(handle, key, algorithm).public

    def import_private(self, handle: str, key: PrivateJWK) -> PublicJWK:  # noqa: ARG002
        """Raises BackendError ``backend.unsupported``."""
        raise _unsupported("import the key into the vault with Azure's own tools, and adopt it")

    def close(self) -> None:
        self._known.clear()
        self._calls.close()

    def _named(self, handle: str) -> tuple[str, str] | None:
        """Name and version of what a handle means: the key made for it, or else the one that a tag gave it."""
        if known := self._known.get(handle):
            return known.name, known.version
        name = PREFIX + handle
        if version := self._oldest(name):
            return name, version
        for key in self._calls.listed():
            tags = key.tags or {}
            if tags.get(HANDLE) == handle and VERSION in tags:
                return str(key.name), tags[VERSION]
        return None

    def _oldest(self, name: str, *, created: bool = False) -> str:
        """The version that came first, or nothing when there is none; waits until that cannot change any more."""
        first = None if created else self._first(name)
        if created or (first and abs(SYSTEM_CLOCK.now() - first[0]) < YOUNG_S):
            time.sleep(self._settle_s)
            first = self._first(name)
        return first[1] if first else ""

    def _first(self, name: str) -> tuple[float, str] | None:
        """When it was created, and its version; of two with the same time everybody takes the same one."""
        versions = self._calls.versions(name)
        return min(((vault_keys.created(one), one.version or "") for one in versions), default=None)

    def _held(self, handle: str, named: tuple[str, str] | None, algorithm: str | None = None) -> _Known:
        key = self._calls.key(*named) if named else None
        if key is None:
            raise BackendError(Reason.BACKEND_KEY_MISSING, "the key backend does not have this key")
        return self._learn(handle, key, algorithm)

    def _learn(self, handle: str, key: KeyVaultKey, wanted: str | None = None) -> _Known:
        """``wanted`` is tagged to an RSA key that has lost its tag, or never got one."""
        tags, fitting = key.properties.tags or {}, vault_keys.fitting(key)
        algorithm = tags.get(ALGORITHM) or (fitting[0] if len(fitting) == 1 else None)
        if algorithm is None and wanted in fitting:
            algorithm = wanted
            self._calls.set_tags(key.name, key.properties.version, {**tags, HANDLE: handle, ALGORITHM: algorithm})
        if algorithm not in fitting:
            raise BackendError(Reason.BACKEND_FAILED, f"the key's tag {ALGORITHM} is missing or does not fit the key")
        return self._remember(handle, key, algorithm)

    def _remember(self, handle: str, key: KeyVaultKey, algorithm: str) -> _Known:
        public = vault_keys.public(key, algorithm)
        known = _Known(key.name, key.properties.version or "", algorithm, public, key)
        return self._known.setdefault(handle, known)

    def _reference(self, reference: str) -> tuple[str, str | None]:
        if re.fullmatch("[0-9A-Za-z-]{1,127}", reference):
            return reference, None
        try:
            parsed = KeyVaultKeyIdentifier(reference)
        except ValueError:
            raise _unsupported("name the key, or give its URL") from None
        if parsed.vault_url != self._vault_url:
            raise _unsupported("the key is in another vault")
        return parsed.name, parsed.version


def _unsupported(message: str) -> BackendError:
    return BackendError(Reason.BACKEND_UNSUPPORTED, message)
