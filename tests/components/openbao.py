"""OpenBao in its development mode, with a transit engine. One for each test process, or one of a test's own."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from servers import Server, free_port, program

DOCUMENT = Path(__file__).parents[2] / "docs" / "backends" / "vault.md"
ROOT_TOKEN = "root-token-of-a-test"


class OpenBao(Server):
    """Forgets everything when it stops."""

    def __init__(self, tls_folder: Path | None = None) -> None:
        self.port = free_port()
        self.ca_file = tls_folder / "vault-ca.pem" if tls_folder else None
        self.url = f"{'https' if tls_folder else 'http'}://127.0.0.1:{self.port}"
        options = ["-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT_TOKEN}"]
        options.append(f"-dev-listen-address=127.0.0.1:{self.port}")
        if tls_folder:
            options += ["-dev-tls", f"-dev-tls-cert-dir={tls_folder}"]
        super().__init__([*program("bao"), "server", *options], {}, self._answers)

    def start(self) -> None:
        super().start()
        self.ask("POST", "sys/mounts/transit", {"type": "transit"})

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, token: str = ROOT_TOKEN) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/v1/{path}", data, {"X-Vault-Token": token}, method=method)
        context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def token(self, policy: str) -> str:
        """A token that is allowed what the policy says, and nothing else."""
        name = hashlib.sha256(policy.encode()).hexdigest()[:16]
        self.ask("PUT", f"sys/policies/acl/{name}", {"policy": policy})
        made = self.ask("POST", "auth/token/create", {"policies": [name], "no_default_policy": True})
        return str(made["auth"]["client_token"])

    def _answers(self) -> bool:
        try:
            return bool(self.ask("GET", "sys/seal-status")["sealed"] is False)
        except (OSError, urllib.error.URLError):
            return False


def backend_uri(url: str, token_file: Path) -> str:
    return f"vault://{url.partition('//')[2]}/transit?token-source=file:{token_file}&tls=off&timeout=5"


def secrets_uri(url: str, token_file: Path, **options: str) -> str:
    """Of the key-value engine of version 2 that the development mode has at secret/."""
    more = "".join(f"&{name}={value}" for name, value in options.items())
    return f"vaultkv://{url.partition('//')[2]}/secret?token-source=file:{token_file}&tls=off&timeout=5{more}"


def documented_policy() -> str:
    """The one that docs/backends/vault.md tells users to write."""
    return documented_policies()[0]


def documented_secrets_policy() -> str:
    return documented_policies()[2]


def documented_policies() -> list[str]:
    """The policy, what is added to it for a key that is adopted, and the one for secrets."""
    return re.findall(r"```hcl\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)


@functools.cache
def shared() -> OpenBao:
    return OpenBao()
