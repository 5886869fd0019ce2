"""KeySource protocol: who knows the public keys of one issuer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sealwright.errors import Reason
from sealwright.jose.jwk import PublicJWK
from sealwright.jose.jwk_set import UnusableKey
from sealwright.jose.secret_jwk import SecretJWK

VerificationKey = PublicJWK | SecretJWK


class KeySource(Protocol):
    """Finds one key by kid.

    Raises RejectedError ``key.not_found``, ``key.id_missing`` or ``key.ambiguous``, and UnavailableError
    ``source.unavailable`` when it cannot know. It never answers with another key than the one named.
    """

    def find(self, key_id: str | None) -> VerificationKey: ...

    async def afind(self, key_id: str | None) -> VerificationKey: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source is doing. Ages and times to come in seconds; ``unusable`` counts the skipped keys.

    ``fetched_unix_s`` is when the last success began, by the clock on the wall; ``sequence`` the publisher's number of
    the set; ``url`` the address that gave it; ``skipped`` which keys were left out, and why; ``file_error`` why the
    file of the last good keys could not be used last.
    """

    age_s: float | None
    fresh: bool
    usable: bool
    keys: int
    unusable: int
    last_error: Reason | None
    next_refresh_s: float | None
    fetched_unix_s: float | None = None
    sequence: int | None = None
    url: str | None = None
    skipped: tuple[UnusableKey, ...] = ()
    file_error: Reason | None = None


class PromptSource(KeySource, Protocol):
    """A KeySource that can say what it knows without any wait, so that an event loop may ask it as it is.

    ``known`` is ``find``, but for its answer None: something has to be waited for, ask ``afind``.
    """

    def known(self, key_id: str | None) -> VerificationKey | None: ...


def nothing_known(_: str | None) -> None:
    """``known`` of a source that has none."""


@runtime_checkable
class ReportingSource(KeySource, Protocol):
    """A KeySource that says how it is doing, which costs no I/O."""

    def status(self) -> SourceStatus: ...
