"""What the vault and the one-shot process that reaches the OS keychain say to each other: one request, one answer.

May import: the standard library. Invariant: both have a fixed size, so nothing that either says can be cut wrongly.

    request := verb (1) | vault id (16) | number (8, big-endian) | root (32, zeros unless it is to be stored)
    answer  := word (1) | root (32, zeros unless it was asked for and found)

They travel over an unnamed pair of sockets whose ends the two processes alone hold; the supervisor passes one end on
and reads nothing.
"""

from __future__ import annotations

import enum
import struct
from typing import Final

ROOT_SIZE: Final = 32
REQUEST: Final = struct.Struct(">B16sQ")
"""A request but for the root."""
REQUEST_SIZE: Final = REQUEST.size + ROOT_SIZE
ANSWER_SIZE: Final = 1 + ROOT_SIZE
SERVICE: Final = "trollbridge"
"""Under which the roots stand in the keychain."""


class Verb(enum.IntEnum):
    """What to do with the root of that vault and number."""

    FETCH = 1
    STORE = 2
    REMOVE = 3


class Word(enum.IntEnum):
    """What came of it."""

    DONE = 0
    MISSING = 1
    NO_BUS = 2
    NO_SERVICE = 3
    NO_COLLECTION = 4
    LOCKED = 5
    DENIED = 6
    UNUSABLE = 7
    NO_PACKAGE = 8
    SILENT = 9
    FAILED = 10


def account(vault: bytes, number: int) -> str:
    """Return under which name a root stands in the keychain."""
    return f"{vault.hex()}.{number}"
