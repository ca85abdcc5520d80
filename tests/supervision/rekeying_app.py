"""Applications that work hard while their keys are changed, and count afterwards what became of every call."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.harness import wire
from tests.harness.puppet import Puppet
from tests.harness.stage import JOURNAL, PROBE, PUPPET, hurry
from trollbridge.actors.app import App, Child
from trollbridge.actors.handlers import handler
from trollbridge.actors.host import HostActor
from trollbridge.actors.process_actor import ProcessActor
from trollbridge.actors.supervision.rekeying import Rekey
from trollbridge.enclave.actor import EnclaveActor
from trollbridge.messages.errors import CallError
from trollbridge.messages.ids import HandlerName
from trollbridge.messages.sandbox import Sandbox
from trollbridge.ui_adapter.asyncio_front import AsyncUiActor
from trollbridge.ui_adapter.bridge import UiActor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.puppet import Strings
    from trollbridge.actors.calling.promise import Promise
    from trollbridge.ui_adapter.bridge import Bridge

PATIENCE: Final = 60.0
GLANCE: Final = 0.01
AT_ONCE: Final = 1000
"""Calls that each caller makes before it waits for one of them: four times what one client may have in flight."""


class Writing(ProcessActor):
    """Writes down what it runs, in a file that outlives it."""

    sandbox = Sandbox(write=("{journal}",))

    def __init__(self, journal: str) -> None:
        """Take the file."""
        super().__init__()
        self._journal = Path(journal).open("ab", buffering=0)  # noqa: SIM115  # open as long as the process lives

    @handler
    def mark(self, word: str) -> str:
        """Write a word down, and return it."""
        self._journal.write(f"{word}\n".encode())
        return word

    @handler(idempotent=True)
    def look(self, word: str) -> str:
        """Write a word down, and return it; may be done twice."""
        return self.mark(word)

    @handler(idempotent=True)
    def poison(self, word: str) -> str:
        """Write a word down, and die."""
        self.mark(word)
        signal.raise_signal(signal.SIGKILL)
        return word


class Clerk(Writing, EnclaveActor):
    """An enclave that does."""


class Runner(Writing, HostActor):
    """A host that does."""


def end_of(promise: Promise[Any], word: str) -> str:
    """Return how a call has ended: `right`, `wrong`, or its error with what is known."""
    try:
        return "right" if promise.get(timeout=PATIENCE) == word else "wrong"
    except CallError as error:
        return f"{type(error).__name__}: {getattr(error, 'outcome', '')}"


class Crowd(UiActor):
    """Threads and a loop that call without a pause, while the main thread has the keys changed."""

    def __init__(self, changes: str) -> None:
        """Take how often."""
        super().__init__()
        self._changes = int(changes)
        self._ends: Counter[str] = Counter()
        self._done = threading.Event()
        self._lock = threading.Lock()

    def main(self, bridge: Bridge) -> int | None:
        """Call, change, count."""
        callers: list[Callable[[Bridge, str], None]] = [self._call, self._call, self._await]
        threads = [threading.Thread(target=each, args=(bridge, f"t{n}")) for n, each in enumerate(callers)]
        for each in threads:
            each.start()
        [supervisor] = [each.pid for each in bridge.members if each.role == "supervisor"]
        for epoch in range(1, self._changes + 1):
            if bridge.clerk.mark(f"before {epoch}").get(timeout=PATIENCE):
                os.kill(supervisor, signal.SIGHUP)
            bridge.wait_dismantled(epoch, PATIENCE)
            bridge.wait_sealed(PATIENCE)
        self._done.set()
        for each in threads:
            each.join()
        show({"epoch": bridge.epoch, "ends": dict(self._ends)})
        return None

    def _count(self, ends: list[str]) -> None:
        with self._lock:
            self._ends.update(ends)

    def _call(self, bridge: Bridge, name: str) -> None:
        turn = 0
        while not self._done.is_set():
            turn += 1
            words = [f"{name} {turn} {number}" for number in range(AT_ONCE)]
            promises = [bridge.clerk.mark(word) for word in words]
            self._count([end_of(each, word) for each, word in zip(promises, words, strict=True)])

    def _await(self, bridge: Bridge, name: str) -> None:
        asyncio.run(self._await_all(bridge, name))

    async def _await_all(self, bridge: Bridge, name: str) -> None:
        turn = 0
        while not self._done.is_set():
            turn += 1
            words = [f"{name} {turn} {number}" for number in range(AT_ONCE)]
            values = await asyncio.gather(*(bridge.clerk.mark(word) for word in words), return_exceptions=True)
            self._count(["right" if value == word else repr(value) for value, word in zip(values, words, strict=True)])


class Lasting(AsyncUiActor):
    """Waits in a loop for calls that outlive their ring."""

    async def main(self, bridge: Bridge) -> int | None:
        """Have the enclave die while more calls are made than may be in flight; show how many were answered."""
        [clerk] = [each.pid for each in bridge.members if each.role == "enclave"]
        os.kill(clerk, signal.SIGSTOP)
        words = [f"l{number}" for number in range(300)]
        promises = [bridge.clerk.look(word) for word in words]
        waiting = asyncio.gather(*promises)
        asyncio.get_running_loop().call_soon(os.kill, clerk, signal.SIGKILL)
        show({"right": await waiting == words, "epoch": bridge.epoch})
        return None


class Late(Puppet):
    """A puppet that waits at a gate before it is ready for anything."""

    def __init__(self, strings: str, gate: str) -> None:
        """Wait there."""
        super().__init__(strings=strings)
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(gate)
            end.recv(1024)


def await_drain(strings: Strings) -> None:
    """Wait until a puppet holds new calls."""
    until = time.monotonic() + PATIENCE
    while not strings.client._carrying.holding:
        if time.monotonic() > until:
            raise TimeoutError
        strings.client.poll()
        threading.Event().wait(GLANCE)


def show(found: dict[str, object]) -> None:
    """Print results for the test."""
    sys.stdout.write(f"{wire.encode(found)}\n")
    sys.stdout.flush()


def lasting(*, journal: str, beat: float) -> App:
    """Return the application of who waits in a loop."""
    hurry(beat, None)
    return _clerks(f"{__name__}:Lasting", journal, {})


def call_as_it_drains(strings: Strings, handler: str, positional: list[Any]) -> Any:  # noqa: ANN401  # its result
    """Wait until a puppet holds new calls, and call a handler at once; return what it returned, in the next epoch."""
    await_drain(strings)
    return strings.client.call(HandlerName(handler), tuple(positional), {}).get(timeout=PATIENCE)


def marking(*, journal: str, seconds: float | None = None, calls: int | None = None) -> App:
    """Return a puppet with a clerk, whose keys are changed when that is due."""
    return _clerks(PUPPET, journal, {}, Rekey(seconds=seconds, calls=calls))


def with_host(*, journal: str, beat: float) -> App:
    """Return a puppet with a clerk and a runner."""
    hurry(beat, None)
    return _clerks(PUPPET, journal, {}, host=True)


def slow(*, drain: float, strings: str, gate: str = "") -> App:
    """Return a puppet and a puppet that is an extension, with a probe; calls have so much time to end in.

    With a `gate`, the extension stands there before it joins.
    """
    hurry(None, 600.0)
    settings = {"strings": strings, **({"gate": gate} if gate else {})}
    extra = f"{__name__}:Late" if gate else PUPPET
    probe = [f"probe.{handler}" for handler in ("hold", "echo", "drip")]
    return App(
        ui=Child(PUPPET, name="console"),
        enclaves=[Child(PROBE, name="probe", settings=JOURNAL)],
        extensions=[Child(extra, name="extra", settings=settings, sandbox=Sandbox(network=("unix",)))],
        grants={"console": probe, "extra": probe},
        rekey=Rekey(drain=drain),
    )


def crowd(*, journal: str, changes: int) -> App:
    """Return the crowd's application."""
    return _clerks(f"{__name__}:Crowd", journal, {"changes": str(changes)}, Rekey(drain=PATIENCE))


def _clerks(ui: str, journal: str, settings: dict[str, str], rekey: Rekey | None = None, *, host: bool = False) -> App:
    Path(journal).touch()
    return App(
        ui=Child(ui, name="console", settings=settings),
        enclaves=[Child(f"{__name__}:Clerk", name="clerk", settings={"journal": journal})],
        hosts=[Child(f"{__name__}:Runner", name="runner", settings={"journal": journal})] if host else [],
        grants={
            "console": [
                *("clerk.mark", "clerk.look", "clerk.poison"),
                *(("runner.mark", "runner.look", "runner.poison") if host else ()),
            ]
        },
        rekey=rekey,
    )
