"""One errand: a process of its own that does one thing for an enclave and ends; which there are, and how one runs.

May import: our messages, `isolation`. Invariants: what an errand runs follows from its kind by this table alone, and is
imported in its own process only; the first descriptor that leads to a secret reaches it once it is locked.
"""

from __future__ import annotations

import socket
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from trollbridge.actors.isolation.lock import lock
from trollbridge.messages import control
from trollbridge.messages.control import ErrandKind
from trollbridge.messages.errors import ProtocolError
from trollbridge.messages.ids import Role

if TYPE_CHECKING:
    from trollbridge.actors.processes.channel import Channel
    from trollbridge.messages.sandbox import Sandbox


class Terms(NamedTuple):
    """What one kind of errand runs, and within which bounds."""

    module: str
    """A module that ships, with what `Work` says."""
    a_minute: int
    """How often an enclave may ask for one within a minute."""
    seconds: float | None
    """How long one may take before it is killed; None: as long as its enclave lives."""
    environment: tuple[str, ...] = ()
    """Variables that it gets besides those that everybody gets."""


TERMS: Final = MappingProxyType(
    {
        # The session bus and where its sockets lie. No DISPLAY: nothing may open a window and wait for a person.
        ErrandKind.KEYCHAIN: Terms(
            "trollbridge.enclave.keychain", 64, 60.0, ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "HOME")
        ),
        # How long a document takes is for whoever sends it. More of them than this would be nobody's work.
        ErrandKind.SCRIBE: Terms("trollbridge.enclave.scribe", 6000, None),
    }
)


class Work(Protocol):
    """What the module of an errand offers."""

    SANDBOX: Sandbox
    """What it may reach once it is locked."""

    def prepare(self) -> None:
        """Do, before the lock, whatever imports modules or reads files."""

    def run(self, end: socket.socket, descriptors: tuple[int, ...]) -> None:
        """Do the work, under the lock: `end` leads to the enclave, `descriptors` are what it has handed over."""


def run(channel: Channel[control.FromChild, control.ToChild], work: Work, home: str) -> int:
    """Run one errand in this process: be locked, wait for the word, work. Return the exit code."""
    work.prepare()
    channel.send(control.Hello(lock(Role.ERRAND, work.SANDBOX.resolved({}, home))))
    message, descriptors = channel.receive()
    if not isinstance(message, control.Begin) or not descriptors:
        raise ProtocolError
    with socket.socket(fileno=descriptors[0]) as end:
        work.run(end, tuple(descriptors[1:]))
    return 0
