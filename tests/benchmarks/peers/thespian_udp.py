"""Contender: Thespian on its UDP base; a broker actor that passes calls to an enclave actor and replies back.

Imports Thespian and the standard library. A datagram carries 64 KiB at most, so there is no 1 MiB echo. Where the
kernel drops datagrams fewer calls are in flight, and that number is reported.
"""

from __future__ import annotations

import os
import random
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from thespian.actors import Actor, ActorAddress, ActorExitRequest, ActorSystem, ChildActorExited

from tests.benchmarks.contender import (
    SMALL,
    CannotMeasureError,
    DoesNotRestartError,
    Limit,
    Rate,
    one_by_one,
    serve,
    windowed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 10.0
LOST = 0.4
FEWEST = 32


class TooLargeError(CannotMeasureError):
    """A datagram carries 64 KiB at most."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("64 KiB at most")


class LostError(Exception):
    """A reply did not arrive in time."""


class Enclave(Actor):
    """Echoes bytes to whoever asked."""

    def receiveMessage(self, message: object, sender: ActorAddress) -> None:  # noqa: N802 - Thespian's name
        """Answer a call."""
        if isinstance(message, tuple):
            back, data = message
            self.send(sender, (back, os.getpid() if data is None else data))


class Broker(Actor):
    """Passes a call from the UI to the enclave, and the reply back."""

    def receiveMessage(self, message: object, sender: ActorAddress) -> None:  # noqa: N802 - Thespian's name
        """Pass one message on."""
        if isinstance(message, (ActorExitRequest, ChildActorExited)):
            return
        if not hasattr(self, "enclave"):
            self.enclave = self.createActor(Enclave)
        if sender == self.enclave:
            self.send(*message)
        elif message == "pid":
            self.send(sender, os.getpid())
        else:
            self.send(self.enclave, (sender, message[0]))


class ThespianUdp:
    """UI in this process; Thespian's admin, broker and enclave in processes of their own."""

    def start(self) -> None:
        """Start the actor system and wait for a first reply."""
        os.environ["THESPIAN_BASE_IPADDR"] = "127.0.0.1"
        port = random.randrange(20000, 60000)
        self._system = ActorSystem("multiprocUDPBase", {"Admin Port": port}, transientUnique=True)
        self._broker = self._system.createActor(Broker)
        self._echo(SMALL)

    def roles(self) -> dict[str, int]:
        """Name the three processes."""
        broker = self._system.ask(self._broker, "pid", DEADLINE)
        return {"ui": os.getpid(), "broker": broker, "enclave": self._echo(None)}

    def latency(self, limit: Limit) -> list[int]:
        """Echo 64 bytes, one call after the other."""
        return one_by_one(partial(self._echo, SMALL), limit)

    def pipelined(self, limit: Limit, in_flight: int) -> Rate:
        """Echo 64 bytes with the number outstanding, at most `in_flight`, that is quickest and loses nothing."""
        rates: list[Rate] = []
        while in_flight >= FEWEST:
            with suppress(LostError):
                send = partial(self._system.tell, self._broker, (SMALL,))
                rates.append(windowed(send, self._listen, Limit(limit.calls, limit.seconds / 2), in_flight))
            self._drain()
            in_flight //= 2
        if not rates:
            raise LostError
        return max(rates, key=lambda rate: rate.calls / rate.seconds)

    def bulk(self, limit: Limit) -> Rate:
        """Thespian's UDP base cannot carry 1 MiB."""
        del limit
        raise TooLargeError

    def recover(self, killed: Callable[[], None]) -> None:
        """Refuse: the broker is told of the death, but nobody starts another enclave."""
        del killed
        raise DoesNotRestartError

    def stop(self) -> None:
        """End the actor system."""
        self._system.shutdown()

    def _echo(self, data: bytes | None) -> object:
        answer = self._system.ask(self._broker, (data,), DEADLINE)
        if answer is None:
            raise LostError
        return answer

    def _drain(self) -> None:
        while self._system.listen(LOST / 2) is not None:
            pass

    def _listen(self) -> None:
        if self._system.listen(LOST) is None:
            raise LostError


if __name__ == "__main__":
    serve(ThespianUdp())
