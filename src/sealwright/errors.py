"""Five error classes by what to do next, one Reason vocabulary by what happened.

SealwrightError
├── RejectedError       the input is not acceptable     do not retry
├── UnavailableError    we could not decide             retry
├── RefusedError        this move is not allowed now    ask a human
├── BackendError        a key backend failed            page someone
└── ConfigurationError  the settings are wrong          fix and restart
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """What happened, as ``stage.cause``: the same string in metrics, logs, problems and docs."""

    TOKEN_MISSING = "token.missing"
    TOKEN_TOO_LARGE = "token.too_large"
    TOKEN_MALFORMED = "token.malformed"
    TOKEN_ENCODING = "token.encoding"
    TOKEN_REVOKED = "token.revoked"
    TOKEN_SUSPENDED = "token.suspended"
    TOKEN_INACTIVE = "token.inactive"

    JSON_MALFORMED = "json.malformed"
    JSON_TOO_DEEP = "json.too_deep"
    JSON_DUPLICATE_NAME = "json.duplicate_name"

    HEADER_MALFORMED = "header.malformed"
    HEADER_TOO_LARGE = "header.too_large"
    HEADER_CRITICAL = "header.critical"
    HEADER_TYPE = "header.type"
    HEADER_REPEATED = "header.repeated"
    HEADER_FORBIDDEN = "header.forbidden"

    ALGORITHM_UNKNOWN = "algorithm.unknown"
    ALGORITHM_NOT_ALLOWED = "algorithm.not_allowed"
    ALGORITHM_KEY_MISMATCH = "algorithm.key_mismatch"

    KEY_MALFORMED = "key.malformed"
    KEY_UNSUPPORTED = "key.unsupported"
    KEY_TOO_WEAK = "key.too_weak"
    KEY_UNSUITABLE = "key.unsuitable"
    KEY_NOT_PUBLIC = "key.not_public"
    KEY_AMBIGUOUS = "key.ambiguous"
    KEY_ID_MISSING = "key.id_missing"
    KEY_NOT_FOUND = "key.not_found"
    KEY_EXPIRED = "key.expired"
    KEY_NOT_YET_VALID = "key.not_yet_valid"
    KEY_REVOKED = "key.revoked"
    KEY_PASSWORD = "key.password"
    KEY_CERTIFICATE = "key.certificate"

    PAYLOAD_MISSING = "payload.missing"
    PAYLOAD_GIVEN_TWICE = "payload.given_twice"
    PAYLOAD_CHARACTERS = "payload.characters"
    PAYLOAD_NOT_STREAMABLE = "payload.not_streamable"

    SIGNATURE_INVALID = "signature.invalid"
    SIGNATURES_MALFORMED = "signatures.malformed"
    SIGNATURES_NONE = "signatures.none"
    SIGNATURES_TOO_MANY = "signatures.too_many"
    SIGNATURES_MIXED_FORMS = "signatures.mixed_forms"
    SIGNATURES_MIXED_ENCODING = "signatures.mixed_encoding"
    SIGNATURES_SAME_SIGNER = "signatures.same_signer"
    SIGNATURES_TOO_FEW = "signatures.too_few"
    SIGNATURES_SIGNER_MISSING = "signatures.signer_missing"

    ENCRYPTION_INVALID = "encryption.invalid"
    ENCRYPTION_CONTENT = "encryption.content"
    ENCRYPTION_COMPRESSED = "encryption.compressed"
    ENCRYPTION_NOT_INSTALLED = "encryption.not_installed"

    ISSUER_MISSING = "issuer.missing"
    ISSUER_UNKNOWN = "issuer.unknown"

    CLAIMS_MALFORMED = "claims.malformed"
    CLAIMS_WRONG_TYPE = "claims.wrong_type"
    CLAIMS_MISSING = "claims.missing"
    CLAIMS_FORBIDDEN = "claims.forbidden"
    CLAIMS_VALUE = "claims.value"
    CLAIMS_EXPIRED = "claims.expired"
    CLAIMS_NOT_YET_VALID = "claims.not_yet_valid"
    CLAIMS_ISSUED_IN_FUTURE = "claims.issued_in_future"
    CLAIMS_TOO_OLD = "claims.too_old"
    CLAIMS_LIFETIME = "claims.lifetime"
    CLAIMS_ISSUER = "claims.issuer"
    CLAIMS_AUDIENCE = "claims.audience"
    CLAIMS_SCOPE = "claims.scope"
    CLAIMS_ACTOR = "claims.actor"

    ROUTE_MALFORMED = "route.malformed"
    ROUTE_DENIED = "route.denied"

    BINDING_MISSING = "binding.missing"
    BINDING_MISMATCH = "binding.mismatch"
    BINDING_PROOF = "binding.proof"
    BINDING_NONCE = "binding.nonce"
    BINDING_UNSUPPORTED = "binding.unsupported"

    REPLAY_SEEN_BEFORE = "replay.seen_before"
    REPLAY_UNAVAILABLE = "replay.unavailable"
    REPLAY_FULL = "replay.full"

    REVOCATION_STALE = "revocation.stale"
    REVOCATION_UNAVAILABLE = "revocation.unavailable"
    STATEMENT_MALFORMED = "statement.malformed"
    STATEMENT_ROLLED_BACK = "statement.rolled_back"

    SOURCE_UNAVAILABLE = "source.unavailable"
    SOURCE_MALFORMED = "source.malformed"

    BACKEND_FAILED = "backend.failed"
    BACKEND_KEY_MISSING = "backend.key_missing"
    BACKEND_KEY_DISABLED = "backend.key_disabled"
    BACKEND_WRONG_SIGNATURE = "backend.wrong_signature"
    BACKEND_UNSUPPORTED = "backend.unsupported"
    BACKEND_THROTTLED = "backend.throttled"
    BACKEND_INPUT_TOO_LARGE = "backend.input_too_large"

    SIGNING_BUSY = "signing.busy"
    SIGNING_DEADLINE = "signing.deadline"

    CATALOG_UNAVAILABLE = "catalog.unavailable"
    CATALOG_BUSY = "catalog.busy"
    CATALOG_CONFLICT = "catalog.conflict"
    BACKUP_MALFORMED = "backup.malformed"
    BACKUP_OTHER_HISTORY = "backup.other_history"
    AUDIT_BROKEN = "audit.broken"

    MOVE_ILLEGAL = "move.illegal"
    MOVE_UNKNOWN_KEY = "move.unknown_key"
    MOVE_UNKNOWN_ISSUER = "move.unknown_issuer"
    MOVE_ALGORITHM_NEEDED = "move.algorithm_needed"
    MOVE_REASON_MISSING = "move.reason_missing"
    GUARD_DWELL = "guard.dwell"
    GUARD_VERIFY_WINDOW = "guard.verify_window"
    GUARD_RESTORABLE = "guard.restorable"
    GUARD_STANDBY_EXISTS = "guard.standby_exists"
    GUARD_NO_STANDBY = "guard.no_standby"
    GUARD_NO_ACTIVE_KEY = "guard.no_active_key"
    GUARD_HOLD = "guard.hold"
    GUARD_ACKNOWLEDGEMENT = "guard.acknowledgement"
    GUARD_STILL_ACCEPTED = "guard.still_accepted"
    GUARD_ACTIVE_KEY = "guard.active_key"
    GUARD_PUBLISHED_KEYS = "guard.published_keys"
    GUARD_ISSUER_EXISTS = "guard.issuer_exists"
    GUARD_LATER_REVOCATIONS = "guard.later_revocations"
    GUARD_LIFETIME = "guard.lifetime"
    GUARD_APPROVALS = "guard.approvals"
    APPROVAL_UNKNOWN = "approval.unknown"
    APPROVAL_ENDED = "approval.ended"
    APPROVAL_SAME_PERSON = "approval.same_person"
    GUARD_ROLLOUT = "guard.rollout"
    GUARD_NO_ROLLOUT = "guard.no_rollout"
    GUARD_ALGORITHM = "guard.algorithm"
    GUARD_POLICY = "guard.policy"
    GUARD_TOKEN_STATUSES = "guard.token_statuses"

    SETTINGS_INVALID = "settings.invalid"
    SETTINGS_BACKEND = "settings.backend"
    SETTINGS_KEK_MISSING = "settings.kek_missing"
    SETTINGS_KEK_WRONG = "settings.kek_wrong"
    SETTINGS_FOLDER_ABSENT = "settings.folder_absent"
    SETTINGS_FOLDER_IN_USE = "settings.folder_in_use"
    SETTINGS_FOLDER_UNWRITABLE = "settings.folder_unwritable"
    SETTINGS_DATABASE = "settings.database"
    SETTINGS_DATABASE_IN_USE = "settings.database_in_use"
    SETTINGS_PORT_IN_USE = "settings.port_in_use"
    SETTINGS_TLS = "settings.tls"

    CREDENTIAL_UNAVAILABLE = "credential.unavailable"
    CREDENTIAL_REFUSED = "credential.refused"
    CREDENTIAL_ORIGIN = "credential.origin"
    CREDENTIAL_MISSING = "credential.missing"
    CREDENTIAL_DENIED = "credential.denied"
    CREDENTIAL_SCOPE = "credential.scope"
    CREDENTIAL_RENEWAL = "credential.renewal"
    CLIENT_EXISTS = "client.exists"
    CLIENT_UNKNOWN = "client.unknown"
    CLIENT_AUTHENTICATION = "client.authentication"
    CLIENT_GRANT = "client.grant"
    CLIENT_SCOPE = "client.scope"
    CLIENT_AUDIENCE = "client.audience"
    GRANT_UNSUPPORTED = "grant.unsupported"
    GRANT_SUBJECT = "grant.subject"
    REQUEST_MALFORMED = "request.malformed"
    REQUEST_TOO_LARGE = "request.too_large"
    REQUEST_NOT_FOUND = "request.not_found"
    REQUEST_METHOD = "request.method"
    REQUEST_TOO_MANY = "request.too_many"
    SERVICE_UNREACHABLE = "service.unreachable"
    SERVICE_FAULT = "service.fault"


class SealwrightError(Exception):
    """The root of every error that leaves this package.

    ``message`` is safe for strangers; ``detail`` is for operators and never leaves the process.
    """

    exit_code = 1

    def __init__(self, reason: Reason, message: str, *, detail: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.message} ({self.reason})"


class RejectedError(SealwrightError):
    """The token, key or request is not acceptable. Do not retry."""

    exit_code = 1


class UnavailableError(SealwrightError):
    """We could not decide, so nothing was accepted. Retry later."""

    exit_code = 3


class RefusedError(SealwrightError):
    """The move is not allowed now. The message says what would satisfy the guard."""

    exit_code = 4


class BackendError(SealwrightError):
    """A key backend failed or answered wrongly. Page someone."""

    exit_code = 5


class ConfigurationError(SealwrightError):
    """The settings are wrong. Fix them and start again."""

    exit_code = 6
