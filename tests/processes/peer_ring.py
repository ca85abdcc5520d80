"""Servers that call each other: a teller (an enclave) and a porter (a host) in front of a probe, and two workers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import msgspec
import pykka

from tests.harness.stage import HANDLERS, JOURNAL, PROBE, PUPPET, hurry
from trollbridge.actors.app import App, Child
from trollbridge.actors.handlers import handler
from trollbridge.actors.host import HostActor
from trollbridge.actors.process_actor import ProcessActor
from trollbridge.enclave.actor import EnclaveActor
from trollbridge.messages.errors import CallError, DeclaredError, NotGranted
from trollbridge.messages.sandbox import Sandbox

LONG = 300_000
"""Bytes that take several PARTs."""
BRIEF = 0.05
"""Seconds that are not enough for somebody who is held."""
NOTES = "notes"
CATCH, LET_THROUGH = "catch", "let through"
"""What a handler does with the error that it gets."""


class Pair(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What travels between servers as itself."""

    left: str
    right: str


class Asking(ProcessActor):
    """Asks others for what it is asked for."""

    sandbox = Sandbox(write=("{folder}",))
    vocabulary = (Pair,)

    def __init__(self, folder: str) -> None:
        """Take where it may leave a note."""
        super().__init__()
        self._folder = folder

    def _note(self, text: str) -> None:
        with Path(self._folder, f"{type(self).__name__} {NOTES}").open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    @handler(max_bytes=1 << 20)
    def ask(self, member: str, data: bytes) -> bytes:
        """Return what another's `echo` returns."""
        found: bytes = getattr(self.peers, member).echo(data).get(timeout=20)
        return found

    @handler
    def long(self, member: str) -> bool:
        """Send PARTs and take them back; return whether they are the same."""
        data = os.urandom(LONG)
        return self.ask(member, data) == data

    @handler
    def many(self, member: str, number: int) -> int:
        """Have many calls in flight; return how many came back right."""
        echo = getattr(self.peers, member).echo
        sent = [str(each).encode() for each in range(number)]
        found = pykka.get_all([echo(each) for each in sent], timeout=20)
        return sum(each == wanted for each, wanted in zip(found, sent, strict=True))

    @handler
    def secret(self) -> str:
        """Return what this process sees of the probe's sensitive result."""
        found: object = self.peers.probe.secret().get(timeout=20)
        return found if isinstance(found, str) else type(found).__name__

    @handler
    def wait(self, gate: str) -> str:
        """Wait while the probe is held; leave a note of what else comes of it."""
        try:
            found: str = self.peers.probe.hold(gate).get()
        except CallError as error:
            self._note(type(error).__name__)
            raise
        return found

    @handler
    def wait_twice(self, gate: str) -> str:
        """Wait not long enough, have a worker stand at the gate too, and then wait again for the same promise."""
        promise: Any = self.peers.probe.hold(gate)
        try:
            promise.get(timeout=BRIEF)
        except pykka.Timeout:
            self.peers.worker.hold(gate).get(timeout=20)
            return f"in vain, then: {promise.get(timeout=20)}"
        return "not at all"

    @handler
    def late(self, then: str) -> str:
        """Let a deadline pass while the probe is held."""
        try:
            self.peers.probe.echo.within(BRIEF)(b"").get()
        except CallError as error:
            if then == CATCH:
                return type(error).__name__
            raise
        return ""

    @handler
    def refuse(self, then: str) -> str:
        """Have the probe refuse."""
        try:
            self.peers.probe.refuse("not today").get(timeout=20)
        except DeclaredError as error:
            if then == CATCH:
                return f"{error.name}: {error}"
            raise
        return ""

    @handler
    def fail(self) -> None:
        """Have the probe fail."""
        self.peers.probe.fail("a secret").get(timeout=20)

    @handler
    def overreach(self, then: str) -> str:
        """Call what is exported and not granted."""
        try:
            self.peers.probe.leave(0).get(timeout=20)
        except NotGranted as error:
            if then == CATCH:
                return str(error)
            raise
        return ""

    @handler
    def names(self) -> tuple[str, ...]:
        """Return who may be called, and what of the probe."""
        return (*dir(self.peers), *dir(self.peers.probe))

    @handler
    def pids(self, number: int) -> tuple[int, ...]:
        """Return which worker answered each of so many calls, one after the other."""
        return tuple(self.peers.worker.pid().get(timeout=20) for _ in range(number))

    @handler
    def echo(self, data: bytes) -> bytes:
        """Return who calls, and what came."""
        return f"{self.caller.member}, {self.caller.role}: ".encode() + data

    @handler
    def swapped(self, pair: Pair) -> Pair:
        """Return it the other way round."""
        return Pair(pair.right, pair.left)

    @handler
    def swap(self, member: str) -> bool:
        """Have another swap a pair; return whether a pair came back, however long it might take."""
        found: object = getattr(self.peers, member).swapped(Pair("a", "b")).get(timeout=inf)
        return found == Pair("b", "a")

    @handler
    def count(self, to: int) -> Iterator[int]:
        """Count; leave a note at the end, whatever it is."""
        try:
            yield from range(to)
        finally:
            self._note("closed")

    @handler
    def add_up(self, member: str, to: int, most: int) -> int:
        """Add up what another counts, up to `most` items of it."""
        total = 0
        with getattr(self.peers, member).count(to) as stream:
            for number, each in enumerate(stream):
                total += each
                if number + 1 == most:
                    break
        return total


class Teller(Asking, EnclaveActor):
    """An enclave that asks."""


class Porter(Asking, HostActor):
    """A host that asks."""


ASKED = (
    *(
        "add_up",
        "ask",
        "echo",
        "fail",
        "late",
        "long",
        "many",
        "names",
        "overreach",
        "pids",
        "refuse",
        "secret",
        "swap",
    ),
    *("wait", "wait_twice"),
)


def ring(*, folder: str) -> App:
    """Return the application: the teller may ask the porter, both the probe, the teller the workers.

    Whoever does not end by itself is not killed before a test has given up.
    """
    hurry(None, 20.0)
    granted = [f"probe.{each}" for each in ("echo", "secret", "hold", "refuse", "fail")]
    return App(
        ui=Child(PUPPET, name="puppet"),
        enclaves=[
            Child(f"{__name__}:Teller", settings={"folder": folder}),
            Child(PROBE, name="probe", settings=JOURNAL),
            Child(PROBE, name="worker", settings=JOURNAL, replicas=2),
        ],
        hosts=[Child(f"{__name__}:Porter", settings={"folder": folder})],
        grants={
            "puppet": [
                *(f"{name}.{each}" for name in ("teller", "porter") for each in ASKED),
                *(f"{name}.{each}" for name in ("probe", "worker") for each in HANDLERS),
            ],
            "teller": ["porter.echo", "porter.count", "porter.swapped", "worker.pid", "worker.hold", *granted],
            "porter": granted,
        },
    )


def two_vaults(*, path: str) -> App:
    """Return an application with two processes of what is to be one."""
    vault = Child("trollbridge.enclave.vault:Vault", replicas=2, settings={"path": path})
    return App(ui=Child(PUPPET, name="puppet"), enclaves=[vault], grants={"puppet": ["vault.status"]})
