"""Acts of an extension that breaks the rules of good company: it floods, hangs, grabs, and lies about sizes."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import functools
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any, NoReturn

from tests.harness.replacing import replace
from trollbridge.actors.supervision.spawn import CONTROL
from trollbridge.messages.ids import HandlerName

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.puppet import Strings


def _attempt(act: Callable[[], object]) -> str:
    try:
        return repr(act())
    except BaseException as error:  # noqa: BLE001  # the test is told
        return type(error).__name__


def grab(_strings: Strings) -> dict[str, str]:
    """Take as much as can be had of what a machine has; let go of it again. Return how each attempt ended."""
    taken: list[int] = []

    def pipes() -> None:
        while True:
            taken.extend(os.pipe())

    found = {
        "memory": _attempt(lambda: bytearray(1 << 30)),
        "pipes": _attempt(pipes),
        "threads": _attempt(_threads),
        "fork": _attempt(os.fork),
        "priority": _attempt(lambda: os.setpriority(os.PRIO_PROCESS, 0, -1)),
        "processors": _attempt(lambda: os.sched_setaffinity(0, {0})),
        "parent": _attempt(lambda: os.kill(os.getppid(), signal.SIGSTOP)),
    }
    for each in taken:
        os.close(each)
    return found


def _threads() -> None:
    """Start threads until there is no room for another's stack."""
    over = threading.Event()
    started: list[threading.Thread] = []
    try:
        while True:
            another = threading.Thread(target=over.wait, daemon=True)
            another.start()
            started.append(another)
    finally:
        over.set()
        for each in started:  # until then their stacks are taken
            each.join()


class Speaking:
    """An object whose every word is its own code."""

    def __init__(self, said: list[str]) -> None:
        """Take where it notes what it was asked."""
        self._said = said

    def __repr__(self) -> str:
        """Do something."""
        self._said.append("repr")
        return "__import__('os').system('id')"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        """Ask whoever loads it to run a program."""
        self._said.append("reduce")
        return exec, ("import os; os.abort()",)


def speak(strings: Strings, handler: str) -> list[str]:
    """Call with objects of one's own; return how each call ended, and what the objects were asked."""
    said: list[str] = []
    things: list[Any] = [Speaking(said), Speaking, lambda: None, os, object(), [Speaking(said)]]
    name = HandlerName(handler)
    return [*(_attempt(functools.partial(strings.client.call, name, (each,), {})) for each in things), *said]


def answer_unasked(_strings: Strings) -> None:
    """Say to the supervisor again and again what it never asked."""
    with socket.socket(fileno=os.dup(CONTROL)) as end:
        while True:
            end.send(b"\x92\x05\x63")


def say_again(_strings: Strings, packet: bytes) -> None:
    """Say one thing to the supervisor again and again."""
    with socket.socket(fileno=os.dup(CONTROL)) as end:
        while True:
            end.send(packet)


def _stay(_code: int) -> None:
    threading.Event().wait()


def hang(_strings: Strings, gate: str) -> NoReturn:
    """Never answer again: no signal ends this, and no other thread gets a turn. Tells a `Gate` before."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    replace(os, _exit=_stay)
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(gate)
    sum(iter(int, 1))  # zeros without end, added up by code that never lets go of the interpreter
    raise AssertionError


def pile(strings: Strings, handler: str, words: list[str]) -> None:
    """Call with each word, all at once, and wait for nothing."""
    strings.kept["pile"] = [strings.client.call(HandlerName(handler), (word,), {}) for word in words]
    strings.client.flush()
