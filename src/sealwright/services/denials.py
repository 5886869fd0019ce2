"""Denials: refused calls are audited, and slowed down, at a cost that no stranger decides."""

from __future__ import annotations

import ipaddress
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from sealwright.clock import Clock
from sealwright.errors import Reason, RejectedError, SealwrightError, UnavailableError
from sealwright.keys.audit import AuditEntry
from sealwright.keys.catalog import KeyCatalog
from sealwright.services import http
from sealwright.services.credentials import CredentialError, on_credential_error
from sealwright.services.oauth_errors import OAuthError, on_oauth_error
from sealwright.settings import INTERNAL_ISSUER
from sealwright.trust.refetch_budget import RefetchBudget

MAXIMUM_CALLERS = 10_000
ENTRIES_BURST, ENTRY_INTERVAL_S = 200, 1.0  # of all addresses together: a botnet must not fill the disk either


class Denials:
    """Counts refused calls by address, or by subject where the caller is known; calls that succeed cost nothing.

    So whoever has a good credential is served, whatever others do behind the same address.
    """

    def __init__(self, catalog: KeyCatalog, clock: Clock, *, burst: int, per_s: float) -> None:
        self._catalog = catalog
        self._clock = clock
        self._burst, self._interval_s = burst, 1 / per_s
        self._lock = threading.Lock()
        self._budgets: OrderedDict[str, RefetchBudget] = OrderedDict()
        self._entries = RefetchBudget(ENTRIES_BURST, ENTRY_INTERVAL_S)
        self._suppressed = 0

    async def on_credential_error(self, request: Request, failure: Exception) -> Response:
        """A challenge as RFC 6750 has it; 429 for an address that was refused too often."""
        assert isinstance(failure, CredentialError)
        if isinstance(failure.error, UnavailableError):  # nobody was found wrong
            return await on_credential_error(request, failure)
        return await self._limited(request, failure.error) or await on_credential_error(request, failure)

    async def on_oauth_error(self, request: Request, failure: Exception) -> Response:
        """The answer of RFC 6749; 429 for an address from which too many were no clients."""
        assert isinstance(failure, OAuthError)
        if not failure.unauthenticated:
            return await self.audited(on_oauth_error)(request, failure)
        return await self._limited(request, failure.error) or failure.response()

    async def _limited(self, request: Request, error: SealwrightError) -> Response | None:
        """Writes a denial down, as long as the address has not used up its budget."""
        if not self._take(_address_block(request)):
            many = RejectedError(Reason.REQUEST_TOO_MANY, "too many refused calls from this address: wait a moment")
            return http.problem(many, status=429, headers={"Retry-After": str(math.ceil(self._interval_s))})
        await self._audit("access.denied", request, error.reason)
        return None

    def audited(self, handler: http.Handler) -> http.Handler:
        """The handler of what failed later on; calls of strangers to the open pages are no business of the audit."""

        async def handled(request: Request, error: Exception) -> Response:
            caller = getattr(request.state, "caller", None)
            cause = error.error if isinstance(error, OAuthError) else error
            if caller is not None and not isinstance(cause, UnavailableError) and self._take(f"={caller.subject}"):
                reason = cause.reason if isinstance(cause, SealwrightError) else Reason.REQUEST_MALFORMED
                await self._audit("access.failed", request, reason)
            return await handler(request, error)

        return handled

    def _take(self, key: str) -> bool:
        """One refusal from the budget of an address or a subject, and one entry from that of all together."""
        now = self._clock.monotonic()
        with self._lock:
            budget = self._budgets.setdefault(key, RefetchBudget(self._burst, self._interval_s))
            self._budgets.move_to_end(key)
            if len(self._budgets) > MAXIMUM_CALLERS:
                self._budgets.popitem(last=False)
            taken = budget.reserve(now)
            self._suppressed += not taken
            return taken

    async def _audit(self, action: str, request: Request, reason: Reason) -> None:
        with self._lock:
            if not self._entries.reserve(self._clock.monotonic()):
                self._suppressed += 1
                return
            suppressed, self._suppressed = self._suppressed, 0
        entry = self._entry(action, request, reason, {"suppressed": suppressed} if suppressed else {})
        with suppress(SealwrightError):  # the call is refused all the same
            await run_in_threadpool(self._catalog.commit, [], entry)

    def _entry(self, action: str, request: Request, reason: Reason, facts: Mapping[str, Any]) -> AuditEntry:
        """The route and never the path, which strangers write; the subject only when its credential was verified."""
        caller = getattr(request.state, "caller", None)
        template = getattr(request.scope.get("route"), "path", "unknown")
        called = {"route": f"{request.method} {template}", "client": _address(request), **facts}
        if (named := getattr(request.state, "named_client", None)) is not None:
            called["named"] = named  # one that is registered; whoever called did not prove to be it
        issuer = getattr(request.state, "issuer", None) or INTERNAL_ISSUER
        actor = caller.subject if caller is not None else "unknown"
        return AuditEntry(self._clock.now(), actor, action, issuer, None, str(reason), called)


def _address(request: Request) -> str:
    """A proxy on this machine may name the client; what is no address could be anything."""
    try:
        return str(ipaddress.ip_address(request.client.host if request.client is not None else ""))
    except ValueError:
        return "unknown"


def _address_block(request: Request) -> str:
    """An IPv6 caller has 2^64 addresses at least, so the block of them counts as one."""
    text = _address(request)
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return text
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
