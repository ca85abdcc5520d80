"""An application whose enclave has errands, with modules of the tests in the place of those that ship.

`application(…)` is a function for `launch`. Which module an errand runs is replaced in each child before its own entry
begins, by the supervisor of the test; the shipped code has no such door.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from tests.harness.probe import seen
from tests.harness.replacing import replace
from tests.harness.stage import PUPPET, hurry
from trollbridge.actors.app import App, Child
from trollbridge.actors.entry import child, errand
from trollbridge.actors.handlers import handler
from trollbridge.actors.isolation.lock import unlocked
from trollbridge.actors.processes import reactor
from trollbridge.actors.supervision import children, errands, spawn
from trollbridge.actors.supervision.spawn import CONTROL
from trollbridge.enclave.actor import EnclaveActor
from trollbridge.messages.control import ErrandKind
from trollbridge.messages.errors import UsageError
from trollbridge.messages.posture import Evidence, Mechanism, State
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SECRET: Final = b"what only an enclave and its errand may hold"
HANDLERS: Final = (
    *("fetch", "copy", "carry", "send_off", "crowd", "drop", "pid", "descriptors", "who", "wake_in", "woken", "layers"),
    *("attack", "undeclared", "say"),
)


class Employer(EnclaveActor):
    """Has errands, and does what tests ask."""

    errands: ClassVar[frozenset[ErrandKind]] = frozenset({ErrandKind.KEYCHAIN, ErrandKind.SCRIBE})

    def __init__(self, layers: str = "") -> None:
        """Say of itself what `layers` says."""
        super().__init__()
        self._layers = layers
        self._held: list[socket.socket] = []
        self._woken: list[str] = []
        self._fails = False

    def evidence(self) -> tuple[Evidence, ...]:
        """Say it."""
        if not self._layers:
            return ()
        return (Evidence(Mechanism.VAULT_LAYERS, State.IN_FORCE, self._layers),)

    @handler
    def fetch(self, order: str) -> bytes:
        """Give a keychain errand an order; return all that it answers."""
        with self.errand(ErrandKind.KEYCHAIN) as end:
            return _told(end, order)

    @handler
    def copy(self, data: bytes, order: str = "copy") -> tuple[bytes, bytes]:
        """Have a scribe copy bytes from one pipe to the other; return what came out, and what it says of it."""
        (from_scribe, into_here), (to_scribe, into_scribe) = os.pipe(), os.pipe()
        with self.errand(ErrandKind.SCRIBE, to_scribe, into_here) as end:
            end.sendall(order.encode() + b"\n")
            os.write(into_scribe, data)
            os.close(into_scribe)
            found = bytearray()
            while chunk := os.read(from_scribe, 65_536):
                found += chunk
            os.close(from_scribe)
            return bytes(found), _all(end)

    @handler
    def carry(self, order: str) -> bytes:
        """Give a scribe without pipes an order; return all that it answers."""
        with self.errand(ErrandKind.SCRIBE) as end:
            return _told(end, order)

    @handler
    def send_off(self, kind: str, order: str) -> bytes:
        """Give an errand an order and keep its stream; return the first that it answers: nothing, if it was refused."""
        end = self.errand(ErrandKind(kind))
        self._held.append(end)
        with contextlib.suppress(ConnectionError):  # nobody is there, or it went with the order unread
            end.sendall(order.encode() + b"\n")
            return end.recv(4096)
        return b""

    @handler
    def crowd(self, count: int) -> tuple[bytes, ...]:
        """Have that many scribes at once, each holding on; return the first that each answers."""
        return tuple(self.send_off("scribe", "hold") for _ in range(count))

    @handler
    def drop(self) -> int:
        """Let go of every errand that is held; return how many."""
        count = len(self._held)
        for each in self._held:
            each.close()
        self._held.clear()
        return count

    @handler
    def undeclared(self) -> None:
        """Ask for what the class does not declare."""
        del type(self).errands
        self.errand(ErrandKind.SCRIBE)

    @handler
    def pid(self) -> int:
        """Return this process's PID."""
        return os.getpid()

    @handler
    def descriptors(self) -> tuple[str, ...]:
        """Return what is open in this process."""
        return tuple(seen())

    @handler
    def who(self) -> tuple[str, str]:
        """Return who calls."""
        return self.caller.member, self.caller.role.value

    @handler
    def wake_in(self, seconds: float | None, work: float = 0.0) -> tuple[str, ...]:
        """Be woken after so many seconds; None: at once, and take it back. Less than none: fail when woken.

        Work for some seconds before this call ends; return what was noted before and meanwhile.
        """
        self._fails = seconds is not None and seconds < 0
        self.wake_at(time.monotonic() + (seconds or 0.0))
        if seconds is None:
            self.wake_at(None)
        until = time.monotonic() + work
        while time.monotonic() < until:
            pass
        return tuple(self._woken)

    def on_wake(self) -> None:
        """Note who calls: nobody, which is an error. Fail, if the time was never."""
        if self._fails:
            raise ValueError
        try:
            self._woken.append(f"for {self.caller}")
        except UsageError as error:
            self._woken.append(f"alone: {type(error).__name__}")
        if self._layers == "asleep":
            self.layers("awake")

    @handler
    def woken(self) -> tuple[str, ...]:
        """Return what was noted before."""
        return tuple(self._woken)

    @handler
    def layers(self, text: str) -> None:
        """Say something else of itself from now on."""
        self._layers = text
        self.testify()

    @handler
    def say(self, packet: bytes) -> None:
        """Say something to the supervisor over the control channel."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, os.dup(CONTROL)) as end:
            end.send(packet)

    @handler
    def attack(self, name: str) -> str:
        """Try what an enclave must not be able to do; return what came of it."""
        try:
            return str(ATTACKS[name]())
        except OSError as error:
            return type(error).__name__


def _told(end: socket.socket, order: str) -> bytes:
    with contextlib.suppress(ConnectionError):  # nobody is there, or it went with the order unread
        end.sendall(order.encode() + b"\n")
        return _all(end)
    return b""


def _all(end: socket.socket) -> bytes:
    found = bytearray()
    while chunk := end.recv(65_536):
        found += chunk
    return bytes(found)


def _datagram_pair() -> object:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)


def _stream_to_an_address() -> object:
    one, other = socket.socketpair()
    with one, other:
        return one.sendmsg([b"x"], [], 0, b"\0somewhere else")


def _receive() -> object:
    one, other = socket.socketpair()
    with one, other:
        socket.send_fds(one, [b"x"], [0])
        return socket.recv_fds(other, 1, 1)


ATTACKS: Final = {
    "a datagram pair": _datagram_pair,
    "a socket": lambda: socket.socket(socket.AF_UNIX),
    "a stream to an address": _stream_to_an_address,
    "take a descriptor": _receive,
}


class _Clock:
    """The monotonic clock, an hour ahead from when a file exists."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def monotonic(self) -> float:
        """Return the seconds."""
        return time.monotonic() + (3600.0 if self._path.exists() else 0.0)


def application(  # noqa: PLR0913  # each test sets a few of them by name
    *,
    layers: str = "",
    a_minute: int | None = None,
    clock: str = "",
    beat: float | None = None,
    grace: float | None = None,
    extension: str = "",
    weakened: str = "",
    descriptors: Sequence[int] = (),
) -> App:
    """Return a puppet and an employer, whose errands run the modules of the tests.

    `a_minute`: another bound of every errand. `clock`: the path of a file; once it exists, the supervisor thinks that
    an hour has passed. `extension`: where a second puppet gets its commands. `descriptors`: what the puppet keeps of
    those that the application is started with.
    """
    hurry(beat, grace)
    if clock:
        for each in (children, reactor):
            replace(each, time=_Clock(clock))
    before = spawn._ENTRY.partition("from trollbridge")[0]
    entry = f"{before}sys.path.append({str(REPOSITORY)!r}); from {__name__} import run; run({weakened!r})"
    replace(spawn, _ENTRY=entry)
    terms = {kind: each._replace(a_minute=a_minute or each.a_minute) for kind, each in errand.TERMS.items()}
    replace(errands, TERMS=terms)
    settings = {"layers": layers} if layers else {}
    granted = [f"employer.{each}" for each in HANDLERS]
    extra = Child(PUPPET, name="extra", settings={"strings": extension}, sandbox=Sandbox(network=("unix",)))
    return App(
        ui=Child(PUPPET, name="puppet", descriptors=descriptors),
        enclaves=[Child(f"{__name__}:Employer", settings=settings)],
        extensions=[extra] if extension else [],
        grants=dict.fromkeys(("puppet", "extra") if extension else ("puppet",), granted),
    )


def _no_lock(*_: object) -> tuple[Evidence, ...]:
    return unlocked()


def run(weakened: str) -> NoReturn:
    """Run one child process, in which an errand finds the modules of the tests."""
    terms = {kind: each._replace(module=f"tests.processes.errand_{kind.value}") for kind, each in errand.TERMS.items()}
    replace(errand, TERMS=terms)
    if sys.argv[1] != "errand":
        sys.path.remove(str(REPOSITORY))  # others get it from the declaration, as ever
    elif weakened == "lock":
        replace(errand, lock=_no_lock)
    child.main()
