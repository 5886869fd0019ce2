"""Guard: what one request asks in, the verified token or the answer that refuses it out. Every framework asks it."""

from __future__ import annotations

import re
from collections.abc import Collection

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.integrations.asked import Asked, Shown
from sealwright.integrations.refusal import Refusal, Refusals
from sealwright.jose.claims import check_scopes
from sealwright.trust.bearer import bearer_token, presented_token
from sealwright.trust.client_certificates import TrustedProxies
from sealwright.trust.decision import Decision, Verified
from sealwright.trust.request_evidence import evidence_of
from sealwright.trust.request_url import normalized
from sealwright.trust.routes import RouteRule, Routes
from sealwright.trust.verifier import Verifier

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §3.3


class Guard:
    """Decides over the token in the Authorization header of a request; one in its query or a cookie is none.

    Every token needs all of ``scopes``. ``public`` are the requests that need no token, where a whole application is
    guarded: paths as ``RouteRule`` reads them, such as ``/healthz``, ``/static/**`` or ``OPTIONS /**``. ``public_url``
    is what stands before the path in the URL that clients use; DPoP proofs are held against it, since nothing that a
    client sends can say where it was sent. ``proxies`` may tell the caller's certificate. Raises ConfigurationError
    ``settings.invalid``.
    """

    def __init__(
        self,
        verifier: Verifier,
        *,
        realm: str,
        scopes: Collection[str] = (),
        public: Collection[str] = (),
        public_url: str | None = None,
        proxies: TrustedProxies | None = None,
    ) -> None:
        self._verifier, self._proxies = verifier, proxies
        self._scopes = scopes_of(scopes)
        self._public = Routes([RouteRule.parse(route) for route in public])
        self._base = None if public_url is None else _base(public_url)
        self._refusals = Refusals(verifier, realm)
        if self._refusals.algorithms and self._base is None:
            raise _wrong("DPoP proofs name the URL that the client used: say what it begins with, as public_url")
        issuers = verifier.issuers  # of several, each has scopes of its own, which strangers are not told
        self._told = self._scopes | (issuers[0].policy.required_scopes if len(issuers) == 1 else frozenset())

    def opens(self, asked: Asked) -> bool:
        """Whether the request needs no token. A path that could be read in two ways always does."""
        try:
            self._public.find(asked.method, asked.path)
        except RejectedError:
            return False
        return True

    def admit(self, asked: Asked, scopes: frozenset[str] = frozenset()) -> Verified | Refusal:
        """Decides once over a request; ``scopes`` are needed beside those of the guard. Raises nothing."""
        found = self._look(asked, scopes)
        if not isinstance(found, Shown):
            return found
        try:
            decision = self._verifier.decide(found.token, scopes=self._scopes | scopes, evidence=found.evidence)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the door stays shut
            decision = Decision.refused(error)
        return self._opened(asked, found, decision, scopes)

    async def aadmit(self, asked: Asked, scopes: frozenset[str] = frozenset()) -> Verified | Refusal:
        """``admit`` for an event loop."""
        found = self._look(asked, scopes)
        if not isinstance(found, Shown):
            return found
        try:
            decision = await self._verifier.adecide(found.token, scopes=self._scopes | scopes, evidence=found.evidence)
        except Exception as error:  # noqa: BLE001 - as in admit
            decision = Decision.refused(error)
        return self._opened(asked, found, decision, scopes)

    def _look(self, asked: Asked, scopes: frozenset[str]) -> Shown | Verified | Refusal:
        """What is to be decided over, or what was decided before over the very same."""
        try:
            shown = self._shown(asked)
            before = asked.kept.get(self)
            if before is None or before[0] != shown:
                return shown
            check_scopes(before[1].claims, self._scopes | scopes)
        except RejectedError as error:
            return self._refused(asked, self._verifier.refuse(error), scopes)
        except Exception as error:  # noqa: BLE001 - as in admit
            return self._refused(asked, Decision.refused(error), scopes)
        return before[1]

    def _shown(self, asked: Asked) -> Shown:
        evidence = evidence_of(
            asked.method,
            f"{self._base}{asked.target}",
            asked.headers,
            peer=asked.peer,
            peer_certificate=asked.peer_certificate,
            proxies=self._proxies,
        )
        if self._refusals.algorithms:
            _, token = presented_token(asked.authorization)
        else:
            token = bearer_token(asked.authorization)
        url = evidence.url if self._base is not None else None
        return Shown(token, evidence._replace(path=asked.path, url=url))

    def _opened(self, asked: Asked, shown: Shown, decision: Decision, scopes: frozenset[str]) -> Verified | Refusal:
        if decision.verified is None:
            return self._refused(asked, decision, scopes)
        asked.kept[self] = (shown, decision.verified)
        return decision.verified

    def _refused(self, asked: Asked, decision: Decision, scopes: frozenset[str]) -> Refusal:
        assert decision.error is not None
        return self._refusals.of(decision.error, asked.authorization, self._told | scopes)


def scopes_of(scopes: Collection[str]) -> frozenset[str]:
    """Raises ConfigurationError ``settings.invalid`` for anything but a collection of single scopes."""
    if isinstance(scopes, str) or not all(isinstance(one, str) and _SCOPE.fullmatch(one) for one in scopes):
        raise _wrong("scopes are a list, each of them printable ASCII without spaces and quotes")
    return frozenset(scopes)


def _base(url: str) -> str:
    try:
        normalized(url)
    except RejectedError as error:
        raise _wrong("public_url is an http or https URL") from error
    if "?" in url or "#" in url:
        raise _wrong("public_url has neither query nor fragment")
    return url.rstrip("/")


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
