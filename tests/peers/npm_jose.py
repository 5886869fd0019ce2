"""npm jose in one Node process, which answers one JSON line for each JSON line."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agreement import Seen, Signing
from forms import Form
from keys_and_claims import AUDIENCE, ISSUER

from sealwright.jose import base64url

INSTALLED = Path(__file__).parents[2] / ".tools" / "node"  # imports of an evaluated script are looked up from here
OWN_NODE = INSTALLED / "node_modules" / ".bin" / "node"  # a newer one than the machine's
NODE = str(OWN_NODE) if OWN_NODE.exists() else "node"
SCRIPT = Path(__file__).with_suffix(".mjs")


def missing() -> str | None:
    if shutil.which(NODE) is None:
        return "NO NODE: node is not installed"
    if not (INSTALLED / "node_modules" / "jose").is_dir():
        return "NO NPM JOSE: make test installs it below .tools/node"
    return None


class NodeRefusedError(Exception):
    """npm jose has thrown an error; ``code`` is its own, or the class of the error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class NpmJose:
    refusals: tuple[type[Exception], ...] = (NodeRefusedError,)

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [NODE, "--no-warnings", "--input-type=module", "--eval", SCRIPT.read_text("utf-8")],
            cwd=INSTALLED,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def ask(self, call: str, **asked: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": call, **asked}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the Node process has ended"
        answer = json.loads(line)
        if "refused" in answer:
            raise NodeRefusedError(answer["refused"], answer["message"])
        return answer["given"]

    def close(self) -> None:
        """Node ends when its input does; if not, this one process is killed."""
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def sign(self, form: Form, payload: bytes, signing: Sequence[Signing]) -> str:
        signers = [asdict(one) for one in signing]
        return str(self.ask("sign", form=asdict(form), payload=base64url.encode_text(payload), signing=signers))

    def verify(self, form: Form, text: str, payload: bytes, keys: Sequence[dict[str, Any]]) -> Seen:
        content = base64url.encode_text(payload)
        seen = self.ask("verify", form=asdict(form), token=text, payload=content, known=keys)
        return Seen(base64url.decode_text(seen["payload"]), seen["headers"])

    def sign_claims(self, claims: dict[str, Any], alg: str, jwk: dict[str, Any]) -> str:
        return str(self.ask("signClaims", claims=claims, alg=alg, jwk=jwk))

    def read_claims(self, token: str, alg: str, jwk: dict[str, Any]) -> dict[str, Any]:
        return dict(self.ask("readClaims", token=token, alg=alg, jwk=jwk, issuer=ISSUER, audience=AUDIENCE))

    def rewritten(self, jwk: dict[str, Any], *, private: bool) -> dict[str, Any]:
        return dict(self.ask("rewritten", jwk=jwk))

    def generated(self, alg: str) -> dict[str, Any]:
        return dict(self.ask("generated", alg=alg))

    def thumbprint(self, jwk: dict[str, Any]) -> str:
        return str(self.ask("thumbprint", jwk=jwk))

    def read_pem(self, pem: bytes, alg: str, *, private: bool, password: str | None) -> dict[str, Any]:
        return dict(self.ask("readPem", pem=pem.decode(), alg=alg, secret=private))

    def write_pem(self, jwk: dict[str, Any], *, private: bool, password: str | None) -> bytes:
        return str(self.ask("writePem", jwk=jwk, secret=private)).encode()
