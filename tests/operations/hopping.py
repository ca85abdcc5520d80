"""A host that was taken over: it leaves processes behind, which change their group all the time, and ask for an end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from tests.harness.stage import PUPPET
from trollbridge.actors.app import App, Child
from trollbridge.actors.handlers import handler
from trollbridge.actors.host import HostActor
from trollbridge.messages.operator import LARGEST_ANSWER, REQUEST, Status, Stop
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    from typing import NoReturn

    from tests.harness.puppet import Strings

NAME: Final = "hopping"
CHAINS: Final = 4
_SECONDS: Final = 20.0
"""After which they end by themselves."""
_TRIES: Final = 8
"""Hops after which each asks, once its host has ended."""


class Hopper(HostActor):
    """It may start a program, and so may fork; each of its processes may have a group of its own, as programs have."""

    sandbox = Sandbox(exec=("/bin/true",), network=("unix",))

    @handler
    def hop(self, path: str) -> int:
        """Leave processes behind; `path`: the operator's socket. Return how many."""
        lives, _held = os.pipe()  # the other end is open while this process lives
        begun, also = os.pipe()
        for _ in range(CHAINS):
            if not os.fork():
                try:
                    os.close(_held)
                    os.close(begun)
                    _hop(path, lives, also)
                finally:
                    os._exit(1)
        os.close(also)
        return sum(len(os.read(begun, 1)) for _ in range(CHAINS))


def _hop(path: str, lives: int, begun: int) -> NoReturn:
    """Go from process to process, from group to group; ask for the application's end once the host has ended."""
    os.set_blocking(lives, False)
    until, left = time.monotonic() + _SECONDS, 0
    os.setpgid(0, 0)
    os.write(begun, b".")
    os.close(begun)
    while time.monotonic() < until:
        if os.fork():
            os._exit(0)
        os.setpgid(0, 0)
        try:
            left += os.read(lives, 1) == b""
        except BlockingIOError:
            continue
        if left and not left % _TRIES:
            _ask(path)
    os._exit(0)


def _ask(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end:
        end.settimeout(2)
        try:
            end.connect(path)
            end.send(REQUEST.encode(Stop()))
            end.recv(LARGEST_ANSWER)
        except OSError:
            return


def ask_by_programs(_strings: Strings, path: str) -> list[bool]:
    """Have a program ask how the application is, and another in a session of its own; return whether each is heard."""
    script = (
        "import socket, sys; end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); end.connect(sys.argv[1]); "
        f"end.send({REQUEST.encode(Status())!r}); sys.exit(not end.recv({LARGEST_ANSWER}))"
    )
    command = [sys.executable, "-I", "-S", "-c", script, path]
    return [not subprocess.run(command, check=False, start_new_session=each).returncode for each in (False, True)]


def hopping_app() -> App:
    """Return a puppet and the host, under a name."""
    return App(
        ui=Child(PUPPET, name="puppet"),
        hosts=[Child(Hopper, least="partial")],
        grants={"puppet": ["hopper.hop"]},
        name=NAME,
    )
