"""The request that a proxy holds, as that proxy tells of it: method, target, token, and what may prove who presents it.

Every proxy overwrites what it tells, so nothing here is a client's own word but for the headers that its token is in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from starlette.types import Scope

from sealwright.errors import Reason, RejectedError
from sealwright.trust.bearer import bearer_token, presented_token
from sealwright.trust.client_certificates import UNIX, TrustedProxies
from sealwright.trust.evidence import Evidence, Scheme

_AUTHORIZATION, _DPOP = b"authorization", b"dpop"


class Saying(NamedTuple):
    """In which headers a kind of proxy says what was asked of it; without ``method`` it asks below ``prefix``."""

    method: bytes
    target: bytes
    scheme: bytes
    host: bytes
    prefix: bytes = b""


FORWARD_AUTH = Saying(b"x-forwarded-method", b"x-forwarded-uri", b"x-forwarded-proto", b"x-forwarded-host")
AUTH_REQUEST = Saying(b"x-original-method", b"x-original-uri", b"x-original-proto", b"x-original-host")
EXT_AUTHZ = Saying(b"", b"", b"x-forwarded-proto", b"host", b"/ext-authz")


class ProxiedRequests:
    """Reads what one kind of proxy says. ``public_url`` wins over what it says of scheme and host.

    With ``dpop`` there are issuers that take proofs; without, a token that comes by that scheme is none.
    """

    def __init__(
        self,
        saying: Saying,
        *,
        public_url: str | None = None,
        proxies: TrustedProxies | None = None,
        dpop: bool = False,
    ) -> None:
        self._saying, self._public_url, self._proxies, self._dpop = saying, public_url, proxies, dpop
        self._certificate = b"" if proxies is None else proxies.header.encode()
        once = {*saying[:4], _AUTHORIZATION, _DPOP, self._certificate} - {b""}
        self._once: Mapping[bytes, Reason] = {name: _reason(name, self._certificate) for name in once}

    def read(self, scope: Scope) -> tuple[str, Evidence]:
        """The token, and the evidence for it.

        Raises RejectedError ``request.malformed``, ``credential.missing`` or ``binding.proof``.
        """
        found = self._found(scope["headers"])
        method, target = self._asked(scope, found)
        scheme, token = self._presented(found.get(_AUTHORIZATION))
        proof = found.get(_DPOP)
        return token, Evidence(
            method=method,
            path=target,
            url=None if proof is None else self._url(found, target),
            scheme=scheme,
            proofs=() if proof is None else (proof.strip(" \t"),),
            certificate_thumbprint=self._thumbprint(scope, found) if self._certificate in found else None,
        )

    def _found(self, headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
        """By lower-case name. Raises RejectedError for one of those that decide and is there twice."""
        found: dict[bytes, str] = {}
        for name, value in headers:
            if name in self._once:
                if name in found:
                    raise RejectedError(self._once[name], "a header that decides is there twice")
                found[name] = value.decode("latin-1")
        return found

    def _asked(self, scope: Scope, found: Mapping[bytes, str]) -> tuple[str, str]:
        saying = self._saying
        if saying.method:
            method, target = found.get(saying.method), found.get(saying.target)
        else:
            method, target = scope["method"], _below(saying.prefix, scope["raw_path"])
        if not method or not target or target[0] != "/":
            raise RejectedError(Reason.REQUEST_MALFORMED, "the proxy does not say which request it holds")
        return method, target

    def _presented(self, authorization: str | None) -> tuple[Scheme, str]:
        return presented_token(authorization) if self._dpop else ("bearer", bearer_token(authorization))

    def _url(self, found: Mapping[bytes, str], target: str) -> str | None:
        """The URL that the client sent, for DPoP proofs; None where nobody vouches for scheme and host."""
        if self._public_url is not None:
            return self._public_url + target
        scheme, host = found.get(self._saying.scheme), found.get(self._saying.host)
        return f"{scheme}://{host}{target}" if scheme and host else None

    def _thumbprint(self, scope: Scope, found: Mapping[bytes, str]) -> str | None:
        """That of the certificate which the caller showed to a listed proxy."""
        if self._proxies is None or not self._proxies.include(_peer(scope)):
            return None
        return self._proxies.thumbprint([(self._proxies.header, found[self._certificate])])


def _reason(name: bytes, certificate: bytes) -> Reason:
    return Reason.BINDING_PROOF if name in (_DPOP, certificate) else Reason.REQUEST_MALFORMED


def _below(prefix: bytes, raw_path: bytes) -> str:
    return raw_path[len(prefix) :].decode("latin-1") if raw_path.startswith(prefix) else ""


def _peer(scope: Scope) -> str | None:
    """The address at the other end; a unix socket has none and no port, a TCP connection that is gone has a port."""
    if scope.get("client"):
        return str(scope["client"][0])
    server = scope.get("server")
    return UNIX if server and server[1] is None else None
