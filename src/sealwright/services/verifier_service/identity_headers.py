"""Identity headers: who a request is from, as the application behind the proxy reads it."""

from __future__ import annotations

from urllib.parse import quote

from sealwright.trust.decision import Verified
from sealwright.trust.identity import LISTS
from sealwright.wiring.verifying import VerifyingSide

_PLAIN = "!\"#$&'()*+-./:;<=>?@[\\]^_`{|}~"  # visible ASCII without space, percent sign and what separates a list


class IdentityHeaders:
    """Every header of every field, always: what a token does not say is empty, so nothing of a client's own remains.

    A value is percent-encoded UTF-8 where it is not visible ASCII, spaces too, since one at an end would get lost;
    lists are joined by commas.
    """

    def __init__(self, side: VerifyingSide, prefix: str) -> None:
        fields = {name for one in side.issuers.values() for name in one.admission.identities.fields}
        self._side = side
        self.names = {name: f"{prefix}{name.replace('_', '-')}" for name in sorted({"issuer", *fields})}
        self._encoded = {name: header.encode() for name, header in self.names.items()}

    def of(self, verified: Verified) -> list[tuple[bytes, bytes]]:
        identity = self._side.identity_of(verified)
        texts = {**identity.texts, "issuer": identity.issuer}
        lists = identity.lists
        return [
            (header, _joined(lists.get(name, ())) if name in LISTS else _joined((texts.get(name, ""),)))
            for name, header in self._encoded.items()
        ]


def _joined(values: tuple[str, ...]) -> bytes:
    return ",".join(quote(value, safe=_PLAIN) for value in values).encode()
