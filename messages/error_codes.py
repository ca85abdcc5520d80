"""The numbers of the errors that travel, and what is known of a call that was outstanding when its ring fell.

May import: the standard library. Invariant: a number is never given another meaning. `errors` has both names too.
"""

from __future__ import annotations

import enum


class ErrorCode(enum.IntEnum):
    """Numbers of the errors that travel (`SPEC.md`, section Faults). Never renumbered."""

    REFUSED = 1
    NOT_GRANTED = 2
    NO_SUCH_HANDLER = 3
    INVALID_ARGUMENTS = 4
    TOO_LARGE = 5
    DEADLINE_EXCEEDED = 6
    CANCELLED = 7
    HANDLER_FAILED = 8
    OVERLOADED = 9
    DECLARED = 10
    QUARANTINED = 11
    WRONG_PASSWORD = 32
    VAULT_LOCKED = 33
    VAULT_CORRUPT = 34
    VAULT_IN_USE = 35
    VAULT_EXISTS = 36
    VAULT_MISSING = 37
    NO_SUCH_KEY = 38
    KEY_UNUSABLE = 39
    CANNOT_DECRYPT = 40
    BAD_SIGNATURE = 41
    NOT_OPENPGP = 42
    STORAGE_FAILED = 43
    INVALID_NAME = 44
    TOO_MANY_ATTEMPTS = 45
    WRONG_MODE = 46
    KEYCHAIN_FAILED = 47
    ROOT_MISSING = 48
    NOT_A_RECOVERY_FILE = 49
    KEY_LOCKED = 50
    KEY_EXISTS = 51
    NO_SUCH_SECRET = 52
    SECRET_EXISTS = 53
    USE_ONLY = 54
    NOT_ALLOWED = 55
    APPROVAL_NEEDED = 56
    APPROVAL_REFUSED = 57
    NOT_A_SEALED_FILE = 58
    FILE_DAMAGED = 59
    NO_SUCH_JOB = 60


class Outcome(enum.StrEnum):
    """What became of a call that was outstanding when its ring fell."""

    NOT_STARTED = "not started"
    DONE = "done"
    UNKNOWN = "unknown"
