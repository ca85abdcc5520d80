"""Nominal ids: what a number, a name or a run of bytes stands for, so that one is never taken for another.

May import: the standard library, our errors. Invariant: a `MemberId` matches `MEMBER` byte for byte; there is no
normalising, no case folding and no prefix match anywhere.
"""

from __future__ import annotations

import enum
import os
import re
from typing import Final, NewType

from trollbridge.messages.errors import DeclarationError

Epoch = NewType("Epoch", int)
MemberId = NewType("MemberId", str)
HandlerName = NewType("HandlerName", str)
HandlerUID = NewType("HandlerUID", bytes)
Address = NewType("Address", bytes)
SessionCode = NewType("SessionCode", bytes)
Microseconds = NewType("Microseconds", int)
"""A point on the system's monotonic clock, which all processes of a machine share. 0: no deadline."""

UID_SIZE: Final = 16
NO_UID: Final = HandlerUID(bytes(UID_SIZE))
MEMBER: Final = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
HANDLER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
BROKER: Final = MemberId("broker")
SUPERVISOR: Final = MemberId("supervisor")


class Role(enum.StrEnum):
    """What a process is, by its spawn record only; no message can change it."""

    UI = "ui"
    BROKER = "broker"
    ENCLAVE = "enclave"
    EXTENSION = "extension"
    HOST = "host"
    """Offers files or programs of the machine to the ring; it never holds the ring key."""
    ERRAND = "errand"
    """A one-shot process of an enclave's, of code that ships; it has no link and is no member."""


SERVING: Final = frozenset({Role.ENCLAVE, Role.HOST})
"""Who exports handlers."""


def member_id(text: str) -> MemberId:
    """Return `text` as a member's id: a lower-case ASCII letter, then up to 31 letters, digits, underscores.

    Raises `DeclarationError` for anything else.
    """
    if not MEMBER.fullmatch(text):
        msg = (
            f"{text!r} is no member id: a lower-case letter, then at most 31 lower-case letters, digits or underscores"
        )
        raise DeclarationError(msg)
    return MemberId(text)


def handler_name(member: MemberId, method: str) -> HandlerName:
    """Return the full name of a handler, such as `vault.sign`."""
    return HandlerName(f"{member}.{method}")


def new_uid() -> HandlerUID:
    """Return 128 fresh random bits from the kernel."""
    return HandlerUID(os.urandom(UID_SIZE))
