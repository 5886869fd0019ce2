"""What of a text may be shown in a log line or a label: bounded, printable, never a token."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

LONGEST = 128
_DIGEST_CHARACTERS = 16
# Three base64url segments, the first and the last long enough for a header and a signature (RFC 7515 §7.1).
# Begins where a segment begins and never backtracks: linear in the length of the text.
_TOKEN = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{12,}+\.[A-Za-z0-9_-]*+\.[A-Za-z0-9_-]{20,}+")


def digest(text: str) -> str:
    """Stands for a text that is not shown: ``sha256:`` and 16 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGEST_CHARACTERS]}"


def shown(text: str) -> str:
    """The text itself when it is short printable ASCII that holds no token, its digest otherwise."""
    plain = len(text) <= LONGEST and text.isascii() and text.isprintable() and not _TOKEN.search(text)
    return text if plain else digest(text)


def shown_source(url: str) -> str:
    """A key source without credentials: no user, no fragment, and the query only as a digest."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return digest(url)
    host = parts.netloc.rpartition("@")[2]
    query = f"?{digest(parts.query)}" if parts.query else ""
    return shown(f"{parts.scheme}://{host}{parts.path}{query}") if host else shown(url)


def redacted(text: str) -> str:
    """Free text with every token in it replaced by its digest."""
    return _TOKEN.sub(lambda found: digest(found[0]), text)
