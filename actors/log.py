"""The supervisor's log: one typed JSON line for each transition. Operators read it, tests assert on it.

May import: `msgspec`, the standard library. Invariant: no field is free-form: names, numbers and fixed sentences, so
that nothing a user or a message said can slip in; the exceptions are what a sandbox has refused (`sandbox.denied`),
whose path, program or port must be told to be declared, and the words of whoever `told_by` names, which may be hostile:
they are printable and short, about a member of the application, and of a kind that its role may tell of.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Final, TextIO

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

LOGGER: Final = logging.getLogger("trollbridge")
"""Every line also goes here, as the message of an INFO record."""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One transition: who, what, why, what next."""

    time: float
    """Seconds since 1970."""
    event: str
    """A stable name, such as `ring.sealed`."""
    epoch: int
    member: str = ""
    role: str = ""
    pid: int = 0
    incarnation: int = 0
    """How often a process has been started for this member."""
    why: str = ""
    expected: bool | None = None
    exit_code: int | None = None
    signal: str = ""
    next: str = ""
    detail: str = ""
    level: str = ""
    """How well the kernel keeps the process: `full`, `partial` or `process-only`."""
    told_by: str = ""
    """Whose word this is: the broker's, an enclave's or a host's; empty where the supervisor saw it itself."""
    fingerprint: str = ""
    restart: int = 0
    """Which restart this is within the period, if it is one."""
    delay: float = 0.0
    """Seconds until what comes next."""


class Log:
    """Writes lines to one place, one after the other."""

    def __init__(self, write: Callable[[str], object]) -> None:
        """Take where a finished line goes, newline included."""
        self._write = write
        self._encode = msgspec.json.Encoder().encode
        self._arrives = True

    def line(self, event: str, epoch: int, **fields: object) -> None:
        """Write one line; a place that cannot take it (full disk, closed terminal) does not stop the application."""
        line = msgspec.convert({"time": round(time.time(), 6), "event": event, "epoch": epoch, **fields}, Line)
        text = self._encode(line).decode()
        LOGGER.info("%s", text)
        try:
            self._write(text + "\n")
        except (OSError, ValueError) as error:
            if self._arrives:  # once is enough to read
                why = getattr(error, "strerror", None) or type(error).__name__
                LOGGER.warning("the log cannot be written: %s", why)
            self._arrives = False
        else:
            self._arrives = True


def to_stderr(text: str) -> None:
    """Write to standard error, if there is one that takes it."""
    if sys.stderr is not None:  # it is None where the application was started with it closed
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        flushed(sys.stderr)


def flushed(stream: TextIO) -> bool:
    """Write out what a standard stream holds; return whether it arrived. One that cannot leads nowhere from then on."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):  # the interpreter would try again at exit, and exit with 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True
