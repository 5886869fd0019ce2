"""What the catalog says about access: denied subjects, and whose key or approval an id is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool

from sealwright.keys import approvals
from sealwright.keys.catalog import KeyCatalog

DENIED = "denied-subject"


@dataclass(frozen=True, slots=True)
class Facts:
    """Those of one version of the catalog."""

    version: int = -1
    denied: frozenset[str] = frozenset()
    issuers: frozenset[str] = frozenset()
    _of_keys: Mapping[str, str] = field(default_factory=dict)
    _of_approvals: Mapping[str, str] = field(default_factory=dict)

    def denies(self, subject: str) -> bool:
        return subject in self.denied

    def issuer_of(self, path_params: Mapping[str, Any]) -> str | None:
        """The issuer that a path is about; None when it names none, or something that is not known."""
        if "issuer" in path_params:
            return str(path_params["issuer"])
        of_approval = self._of_approvals.get(path_params.get("approval_id", ""))
        return of_approval or self._of_keys.get(path_params.get("key_id", ""))


class AccessFacts:
    """Reads them again when the catalog has changed, so that a denial holds within a second."""

    def __init__(self, catalog: KeyCatalog) -> None:
        self._catalog = catalog
        self._facts = Facts()

    async def current(self) -> Facts:
        """Raises UnavailableError: nobody is let in on facts that may be old."""
        if self._facts.version != self._catalog.version():
            self._facts = await run_in_threadpool(self._read)
        return self._facts

    def _read(self) -> Facts:
        version = self._catalog.version()
        records = self._catalog.records()
        asked = self._catalog.documents(approvals.KIND)
        return Facts(
            version,
            frozenset(self._catalog.documents(DENIED)),
            frozenset(record.issuer for record in records),
            {record.key_id: record.issuer for record in records if record.key_id is not None},
            {name: document.body["asked"]["issuer"] for name, document in asked.items()},
        )
