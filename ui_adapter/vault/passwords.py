"""Where passwords come from: a file, a descriptor, or a person at a terminal; never an argument, never a variable.

May import: our errors, our orders. Invariants: only the UI's process reads a password; without a terminal nothing is
asked; what was read is kept for this process's life at most, and shown by nothing.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final

from trollbridge.messages.password import MAX_CHARACTERS
from trollbridge.ui_adapter.vault.refusals import NoWayToAsk, WrongInput
from trollbridge.ui_adapter.whole_file import NotRead

if TYPE_CHECKING:
    from trollbridge.ui_adapter.vault.orders import Source

_LONGEST: Final = 4 * MAX_CHARACTERS
"""Bytes of a line that holds a password."""
TRIES: Final = 3
"""How often a person may mistype."""


def terminal() -> bool:
    """Return whether a person can be asked: whether this process has a terminal, wherever its input comes from."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def ask(prompt: str, option: str = "--password") -> str:
    """Return what a person types, unseen; raises `NoWayToAsk`, and `KeyboardInterrupt` at Ctrl-C and Ctrl-D."""
    if not terminal():
        msg = f"there is no terminal to ask for the password on; give it by {option}-file or {option}-fd"
        raise NoWayToAsk(msg)
    from getpass import getpass  # noqa: PLC0415  # only where somebody is asked

    settings = _settings()
    try:
        return getpass(prompt)
    except EOFError:
        _leave(settings)
        raise KeyboardInterrupt from None
    except BaseException:
        _leave(settings)
        raise


def _settings(wanted: list[Any] | None = None) -> list[Any]:
    """Return the terminal's settings, after they were set to those that are `wanted`, if any."""
    import termios  # noqa: PLC0415  # as getpass

    with contextlib.suppress(OSError, termios.error), open("/dev/tty", "rb", buffering=0) as tty:  # noqa: PTH123
        if wanted:
            termios.tcsetattr(tty, termios.TCSAFLUSH, wanted)
        return termios.tcgetattr(tty)
    return []


def _leave(settings: list[Any]) -> None:
    """End the prompt's line, and leave the terminal as it was.

    Ctrl-C reaches the supervisor too, which may have this process end in the middle of this, or of getpass doing it.
    """
    try:
        _settings(settings)
        say("")
    except SystemExit:
        _settings(settings)
        say("")
        raise


def say(text: str) -> None:
    """Tell the person at the terminal something; nobody else."""
    with contextlib.suppress(OSError), open("/dev/tty", "w", encoding="utf-8", errors="replace") as tty:  # noqa: PTH123
        tty.write(f"{text}\n")


def given(source: Source) -> str:
    """Return the password that `source` names; raises `NotRead` or `WrongInput`.

    Of a descriptor only the next line is taken, byte by byte: what follows may be the document.
    """
    name = source.file or f"descriptor {source.descriptor}"
    try:
        if not source.file:
            return _text(_line(source.descriptor), name)
        descriptor = os.open(source.file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _text(_line(descriptor), name)
        finally:
            os.close(descriptor)
    except OSError as error:
        msg = f"the password cannot be read from {name}: {error.strerror or error}"
        raise NotRead(msg) from None


def _line(descriptor: int) -> bytes:
    line = bytearray()
    while len(line) <= _LONGEST and (byte := os.read(descriptor, 1)) not in {b"", b"\n"}:
        line += byte
    return bytes(line).removesuffix(b"\r")


def _text(line: bytes, name: str) -> str:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or len(line) > _LONGEST:
        msg = f"{name} does not begin with a password: one line of UTF-8, at most {MAX_CHARACTERS} characters"
        raise WrongInput(msg)
    return text


def existing(source: Source, prompt: str, option: str = "--password") -> str:
    """Return a password that is in force, from where `source` says or from a person; `option` gave the source."""
    return given(source) if source.given else ask(prompt, option)


def chosen(source: Source, prompt: str, option: str = "--password") -> str:
    """Return a new password; a person types it twice. Raises as `given` and `ask`, and `WrongInput`."""
    if source.given:
        return given(source)
    for _ in range(TRIES):
        first = ask(f"{prompt}: ", option)
        if not first:
            say("Nothing was typed.")
        elif first == ask(f"{prompt}, again: ", option):
            return first
        else:
            say("They differ.")
    msg = "the two passwords that were typed differ"
    raise WrongInput(msg)
