"""AwsKmsBackend: each key has an alias made of its handle, and its handle and algorithm as tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from sealwright.errors import BackendError, Reason
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.keys import signature_forms
from sealwright.keys.backend import BackendSignature
from sealwright.keys.backend_uri import BackendUri, backend_setting
from sealwright.keys.backends.aws_kms import rows
from sealwright.keys.backends.aws_kms.calls import ACCESS_DENIED, ALREADY_EXISTS, MESSAGES, KmsCalls
from sealwright.keys.retrying import Retrying

ALIAS_PREFIX = "alias/sealwright-"
HANDLE_TAG, ALGORITHM_TAG = "sealwright-handle", "sealwright-algorithm"
# What was made a moment ago is not known everywhere at Amazon yet.
_SETTLING = Retrying(attempts=6, reasons=frozenset({Reason.BACKEND_KEY_MISSING}))


@dataclass(frozen=True, slots=True)
class _Key:
    key_id: str  # its ARN
    algorithm: str
    public: PublicJWK


class AwsKmsBackend:
    """A KeyBackend in one account and region. Credentials come from the SDK's own chain and from nowhere else.

    Public keys and key ids are kept in memory: a signature is one call.
    """

    name = "awskms"
    algorithms = frozenset(rows.ROWS)

    def __init__(self, calls: KmsCalls, pending_days: int = 30) -> None:
        self._calls = calls
        self._pending_days = pending_days
        self._keys: dict[str, _Key] = {}

    @classmethod
    def open(cls, uri: BackendUri, retrying: Retrying | None = None) -> Self:
        """``awskms:?region=eu-central-1``. Raises ConfigurationError ``settings.backend``."""
        uri.check_options("region", "endpoint", "pending-days", "timeout")
        if uri.host or uri.path:
            raise backend_setting("awskms: has options only: awskms:?region=eu-central-1")
        endpoint = uri.options.get("endpoint")
        if endpoint is not None and not _is_safe(BackendUri.parse(endpoint)):
            raise backend_setting("the option endpoint is an https address; http is for this machine only")
        timeout_s = uri.number("timeout", 5, least=0.1, most=60)
        days = int(uri.number("pending-days", 30, least=7, most=30))
        return cls(KmsCalls(uri.required("region"), endpoint, timeout_s, retrying or Retrying()), days)

    def generate(self, handle: str, algorithm: str) -> PublicJWK:
        if algorithm not in rows.ROWS:
            raise BackendError(Reason.BACKEND_UNSUPPORTED, f"AWS KMS makes no {algorithm} keys")
        if self._described(_alias(handle)) is None:
            # A process killed before it could give its key an alias has left a key with our tags: that one is used.
            made = min(self._without_alias(handle), default=None) or self._create(handle, algorithm)
            if self._aliased(handle, made) not in (made, None):
                self._schedule_deletion(made)  # somebody else was first, and the handle means their key now
        return _SETTLING.call(lambda: self._held(handle)).public

    def find(self, handle: str) -> PublicJWK | None:
        key = self._load(handle)
        return key.public if key else None

    def sign(self, handle: str, signing_input: bytes) -> BackendSignature:
        key = self._keys.get(handle) or self._held(handle)
        answer = self._calls.call("sign", KeyId=key.key_id, **rows.sign_arguments(key.algorithm, signing_input))
        value = answer["Signature"]
        if key.algorithm.startswith("ES"):
            value = signature_forms.ecdsa_from_der(key.algorithm, value)
        return BackendSignature(value, answer["ResponseMetadata"].get("RequestId"))

    def disable(self, handle: str) -> None:
        self._switch("disable_key", handle)

    def enable(self, handle: str) -> None:
        self._switch("enable_key", handle)

    def destroy(self, handle: str) -> None:
        """Schedule the deletion, then take the alias away: a kill between the two is mended by repeating it."""
        aliased = self._calls.existing("describe_key", KeyId=_alias(handle))
        for key_id in [aliased["KeyMetadata"]["Arn"]] if aliased else list(self._without_alias(handle)):
            self._schedule_deletion(key_id)
        self._calls.existing("delete_alias", AliasName=_alias(handle))
        self._keys.pop(handle, None)

    def handles(self) -> Iterable[str]:
        aliases = self._aliases()
        names = (alias["AliasName"] for alias in aliases)
        aliased = {name.removeprefix(ALIAS_PREFIX) for name in names if name.startswith(ALIAS_PREFIX)}
        return aliased | {handle for handle, _ in self._tagged(aliases)}

    def adopt(self, handle: str, reference: str, algorithm: str) -> PublicJWK:
        """``reference`` is a key's id, ARN or alias. Tags come before the alias: a kill is mended by repeating it."""
        described = self._described(reference)
        if described is None:
            raise _missing()
        key_id, ours = described["Arn"], {HANDLE_TAG: handle, ALGORITHM_TAG: algorithm}
        tags = self._tags(key_id)
        if not rows.fits(described, algorithm) or any(tags.get(name, value) != value for name, value in ours.items()):
            message = "this key does not sign with this algorithm, or it belongs to another handle already"
            raise BackendError(Reason.BACKEND_UNSUPPORTED, message)
        self._public(key_id, algorithm)
        self._calls.call("tag_resource", KeyId=key_id, Tags=_tag_list(ours))
        if self._aliased(handle, key_id) != key_id:
            raise BackendError(Reason.BACKEND_FAILED, "this handle already means another key in AWS KMS")
        return _SETTLING.call(lambda: self._held(handle)).public

    def import_private(self, handle: str, key: PrivateJWK) -> PublicJWK:  # noqa: ARG002
        """Raises BackendError ``backend.unsupported``."""
        raise BackendError(Reason.BACKEND_UNSUPPORTED, "keys are made inside of AWS KMS and not put in: keys create")

    def close(self) -> None:
        self._keys.clear()
        self._calls.close()

    def _create(self, handle: str, algorithm: str) -> str:
        # Not repeated when its answer is lost: the key may be there, and the next generate looks for it.
        tags = _tag_list({HANDLE_TAG: handle, ALGORITHM_TAG: algorithm})
        answer = self._calls.call(
            "create_key", repeatable=False, KeySpec=rows.ROWS[algorithm][0], KeyUsage="SIGN_VERIFY", Tags=tags
        )
        return str(answer["KeyMetadata"]["Arn"])

    def _aliased(self, handle: str, key_id: str) -> str | None:
        """The key that the handle's alias means: this one unless another came first, and None if that cannot be seen.

        It may be this very key then: the answer to making the alias was lost, and Amazon does not show it yet.
        """
        try:
            _SETTLING.call(lambda: self._calls.call("create_alias", AliasName=_alias(handle), TargetKeyId=key_id))
        except BackendError as error:
            if error.detail != ALREADY_EXISTS:
                raise
            described = self._described(_alias(handle))
            return described["Arn"] if described else None
        return key_id

    def _held(self, handle: str) -> _Key:
        key = self._load(handle)
        if key is None:
            raise _missing()
        return key

    def _load(self, handle: str) -> _Key | None:
        described = self._described(_alias(handle))
        if described is None:
            self._keys.pop(handle, None)
            return None
        key, key_id = self._keys.get(handle), described["Arn"]
        if key is None or key.key_id != key_id:
            algorithm = self._tags(key_id).get(ALGORITHM_TAG, "")
            if algorithm not in rows.ROWS:
                raise BackendError(Reason.BACKEND_FAILED, f"the key has lost its tag {ALGORITHM_TAG}: tag it again")
            key = self._keys[handle] = _Key(key_id, algorithm, self._public(key_id, algorithm))
        return key

    def _public(self, key_id: str, algorithm: str) -> PublicJWK:
        return signature_forms.public_key(self._calls.call("get_public_key", KeyId=key_id)["PublicKey"], algorithm)

    def _described(self, reference: str) -> dict[str, Any] | None:
        """What KMS says of a key, or None if it is not there or on its way out."""
        answer = self._calls.existing("describe_key", KeyId=reference)
        if answer is None or answer["KeyMetadata"]["KeyState"].endswith("Deletion"):
            return None
        return dict(answer["KeyMetadata"])

    def _switch(self, operation: str, handle: str) -> None:
        if (described := self._described(_alias(handle))) is not None:
            self._calls.existing(operation, KeyId=described["Arn"])

    def _schedule_deletion(self, key_id: str) -> None:
        self._calls.existing("schedule_key_deletion", KeyId=key_id, PendingWindowInDays=self._pending_days)

    def _aliases(self) -> list[dict[str, Any]]:
        return list(self._calls.pages("list_aliases", "Aliases", 100))

    def _without_alias(self, handle: str) -> Iterator[str]:
        return (key_id for tagged, key_id in self._tagged(self._aliases()) if tagged == handle)

    def _tagged(self, aliases: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
        """Handle and key of every key with our tag and no alias at all: one call for each key without an alias."""
        named = {alias.get("TargetKeyId") for alias in aliases}
        for key in self._calls.pages("list_keys", "Keys", 1000):
            handle = None if key["KeyId"] in named else self._tags_if_ours(key["KeyId"]).get(HANDLE_TAG)
            if handle is not None and self._described(key["KeyArn"]) is not None:
                yield handle, key["KeyArn"]

    def _tags_if_ours(self, key_id: str) -> dict[str, str]:
        try:
            return self._tags(key_id)
        except BackendError as error:
            if error.detail != ACCESS_DENIED and error.reason is not Reason.BACKEND_KEY_MISSING:
                raise
            return {}  # permissions that end at keys with our tag are good ones

    def _tags(self, key_id: str) -> dict[str, str]:
        tags = self._calls.call("list_resource_tags", KeyId=key_id)["Tags"]
        return {tag["TagKey"]: tag["TagValue"] for tag in tags}


def _alias(handle: str) -> str:
    return ALIAS_PREFIX + handle


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"TagKey": name, "TagValue": value} for name, value in tags.items()]


def _is_safe(endpoint: BackendUri) -> bool:
    return endpoint.scheme == "https" or (endpoint.scheme == "http" and endpoint.on_loopback)


def _missing() -> BackendError:
    return BackendError(Reason.BACKEND_KEY_MISSING, MESSAGES[Reason.BACKEND_KEY_MISSING])
