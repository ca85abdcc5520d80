"""Contender: pyzmq through a Python ROUTER/DEALER broker over ipc sockets, nothing sealed.

Imports pyzmq and the standard library. UI and enclave are DEALER sockets; the broker passes on whatever is ready,
up to 64 messages for each wake-up, since that was the quickest of the loops tried.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import zmq

from tests.benchmarks.contender import (
    LARGE,
    SMALL,
    DoesNotRestartError,
    Limit,
    Rate,
    in_sequence,
    one_by_one,
    serve,
    windowed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BURST = 64


def connected(address: str) -> zmq.Socket:
    """Make a socket that tries again every 5 ms until the broker has bound `address`."""
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.setsockopt(zmq.RECONNECT_IVL, 5)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(address)
    return socket


def forward(source: zmq.Socket, target: zmq.Socket) -> None:
    """Pass on what is ready, at most `BURST` messages."""
    for _ in range(BURST):
        try:
            message = source.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return
        target.send_multipart(message)


def relay_forever(folder: str) -> None:
    """Be the broker."""
    context = zmq.Context()
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    front.bind(f"ipc://{folder}/front")
    back.bind(f"ipc://{folder}/back")
    poller = zmq.Poller()
    poller.register(front, zmq.POLLIN)
    poller.register(back, zmq.POLLIN)
    other = {front: back, back: front}
    while True:
        for ready, _ in poller.poll():
            forward(ready, other[ready])


def echo_forever(folder: str) -> None:
    """Be the enclave."""
    socket = connected(f"ipc://{folder}/back")
    while True:
        socket.send_multipart(socket.recv_multipart())


class ZmqBroker:
    """UI in this process, broker and enclave in processes of their own."""

    def start(self) -> None:
        """Start both and wait for a first reply."""
        folder = tempfile.gettempdir()
        command = [sys.executable, str(Path(__file__).resolve())]
        self._broker = subprocess.Popen([*command, "broker", folder])
        self._enclave = subprocess.Popen([*command, "enclave", folder])
        self._socket = connected(f"ipc://{folder}/front")
        self._echo(SMALL)

    def roles(self) -> dict[str, int]:
        """Name the three processes."""
        return {"ui": os.getpid(), "broker": self._broker.pid, "enclave": self._enclave.pid}

    def latency(self, limit: Limit) -> list[int]:
        """Echo 64 bytes, one call after the other."""
        return one_by_one(partial(self._echo, SMALL), limit)

    def pipelined(self, limit: Limit, in_flight: int) -> Rate:
        """Echo 64 bytes with many outstanding."""
        return windowed(partial(self._socket.send, SMALL), self._socket.recv, limit, in_flight)

    def bulk(self, limit: Limit) -> Rate:
        """Echo 1 MiB."""
        return in_sequence(partial(self._echo, LARGE), limit)

    def recover(self, killed: Callable[[], None]) -> None:
        """Sockets have nobody who would restart the enclave."""
        del killed
        raise DoesNotRestartError

    def stop(self) -> None:
        """End both processes."""
        for process in (self._broker, self._enclave):
            process.kill()
            process.wait()

    def _echo(self, data: bytes) -> bytes:
        self._socket.send(data)
        return self._socket.recv()


if __name__ == "__main__":
    if len(sys.argv) == 1:
        serve(ZmqBroker())
    else:
        {"broker": relay_forever, "enclave": echo_forever}[sys.argv[1]](sys.argv[2])
