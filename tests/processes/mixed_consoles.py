"""User interfaces that mix what an application may mix: several enclaves, pykka actors of their own, asyncio, threads.

Each `main` prints one JSON line of results, which its test compares whole.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any

import pykka

from tests.harness import wire
from tests.harness.stage import HANDLERS, JOURNAL, PROBE
from trollbridge.actors.app import App, Child
from trollbridge.messages.errors import HandlerFailed
from trollbridge.ui_adapter.asyncio_front import AsyncUiActor
from trollbridge.ui_adapter.bridge import Bridge, UiActor

if TYPE_CHECKING:
    from trollbridge.actors.calling.promise import Promise

ENCLAVES = ("left", "right")


def show(found: object) -> None:
    """Print results for the test."""
    sys.stdout.write(f"{wire.encode(found)}\n")
    sys.stdout.flush()


class Clerk(pykka.ThreadingActor):
    """An actor in the user interface's own process, which calls an enclave for those who ask it."""

    def __init__(self, bridge: Bridge) -> None:
        """Take the way to the enclaves."""
        super().__init__()
        self._bridge = bridge

    def local(self, word: str) -> str:
        """Answer without any enclave."""
        return word.upper()

    def remote(self, word: bytes) -> bytes:
        """Answer with what an enclave says."""
        answer: bytes = self._bridge.right.echo(word).get(timeout=20)
        return answer

    def passed_on(self, word: bytes) -> Promise[Any]:
        """Answer with the promise itself."""
        promise: Promise[Any] = self._bridge.left.echo(word)
        return promise


class Mixed(UiActor):
    """Two enclaves, a pykka actor, and futures of both kinds in one list."""

    def main(self, bridge: Bridge) -> int | None:
        """Show each mixture once."""
        clerk = Clerk.start(bridge).proxy()
        futures = [bridge.left.echo(b"l"), clerk.local("pykka"), bridge.right.echo(b"r"), clerk.remote(b"through")]
        found = {
            "all": pykka.get_all(futures, timeout=20),
            "map": bridge.left.echo(b"abc").map(len).get(timeout=20),
            "filter": clerk.local("a b").filter(str.isupper).get(timeout=20),
            "join": bridge.left.echo(b"x").join(bridge.right.echo(b"y"), clerk.local("z")).get(timeout=20),
            "list": pykka.get_all([bridge.left.echo(b"1"), bridge.left.echo(b"2")], timeout=20),
            "passed on": clerk.passed_on(b"on").get(timeout=20).get(timeout=20),
            "two processes": bridge.left.pid().get(timeout=20) != bridge.right.pid().get(timeout=20),
            "names": sorted(name for name in dir(bridge) if name in ENCLAVES),
        }
        pykka.ActorRegistry.stop_all()
        show(found)
        return None


class Threaded(UiActor):
    """Many threads that call at once."""

    def main(self, bridge: Bridge) -> int | None:
        """Have each thread check its own replies."""
        wrong: list[str] = []

        def work(number: int) -> None:
            member = bridge.left if number % 2 else bridge.right
            for round_ in range(50):
                word = f"{number}.{round_}".encode()
                if member.echo(word).get(timeout=20) != word:
                    wrong.append(word.decode())

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        show({"wrong": wrong, "threads": len(threads)})
        return None


class Awaiting(AsyncUiActor):
    """The same in an asyncio loop, which must stay free while replies are on their way."""

    async def main(self, bridge: Bridge) -> int | None:
        """Await alone, together, with a pykka future among them, past a deadline and with an error."""
        clerk = Clerk.start(bridge).proxy()
        ticks = 0
        stop = asyncio.Event()

        async def tick() -> None:
            nonlocal ticks
            while not stop.is_set():
                ticks += 1
                await asyncio.sleep(0)

        async def one(word: bytes) -> bytes:
            found: bytes = await bridge.left.echo(word)
            return found

        ticking = asyncio.create_task(tick())
        found: dict[str, object] = {
            "one": await bridge.left.echo(b"1"),
            "together": await asyncio.gather(*(one(str(number).encode()) for number in range(300))),
            "from an actor": await asyncio.to_thread(clerk.remote(b"after").get),
        }
        try:
            await bridge.right.fail("inside")
        except HandlerFailed as error:
            found["error"] = type(error).__name__
        try:
            await asyncio.wait_for(self._never(bridge), timeout=0.05)
        except TimeoutError:
            found["time-out"] = "TimeoutError"
        stop.set()
        await ticking
        found["the loop was free"] = ticks > 3
        pykka.ActorRegistry.stop_all()
        show(found)
        return 3

    async def _never(self, bridge: Bridge) -> None:
        await bridge.left.echo(b"first")
        await asyncio.Event().wait()


def mixed(*, console: str) -> App:
    """Return an application with two enclaves and one of the consoles of this module."""
    return App(
        ui=Child(f"{__name__}:{console}", name="console"),
        enclaves=[Child(PROBE, name=name, settings=JOURNAL) for name in ENCLAVES],
        grants={"console": [f"{name}.{handler}" for name in ENCLAVES for handler in HANDLERS]},
    )
