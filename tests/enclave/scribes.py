"""Scribes for tests without a ring: the shipped code in a process of its own, on the pipes that the vault made."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Final, Self

from trollbridge.actors.processes.sockets import close_all

_CODE: Final = """
import gc, socket, sys
gc.disable()
sys.modules["typing_extensions"] = None
import msgspec
del sys.modules["typing_extensions"]
from trollbridge.enclave import scribe
end, source, target = map(int, sys.argv[1:4])
scribe.prepare()
gc.freeze()
gc.enable()
with socket.socket(fileno=end) as stream:
    scribe.run(stream, (source, target))
with open("/proc/self/status") as status:
    sys.stderr.write(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""
"""It loads its code as a spawned process does (`spawn`, `isolation.lock.settle`)."""
PATIENCE: Final = 30.0
"""Seconds that a scribe may take to end."""


class Scribes:
    """Starts scribes, and has them all ended when it is left."""

    def __init__(self) -> None:
        """Start without one."""
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, source: int, target: int) -> socket.socket:
        """Start one, as an enclave does: hand the pipes' far ends over and return the stream."""
        near, far = socket.socketpair()
        with far:
            command = [sys.executable, "-I", "-c", _CODE, str(far.fileno()), str(source), str(target)]
            given = (far.fileno(), source, target)
            self.started.append(subprocess.Popen(command, pass_fds=given, stderr=subprocess.PIPE))
        close_all((source, target))
        return near

    def refuse(self, source: int, target: int) -> socket.socket:
        """Start none, as a supervisor does that has started too many."""
        near, far = socket.socketpair()
        far.close()
        close_all((source, target))
        return near

    def ends(self) -> list[tuple[int, str]]:
        """Wait until all have ended; return their exit codes, and what they last wrote: their peak memory in KiB."""
        found: list[tuple[int, str]] = []
        for each in self.started:
            _, errors = each.communicate(timeout=PATIENCE)
            found.append((each.returncode, errors.decode()))
        self.started.clear()
        return found

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave none behind."""
        for each in self.started:
            each.kill()
            each.communicate(timeout=PATIENCE)
