"""The enclave of the tests of streams: it gives what it is asked for, and says of each stream how it ended."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from tests.harness.stage import PUPPET, hurry
from trollbridge.actors import App, Child, Pause, Progress, Sandbox, Topic
from trollbridge.actors.handlers import handler
from trollbridge.enclave.actor import EnclaveActor

HANDLERS = ("count", "secrets", "steps", "events", "publish", "gave", "crash", "doze", "grow", "grown")
LONG = 5 * 1024 * 1024


class Spring(EnclaveActor):
    """It springs."""

    def __init__(self) -> None:
        """Start dry."""
        super().__init__()
        self._gave = self._grown = 0
        self._events: Topic[str] = Topic()

    @handler
    def count(self, items: int, name: str = "") -> Generator[int, None, str]:
        """Count, and tell the subscribers when it is over."""
        self._gave = 0
        try:
            for number in range(items):
                self._gave = number + 1
                yield number
        finally:
            self._events.publish(f"closed {name} of {self.caller.member}")
        return f"up to {items}"

    @handler(sensitive=True)
    def secrets(self) -> Iterator[str]:
        """Give secrets."""
        yield "canary-one"
        yield "canary-two"

    @handler
    def steps(self, total: int) -> Generator[str | Progress | Pause, None, int]:
        """Give an item between a first and a last word of progress."""
        yield Progress(0, total, "begun")
        yield "half"
        yield Progress(total, total, "done")
        return total

    @handler
    def events(self) -> Iterator[str | Pause]:
        """Give what happens from now on; the first says that it has begun."""
        yield "here"
        yield from self._events.subscribe()

    @handler
    def publish(self, text: str) -> int:
        """Tell the subscribers; return how many there are."""
        self._events.publish(text)
        return len(self._events)

    @handler
    def gave(self) -> int:
        """Return how many items the last stream has given so far."""
        return self._gave

    @handler
    def crash(self) -> Iterator[int]:
        """Give one item, then fail."""
        yield 1
        raise RuntimeError(self._events)

    @handler
    def doze(self, until: str) -> Iterator[str | Pause]:
        """Give a word, then wait until a time that is none."""
        yield "here"
        yield Pause(until=float(until))

    @handler(max_bytes=LONG + 16)
    def grow(self) -> bytes:
        """Return something long."""
        self._grown += 1
        return bytes(LONG)

    @handler
    def grown(self) -> int:
        """Return how often that was."""
        return self._grown


def spring_app(backstage: str) -> App:
    """Return a puppet, an extension that gets its commands at a socket, and the spring, which both may use."""
    hurry(None, None)
    names = [f"spring.{each}" for each in HANDLERS]
    return App(
        ui=Child(PUPPET, name="puppet", settings={"capture": "yes", "canary": ""}),
        enclaves=[Child("tests.processes.spring:Spring")],
        extensions=[Child(PUPPET, name="plugin", settings={"strings": backstage}, sandbox=Sandbox(network=("unix",)))],
        grants={"puppet": names, "plugin": names},
    )
