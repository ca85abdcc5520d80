"""The victim: a process that keeps a canary in its memory and in a file without a name, and does nothing else.

May import: our actors' isolation, `layers`. Invariant: it ends when its runner does, and says nothing but what its
memory holds, which is how the runner sees whether somebody wrote there.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

from trollbridge.actors.isolation import kernel

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PTRACER: Final = 0x59616D61
_ANY: Final = -1
_CORE_LIMIT: Final = 1 << 20
_HELLO: Final = struct.Struct("=QQII")
"""What it says first: the address of the canary, the address of a page of its own, two descriptors: file and link."""
PATIENCE: Final = 20.0
"""Seconds that a victim may take to answer."""


class Lost(Exception):
    """The victim does not answer."""


def be_victim(link: int, canary: bytes, folder: str, lock: Callable[[], None]) -> NoReturn:
    """Lock with `lock`, say hello on `link`, then answer each byte with what the canary's place in memory holds."""
    try:
        _live(link, canary, folder, lock)
    finally:
        os._exit(1)


def _live(link: int, canary: bytes, folder: str, lock: Callable[[], None]) -> None:
    os.setsid()
    os.chdir(folder)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with suppress(OSError):  # where Yama is, everyone may trace it: it must be our own layers that protect it
        kernel.prctl(_PR_SET_PTRACER, _ANY)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    soft = _CORE_LIMIT if hard == resource.RLIM_INFINITY else min(hard, _CORE_LIMIT)
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    keeper = ctypes.create_string_buffer(canary, len(canary))
    page = ctypes.create_string_buffer(2 * resource.getpagesize())
    file = os.memfd_create("canary")
    os.write(file, canary)
    lock()
    os.write(link, _HELLO.pack(ctypes.addressof(keeper), ctypes.addressof(page), file, link))
    while os.read(link, 1):
        os.write(link, keeper.raw)
    os._exit(0)


class Victim:
    """The victim as its runner has it."""

    def __init__(self, pid: int, link: socket.socket) -> None:
        """Take the process and wait for its hello; raises `Lost`."""
        self.pid: Final = pid
        self.pidfd: Final = os.pidfd_open(pid)
        self.link: Final = link
        link.settimeout(PATIENCE)
        hello = self._received(_HELLO.size)
        self.address, self.page, self.file, self.their_link = _HELLO.unpack(hello)

    def _received(self, size: int) -> bytes:
        try:
            found = self.link.recv(size, socket.MSG_WAITALL)
        except OSError as error:
            raise Lost(str(error)) from None
        if len(found) != size:
            msg = "it ended"
            raise Lost(msg)
        return found

    def memory(self, size: int) -> bytes:
        """Return what the canary's place holds now; raises `Lost` if it is dead or stopped."""
        try:
            self.link.send(b"?")
        except OSError as error:
            raise Lost(str(error)) from None
        return self._received(size)

    def dead(self, seconds: float = 0.0) -> bool:
        """Tell whether it has ended, after waiting up to `seconds` for it."""
        return bool(select.select([self.pidfd], [], [], seconds)[0])

    def end(self) -> None:
        """Kill it, if it lives. Whoever forked it reaps it."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        self.dead(PATIENCE)
        os.close(self.pidfd)
        self.link.close()
