"""Hosts that come back: a porter, who may be slow to start; a runner who calls it, and an enclave that does too."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Generator
from pathlib import Path

from tests.harness.stage import PUPPET, hurry
from trollbridge.actors.app import App, Child
from trollbridge.actors.handlers import handler
from trollbridge.actors.host import HostActor
from trollbridge.actors.process_actor import ProcessActor
from trollbridge.actors.supervision.declaring import Group
from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.enclave.actor import EnclaveActor
from trollbridge.messages.errors import CallError, ServerLost
from trollbridge.messages.sandbox import Sandbox

SLOW = "slow"
"""A file that has the porter wait at the gate before it is ready."""
LONG = 300_000
REACH = Sandbox(write=("{folder}",), network=("unix",))
PORTERS = ("pid", "hold", "echo", "drip", "note", "leave")


class Porter(HostActor):
    """Carries, holds and goes."""

    sandbox = REACH

    def __init__(self, folder: str) -> None:
        """Take where its gate and its notes are."""
        super().__init__()
        self._folder = Path(folder)

    def on_start(self) -> None:
        """Wait at the gate if it is to be slow."""
        if (self._folder / SLOW).exists():
            self.hold(str(self._folder / "gate"))

    @handler
    def pid(self) -> int:
        """Return the process."""
        return os.getpid()

    @handler
    def hold(self, gate: str) -> str:
        """Wait at a gate; return what is said there."""
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(gate)
            return end.recv(1024).decode()

    @handler(max_bytes=1 << 20)
    def echo(self, data: bytes) -> bytes:
        """Return what came."""
        return data

    @handler
    def drip(self, items: int) -> Generator[int, None, str]:
        """Count, an item at a time."""
        yield from range(items)
        return f"up to {items}"

    @handler
    def note(self, word: str) -> int:
        """Write a word down; return the process."""
        with (self._folder / "notes").open("a", encoding="utf-8") as notes:
            notes.write(f"{word}\n")
        return os.getpid()

    @handler
    def leave(self, number: int) -> None:
        """End by a signal."""
        signal.raise_signal(number)


class Asking(ProcessActor):
    """Calls the porter."""

    sandbox = REACH

    def __init__(self, folder: str) -> None:
        """Take what the others take."""
        super().__init__()
        self._folder = folder

    @handler
    def porter(self) -> int:
        """Return the porter's process."""
        found: int = self.peers.porter.pid().get(timeout=20)
        return found

    @handler
    def carry(self, size: int) -> bool:
        """Have the porter carry something; return whether it came back."""
        data = os.urandom(size)
        return bool(self.peers.porter.echo(data).get(timeout=20) == data)

    @handler
    def wait(self, gate: str) -> str:
        """Wait while the porter is held; return what is known of the call if it ended."""
        try:
            found: str = self.peers.porter.hold(gate).get()
        except ServerLost as error:
            return f"{type(error).__name__}: {error.outcome.value}"
        except CallError as error:
            return type(error).__name__
        return found


class Runner(Asking, HostActor):
    """A host that calls a host."""


class Teller(Asking, EnclaveActor):
    """An enclave that calls a host."""


def returning_app(folder: str, backstage: str, *, final: bool = False) -> App:
    """Return a puppet, and an extension that takes its commands backstage, in front of all of them.

    `final`: the porter is started again once only.
    """
    hurry(None, None)
    here = {"folder": folder}
    asked = [f"{each}.{method}" for each in ("runner", "teller") for method in ("porter", "carry", "wait")]
    own = [f"porter.{each}" for each in PORTERS]
    module = "tests.processes.returning_app"
    return App(
        ui=Child(PUPPET, name="puppet", settings={"capture": "", "canary": ""}),
        enclaves=[Child(f"{module}:Teller", settings=here)],
        hosts=[
            Child(f"{module}:Porter", settings=here),
            Child(f"{module}:Runner", settings=here),
        ],
        extensions=[Child(PUPPET, name="plugin", settings={"strings": backstage}, sandbox=Sandbox(network=("unix",)))],
        grants={"puppet": [*own, *asked], "runner": own, "teller": own, "plugin": own},
        groups=[Group("porters", ["porter"], intensity=Intensity(1, 60.0), restart="temporary")] if final else [],
        group_intensity=Intensity(1000, 1.0),
    )
