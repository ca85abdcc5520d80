"""A supervisor of the tests' own, from SPEC sections 13 and 14: it spawns shipped children and speaks to them.

No code of ours. Whoever is spawned here is waited for at the end, and killed if it does not end by itself.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tests.spec.packing import Value, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from types import TracebackType

BOOT, JOIN, OPEN_LINK, SEAL, ADMIT, DISMANTLE, PING, STOP = 1, 2, 3, 4, 5, 6, 7, 8
HELLO, READY, FAILED, DISMANTLED, PONG, NOTICE = 1, 2, 3, 4, 5, 6
SAMPLE: Final = str(Path(__file__).with_name("sample"))
PATIENCE: Final = 20.0  # seconds that anything here may take
LARGEST_CONTROL: Final = 262_144


def pair() -> tuple[socket.socket, socket.socket]:
    """Return a connected pair of packet sockets: ours, whose calls give up after `PATIENCE`, and one to give away."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 196_608)
    ours.settimeout(PATIENCE)  # it makes the descriptor non-blocking; the one that is given away blocks
    return ours, theirs


class Child:
    """One shipped process."""

    def __init__(self, role: str) -> None:
        """Spawn it as the specification says."""
        self.control, theirs = pair()
        self.notices: list[list[Value]] = []
        command = [sys.executable, "-I", "-m", "trollbridge.actors.entry.child", role, str(theirs.fileno())]
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=null, stdout=null, env={}, pass_fds=[theirs.fileno()])
        theirs.close()
        self.pid: Final = self._process.pid

    def say(self, *message: Value, give: socket.socket | None = None, lend: Sequence[int] = ()) -> None:
        """Send a control message; `give` is a descriptor that goes with it and is closed here, `lend` go behind it."""
        data = pack(list(message))
        if give is None:
            self.control.send(data)
        else:
            socket.send_fds(self.control, [data], [give.fileno(), *lend])
            give.close()

    def hear(self) -> list[Value]:
        """Return the next control message."""
        data = self.control.recv(LARGEST_CONTROL)
        if not data:
            raise EOFError
        message = unpack(data)
        assert isinstance(message, list)
        return message

    def expect(self, tag: int) -> list[Value]:
        """Return the fields of the next control message but notices, which are kept; it must have this tag."""
        while (message := self.hear())[0] == NOTICE:
            self.notices.append(message[1:])
        assert message[0] == tag, message
        return message[1:]

    def expect_notice(self) -> list[Value]:
        """Return the fields of the next notice: kind, about, why, detail."""
        if not self.notices:
            message = self.hear()
            assert message[0] == NOTICE, message
            return message[1:]
        return self.notices.pop(0)

    def wait(self) -> int:
        """Return the exit status."""
        return self._process.wait(PATIENCE)

    def __enter__(self) -> Self:
        """Start a block at whose end the process is gone."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the channel, at which the process ends; kill it after a failure."""
        if kind is not None:
            self._process.kill()
        self.control.close()
        try:
            self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


@contextmanager
def children(*roles: str) -> Generator[list[Child]]:
    """Spawn processes for a block; all are gone at its end."""
    with ExitStack() as stack:
        yield [stack.enter_context(Child(role)) for role in roles]


def give_credentials(end: socket.socket) -> None:
    """Prepare the broker's end of a link: the kernel is to name the sender of each packet."""
    end.settimeout(None)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
