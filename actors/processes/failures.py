"""What a child says of its failure: made from an exception there, judged by the supervisor here.

May import: our messages, `places`. Invariant: a line of the log gets the exception's class, a place in the code and the
name of a module that is missing, each only if it is shaped like one; the text goes to standard error, never to the log.
"""

from __future__ import annotations

import os
import re
from typing import Final

from trollbridge.actors.processes.places import place
from trollbridge.messages.control import Failed, FailureKind
from trollbridge.messages.errors import RingDismantled
from trollbridge.messages.ids import Role

LONGEST: Final = 100
"""Characters of a name."""
_NAME: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_PLACE: Final = re.compile(r"[\w.-]+:\d{1,7}")


def failed(kind: FailureKind, text: str, error: BaseException | None = None) -> Failed:
    """Return the message for an exception: its text is for people and may hold what the caller of this puts in."""
    if error is None:
        return Failed(kind, text)
    missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    where = place(error.__traceback__)
    if isinstance(error, SyntaxError) and error.filename:  # raised by whoever reads the file that it is about
        where = f"{os.path.basename(error.filename)}:{error.lineno or 0}"  # noqa: PTH119  # a text
    return Failed(kind, text, type(error).__name__, where, missing)


def source(error: BaseException) -> BaseException:
    """Return the exception whose class and place say most: the one that a wrapping one was raised for, if any."""
    return error.__context__ or error


def cause(said: Failed) -> str:
    """Return what the log may show of it: `RuntimeError at plugin.py:6`; empty if it names no class."""
    if not _named(said.error):
        return ""
    missing = f" ({said.missing} is missing)" if _named(said.missing) else ""
    where = f" at {said.where}" if len(said.where) <= LONGEST and _PLACE.fullmatch(said.where) else ""
    return said.error + missing + where


def fell(role: Role, said: Failed) -> bool:
    """Return whether an extension's code ended since its ring fell under it: it is about to be ended anyway."""
    return role is Role.EXTENSION and said.kind is FailureKind.WORK_FAILED and said.error == RingDismantled.__name__


def _named(text: str) -> bool:
    return len(text) <= LONGEST and _NAME.fullmatch(text) is not None
