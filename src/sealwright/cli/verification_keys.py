"""Keys for verify --keys: public keys of any form, from files and URLs, and none that is past its use."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.console import Console

from sealwright.cli.key_files import is_json
from sealwright.cli.options import printable, read_bytes
from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.algorithms import ASYMMETRIC, algorithm
from sealwright.jose.jwk import PublicJWK
from sealwright.jose.jwk_set import JWKSet, UnusableKey
from sealwright.jose.key_formats import read_public
from sealwright.jose.secret_jwk import SecretJWK
from sealwright.jose.verification import Keys
from sealwright.trust.sources.remote import RemoteJWKSet


def read_keys(sources: Sequence[str], *, algorithms: Collection[str], named: bool) -> Keys:
    """All keys of the sources that can be used now; what is skipped is told on standard error.

    A key that names no algorithm gets the one of ``algorithms`` that fits it. The kid of a PEM, DER or OpenSSH key is
    its thumbprint where keys must be told apart (``named``, or several sources); otherwise it has none and fits any.
    Raises RejectedError ``key.*``, and UnavailableError for a URL.
    """
    allowed = frozenset(algorithm(name).name for name in algorithms)
    read = [_read(source, named=named or len(sources) > 1) for source in sources]
    if any(isinstance(one, SecretJWK) for one in read):
        return _only_secret(read, allowed)
    sets = [one for one in read if isinstance(one, JWKSet)]
    found = dict.fromkeys(key for one in sets for key in one)  # the same key in two files is one key
    unusable = [key for one in sets for key in one.unusable]
    keys = JWKSet(found, unusable=unusable).bound_to(allowed or ASYMMETRIC).usable_at(SYSTEM_CLOCK.now())
    _tell(keys.unusable, none_left=not keys)
    return keys.keys[0] if len(keys) == 1 and keys.keys[0].key_id is None else keys


def _read(source: str, *, named: bool) -> JWKSet | SecretJWK:
    if source.startswith(("https://", "http://")):
        with RemoteJWKSet(source) as remote:
            return remote.fetch()
    try:
        return _parse(read_bytes(source), named)
    except RejectedError as error:
        hint = ": sealwright jwk public writes its public half" if error.reason is Reason.KEY_NOT_PUBLIC else ""
        raise RejectedError(error.reason, f"{source}: {error.message}{hint}") from error


def _parse(data: bytes, named: bool) -> JWKSet | SecretJWK:
    if not is_json(data):
        key = read_public(data)
        nameless = {name: value for name, value in key.to_dict().items() if name != "kid"}
        return JWKSet([key if named else PublicJWK.from_dict(nameless)])
    members = strict_json.parse_object(data)
    if "keys" in members:
        return JWKSet.from_dict(members)
    if members.get("kty") == "oct":
        return SecretJWK.from_dict(members)
    return JWKSet([PublicJWK.from_dict(members)])


def _only_secret(read: Sequence[JWKSet | SecretJWK], allowed: Collection[str]) -> SecretJWK:
    """RFC 8725 §3.1: a secret never stands beside public keys, so that neither is taken for the other."""
    secret = read[0]
    if len(read) > 1 or not isinstance(secret, SecretJWK):
        raise RejectedError(Reason.KEY_AMBIGUOUS, "an HMAC secret verifies alone: give no other --keys")
    if allowed and secret.algorithm.name not in allowed:
        raise RejectedError(Reason.ALGORITHM_NOT_ALLOWED, "the key's algorithm is not among those of --algorithm")
    secret.check_usable(SYSTEM_CLOCK.now())
    return secret


def _tell(unusable: Sequence[UnusableKey], *, none_left: bool) -> None:
    if none_left:
        reason = unusable[0].reason if unusable else Reason.KEY_NOT_FOUND
        hint = ": say what it is for with --algorithm, such as RS256" if reason is Reason.KEY_AMBIGUOUS else ""
        raise RejectedError(reason, f"there is no key that can be used{hint}")
    for key in unusable:
        Console(stderr=True, soft_wrap=True).print(f"skipped the key {printable(key.key_id)}: {key.reason}")
