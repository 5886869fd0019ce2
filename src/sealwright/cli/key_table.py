"""Keys as a table: what each is, since when, and when it signed last."""

from __future__ import annotations

from typing import Any

from sealwright.cli.options import print_table

_STYLES = {"active": "bold green", "standby": "cyan", "verify_only": "yellow", "revoked": "bold red"}
_SINCE = {
    "pending": "created_at",
    "standby": "published_at",
    "active": "activated_at",
    "verify_only": "verify_only_at",
    "retired": "retired_at",
    "revoked": "revoked_at",
    "destroyed": "destroyed_at",
}


def print_keys(keys: list[dict[str, Any]]) -> None:
    """Keys as people read them."""
    headings = ("ISSUER", "ALG", "STATE", "SINCE (UTC)", "LAST SIGNED (UTC)", "KID")
    print_table(headings, (_row(key) for key in keys))


def _row(key: dict[str, Any]) -> tuple[str, ...]:
    state = key["state"]
    shown = f"[{_STYLES[state]}]{state}[/]" if state in _STYLES else state
    held = " (held)" if key.get("hold") else ""
    times = (_minute(key.get(name, "")) for name in (_SINCE[state], "last_signed_at"))
    issuer = key["issuer"] + ("" if key["purpose"] == "token" else f" ({key['purpose']})")
    return issuer, key["algorithm"], shown + held, *times, key["key_id"] or "(not made yet)"


def _minute(at: str) -> str:
    return at.replace("T", " ")[:16]
