"""Keystores and keys for the tests of OpenPGP: open vaults without a process, and passwords that cost nothing."""

from __future__ import annotations

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


def protection(password: str) -> Protection:
    """Return a protection as a user interface makes it, but cheap."""
    spec = S2K(s2k.ITERATED, s2k.SHA256, os.urandom(8), 1024, 0, 0, 0, 32)
    return Protection(spec, s2k.stretch(password, spec))


def stretched(password: str, locks: Sequence[S2K]) -> tuple[bytes, ...]:
    """Return what a user interface answers to `secret_locks` or `key_locks`."""
    return tuple(s2k.stretch(password, each) for each in locks)
