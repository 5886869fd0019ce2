"""Identity headers: who a request is from, as the application behind the proxy reads it."""

from __future__ import annotations

import re
from urllib.parse import quote

from sealwright.trust.decision import Decision, Verified
from sealwright.trust.identity import LISTS
from sealwright.wiring.verifying import VerifyingSide

_PLAIN = "!\"#$&'()*+-./:;<=>?@[\\]^_`{|}~"  # visible ASCII without space, percent sign and what separates a list
_NEEDS_NOTHING = re.compile(f"[A-Za-z0-9_.~{re.escape(_PLAIN)}-]*")
KEPT_BYTES = 1024  # larger values are made anew each time, so that the bound of the decision cache holds
Headers = tuple[tuple[bytes, bytes], ...]


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

    def of(self, decision: Decision, verified: Verified) -> Headers:
        """The same each time for a decision that is remembered, so made once."""
        if decision.made is None:
            return self._written(verified)
        found: Headers | None = decision.made.get(self)
        if found is None:
            found = self._written(verified)
            if sum(len(value) for _, value in found) <= KEPT_BYTES:
                decision.made[self] = found
        return found

    def _written(self, verified: Verified) -> Headers:
        identity = self._side.identity_of(verified)
        texts = {**identity.texts, "issuer": identity.issuer}
        lists = identity.lists
        return tuple(
            (header, _joined(lists.get(name, ())) if name in LISTS else _joined((texts.get(name, ""),)))
            for name, header in self._encoded.items()
        )


def _joined(values: tuple[str, ...]) -> bytes:
    return ",".join(map(_quoted, values)).encode()


def _quoted(value: str) -> str:
    return value if _NEEDS_NOTHING.fullmatch(value) else quote(value, safe=_PLAIN)
