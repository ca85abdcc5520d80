"""A service manager's end of sd_notify(3), written from the manual page: one datagram, assignments a line each.

Imports the standard library only. It asks the kernel who sent, as systemd does for NotifyAccess=main.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

PATIENCE: Final = 30.0
_CREDENTIALS: Final = struct.Struct("3i")


class Told(NamedTuple):
    """One message: who sent it, and its assignments."""

    pid: int
    assignments: dict[str, str]


class ServiceManager:
    """Listens at an address; `@` first for an abstract one."""

    def __init__(self, address: str) -> None:
        """Bind it."""
        self.address: Final = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.told: Final[list[Told]] = []
        """Everything so far, in the order of its coming."""
        self._came: Final = threading.Condition()
        self._reading = False

    def take(self) -> None:
        """Take one message, which is there."""
        data, ancillary, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(_CREDENTIALS.size))
        [(_, _, credentials)] = ancillary
        pid, _, _ = _CREDENTIALS.unpack(credentials)
        lines = [line.partition("=") for line in data.decode().split("\n")]
        assert all(equals for _, equals, _ in lines), data
        self.told.append(Told(pid, {name: value for name, _, value in lines}))

    def drain(self) -> list[dict[str, str]]:
        """Take what is there; return it without who sent it."""
        before = len(self.told)
        while select.select([self._socket], [], [], 0)[0]:
            self.take()
        return [each.assignments for each in self.told[before:]]

    def wait(self, wanted: Callable[[dict[str, str]], bool], start: int = 0) -> int:
        """Wait for a message; return its number, counted from 0. `start`: the number of the first that counts."""
        until = time.monotonic() + PATIENCE
        at = start
        while True:
            while at < len(self.told):
                if wanted(self.told[at].assignments):
                    return at
                at += 1
            assert self._another(at, max(0.0, until - time.monotonic())), self.told

    def _another(self, known: int, seconds: float) -> bool:
        """Wait for more messages than are `known`; return whether there are."""
        if self._reading:
            with self._came:
                return self._came.wait_for(lambda: len(self.told) > known, seconds)
        if not select.select([self._socket], [], [], seconds)[0]:
            return False
        self.take()
        return True

    @contextlib.contextmanager
    def reading(self) -> Generator[None]:
        """Take what comes as it comes, as a service manager does: a socket holds a few messages only."""
        ends, end = os.pipe()
        both: list[socket.socket | int] = [self._socket, ends]

        def read() -> None:
            while self._socket in select.select(both, [], [])[0]:  # what is there, before the end
                with self._came:
                    self.take()
                    self._came.notify_all()

        reader = threading.Thread(target=read)
        self._reading = True
        reader.start()
        try:
            yield
        finally:
            os.close(end)
            reader.join(PATIENCE)
            os.close(ends)
            self._reading = False

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._socket.close()
