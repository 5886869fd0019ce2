"""The forms that OAuth programs send: strict, and each field once (RFC 6749 §3.2, Appendix B). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from sealwright.errors import Reason, RejectedError

FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 50
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Form:
    """Fields by name. One without a value counts as left out, and one that nobody knows is ignored."""

    def __init__(self, fields: Mapping[str, tuple[str, ...]]) -> None:
        self._fields = fields

    def one(self, name: str) -> str | None:
        """The value of a field that is there once at most."""
        values = self._fields.get(name, ())
        return values[0] if values else None

    def every(self, name: str) -> tuple[str, ...]:
        """All values of a field, each once, in their order."""
        return tuple(dict.fromkeys(self._fields.get(name, ())))

    def needed(self, name: str) -> str:
        """Raises RejectedError ``request.malformed``."""
        value = self.one(name)
        if value is None:
            raise _malformed(f'the request lacks the field "{name}"')
        return value

    def has_any(self, names: Collection[str]) -> bool:
        return not self._fields.keys().isdisjoint(names)

    def __repr__(self) -> str:
        return f"Form({sorted(self._fields)!r}, <values>)"


async def read_form(request: Request, *, repeatable: Collection[str] = ()) -> Form:
    """The body of a request whose URL carries nothing. Raises RejectedError ``request.malformed``."""
    if request.url.query:
        raise _malformed("the fields belong into the body, not into the URL")
    content_types = request.headers.getlist("content-type")
    if len(content_types) != 1:
        raise _malformed(f"send one form, as {FORM}")
    return parse_form(content_types[0], await request.body(), repeatable=repeatable)


def parse_form(content_type: str, body: bytes, *, repeatable: Collection[str] = ()) -> Form:
    """Raises RejectedError ``request.malformed``; of fields, only ``repeatable`` ones may be there more than once."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise _malformed(f"send the fields as {FORM}")
    try:
        text = body.decode("ascii")
        if _BROKEN_ESCAPE.search(text):
            raise ValueError("a broken escape")
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, max_num_fields=MOST_FIELDS, errors="strict"
        )
    except ValueError:  # UnicodeDecodeError is one
        raise _malformed("the form is malformed") from None
    names = [name for name, _ in pairs if name not in repeatable]
    if len(set(names)) != len(names):
        raise _malformed("a field is there more than once")
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if value:
            fields[name] = (*fields.get(name, ()), value)
    return Form(fields)


def _malformed(message: str) -> RejectedError:
    return RejectedError(Reason.REQUEST_MALFORMED, message)
