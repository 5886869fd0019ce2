"""What can be asked of the HMAC secrets that partners share, in JSON terms."""

from __future__ import annotations

from typing import Any, Final

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url
from sealwright.keys.partner_secrets import PURPOSE
from sealwright.services.key_service.views import rotation_view, view
from sealwright.wiring.single_process import SingleProcess

DEFAULT_ALGORITHM: Final = "HS256"
DEFAULT_BACKEND: Final = "catalog"


class SecretOperations:
    """Every method answers JSON-ready data, and is audited under the name of the actor."""

    def __init__(self, process: SingleProcess, actor: str) -> None:
        self._lifecycle = process.signing.lifecycle
        self._secrets = process.signing.secrets
        self._actor = actor

    def create(self, partner: str, *, algorithm: str, backend: str, reason: str) -> dict[str, Any]:
        """A partner's first two secrets: one signs, the other is handed over ahead of the next rotation."""
        self._lifecycle.open_issuer(
            partner, algorithm=algorithm, backend=backend, purpose=PURPOSE, actor=self._actor, reason=reason
        )
        records = [record for record in self._lifecycle.records(partner) if record.purpose == PURPOSE]
        return {"keys": [view(record) for record in records]}

    def rotate(self, partner: str, *, reason: str, force: bool = False) -> dict[str, Any]:
        return rotation_view(
            self._lifecycle.rotate(partner, purpose=PURPOSE, actor=self._actor, reason=reason, force=force)
        )

    def reveal(self, key_id: str, *, reason: str) -> dict[str, Any]:
        """The secret itself, as a JWK, to hand it over."""
        record = self._lifecycle.find(key_id)
        secret = self._secrets.reveal(record, actor=self._actor, reason=reason)
        return {"partner": record.issuer, "state": record.state, "jwk": secret.export_secret_dict()}

    def sign(self, partner: str, *, payload: bytes, typ: str) -> dict[str, Any]:
        signed = self._secrets.sign(partner, payload, typ=typ, actor=self._actor)
        return {"token": signed.token, "key_id": signed.key_id, "algorithm": signed.algorithm}

    def verify(self, partner: str, token: str) -> dict[str, Any]:
        """Whether this partner, or we, signed it; its claims are not looked at."""
        try:
            jws = self._secrets.verify(partner, token)
        except RejectedError as error:
            return {"outcome": "rejected", "reason": error.reason, "message": error.message}
        payload = base64url.encode_text(jws.payload)
        return {"outcome": "accepted", "reason": None, "key_id": jws.key_id, "payload": payload}


def payload_of(text: str) -> bytes:
    """The member "payload" of a request. Raises RejectedError ``request.malformed``."""
    try:
        return base64url.decode_text(text)
    except RejectedError:
        raise RejectedError(Reason.REQUEST_MALFORMED, 'the member "payload" is not unpadded base64url') from None
