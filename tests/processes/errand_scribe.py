"""Stands in for the errand that works on documents: opens the pipes that it was handed by their names in /proc."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tests.processes.errand_keychain import read_line, try_to_open, try_to_write
from trollbridge.messages.sandbox import NOTHING

if TYPE_CHECKING:
    import socket

SANDBOX = NOTHING


def prepare() -> None:
    """Need nothing."""


def run(end: socket.socket, descriptors: tuple[int, ...]) -> None:
    """Do what the enclave orders, in one line."""
    order, _, argument = read_line(end).partition(" ")
    match order:
        case "copy":
            end.sendall(str(_copy(*descriptors)).encode())
        case "hold":
            end.sendall(b"held")
            end.recv(1)
        case "stop":
            end.sendall(str(os.getpid()).encode())
            os.kill(os.getpid(), signal.SIGSTOP)
        case "open":
            end.sendall(try_to_open(argument).encode())
        case "write":
            end.sendall(try_to_write(argument).encode())
        case "dial":
            end.sendall(b"dialled" if _dial() else b"refused")
        case _:
            end.sendall(b"what?")


def _copy(source: int, target: int) -> int:
    """Copy from one pipe to the other, both opened again by name, as a library does that takes paths."""
    count = 0
    with open(f"/proc/self/fd/{source}", "rb") as reading, open(f"/proc/self/fd/{target}", "wb") as writing:  # noqa: PTH123
        os.close(source)
        os.close(target)
        while chunk := reading.read(65_536):
            writing.write(chunk)
            count += len(chunk)
    return count


def _dial() -> bool:
    import socket  # noqa: PLC0415  # loaded long before the lock

    try:
        socket.socket(socket.AF_UNIX).close()
    except PermissionError:
        return False
    return True
