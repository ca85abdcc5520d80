"""Learn mode in the supervisor: notes what the recorded processes do, and judges nobody by what confines them.

May import: our messages, `isolation`, `postures`. Invariants: it exists only where the supervisor was made with it;
every call that is told is answered, whatever was found; nothing but calls, paths and kinds of sockets is kept.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
import threading
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import outside, told
from trollbridge.actors.isolation.learning import UNCONFINED
from trollbridge.actors.supervision.postures import Postures

if TYPE_CHECKING:
    from trollbridge.actors.app import App
    from trollbridge.actors.supervision.spawn import Process
    from trollbridge.messages.ids import MemberId
    from trollbridge.messages.posture import Evidence, Posture

MOST: Final = 50_000
"""Different calls that are kept for one member."""
_ALLOW: Final = (
    "learn mode cannot record here ({why}): it needs seccomp's listener and the right to look into its own children; "
    "in a container, allow them (--cap-add SYS_PTRACE)"
)


class Recorder(Postures):
    """The postures of an application in learn mode, and what its processes did."""

    def __init__(self, app: App, scratch: str) -> None:
        """Take the declaration, and a folder for the files of those that must not meet real ones."""
        super().__init__(app)
        self.learn: str = scratch
        self.told: Final[dict[MemberId, set[told.Told]]] = {}
        """What each recorded member did."""
        self._refusals: Final[dict[str, str]] = {}
        self._threads: Final[list[threading.Thread]] = []

    def take(self, process: Process, reported: tuple[Evidence, ...]) -> Posture:
        """Start to record a process that says that nothing confines it; look at any other as ever."""
        if all(each.remedy != UNCONFINED for each in reported):
            return super().take(process, reported)
        posture = outside.posture(process.member, process.role.value, process.pid, (process.start_evidence, *reported))
        self._of[process.member] = posture
        try:
            self._record(process)
        except OSError as error:
            why = next((each.evidence for each in reported if each.evidence.startswith("no recorder")), str(error))
            self._refusals[posture.member] = _ALLOW.format(why=why)
        return posture

    def refusal(self, posture: Posture) -> str:
        """Return why this must not go on: a process that is not recorded, or that should have been locked."""
        if posture.member in self.told or posture.member in self._refusals:
            return self._refusals.get(posture.member, "")
        return super().refusal(posture)

    def close(self) -> None:
        """Wait until what the processes, which have ended, did last is noted."""
        for thread in self._threads:
            thread.join()

    def _record(self, process: Process) -> None:
        listener = told.listener_of(process.pid, process.pidfd)
        seen = self.told.setdefault(process.member, set())
        thread = threading.Thread(target=_listen, args=(listener, process.pid, seen), daemon=True)
        thread.start()
        self._threads.append(thread)


def _listen(listener: int, pid: int, seen: set[told.Told]) -> None:
    """Note what is told until the last process that could tell has ended."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    try:
        while poll.poll()[0][1] & select.POLLIN:
            with contextlib.suppress(OSError, ValueError, OverflowError, struct.error):  # gone, or it makes no sense
                found = told.take(listener, pid)
                if len(seen) < MOST:
                    seen.update(found)
    finally:
        os.close(listener)
