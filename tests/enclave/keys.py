"""Keystores and keys for the tests of OpenPGP: open vaults without a process, and passwords that cost nothing."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

from trollbridge.enclave.gate import Caller, Gate
from trollbridge.enclave.keystore import Keystore
from trollbridge.messages import s2k
from trollbridge.messages.vault import S2K, Protection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.enclave.storage import Records

CONSOLE: Final = Caller("console", "ui")


class Asking:
    """Who asks: the console, unless a test says otherwise."""

    def __init__(self) -> None:
        """Begin as the console."""
        self.caller = CONSOLE

    def __call__(self) -> Caller:
        """Return who asks."""
        return self.caller


def opened(records: Records, asking: Asking | None = None) -> tuple[Keystore, Gate]:
    """Return the keys of these records, and the gate before them."""
    gate = Gate(records, asking or Asking())
    return Keystore(records, gate), gate


_cheap: Final[set[S2K]] = set()


def protection(password: str) -> Protection:
    """Return a protection that says what a user interface's does; in truth the password is hashed once."""
    spec = S2K(s2k.ITERATED, s2k.SHA256, os.urandom(8), s2k.MOST_OCTETS, 0, 0, 0, 32)
    _cheap.add(spec)
    return Protection(spec, *stretched(password, [spec]))


def stretched(password: str, locks: Sequence[S2K]) -> tuple[bytes, ...]:
    """Return what a user interface answers to `secret_locks` or `key_locks`."""
    return tuple(_stretched(password, each) for each in locks)


def _stretched(password: str, lock: S2K) -> bytes:
    if lock in _cheap:
        return hashlib.sha256(lock.salt + password.encode()).digest()
    return s2k.stretch(password, lock)
