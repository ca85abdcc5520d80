"""Stands in for the errand that reads the keychain: shows what such a process gets, and what it can reach."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

from trollbridge.messages.sandbox import Sandbox

SANDBOX = Sandbox(network=("unix",))
prepared: list[str] = []


def prepare() -> None:
    """Note what only a process that is not locked yet can see."""
    prepared.append(str(len(os.listdir("/"))))  # noqa: PTH208


def run(end: socket.socket, descriptors: tuple[int, ...]) -> None:
    """Do what the enclave orders, in one line."""
    order, _, argument = read_line(end).partition(" ")
    match order:
        case "facts":
            end.sendall(json.dumps(_facts(descriptors)).encode())
        case "dial":
            with socket.socket(socket.AF_UNIX) as bus:
                bus.connect(argument)
                end.sendall(bus.recv(100))
        case "open":
            end.sendall(try_to_open(argument).encode())
        case "fail":
            raise ValueError(argument)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hold":
            end.sendall(b"held")
            end.recv(1)
        case _:
            end.sendall(b"what?")


def _facts(descriptors: tuple[int, ...]) -> dict[str, object]:
    return {
        "environment": dict(os.environ),
        "descriptors": list(descriptors),
        "prepared": prepared,
        "pid": os.getpid(),
        "parent": os.getppid(),
    }


def try_to_open(path: str) -> str:
    """Read a file; return what came of it."""
    try:
        return f"read {len(Path(path).read_bytes())} bytes"
    except OSError as error:
        return type(error).__name__


def try_to_write(path: str) -> str:
    """Write a file; return what came of it."""
    try:
        return f"wrote {Path(path).write_bytes(b'x')} bytes"
    except OSError as error:
        return type(error).__name__


def read_line(end: socket.socket) -> str:
    """Read one line, of which nothing more is taken than itself."""
    found = bytearray()
    while not found.endswith(b"\n"):
        chunk = end.recv(1)
        if not chunk:
            break
        found += chunk
    return found.decode().rstrip("\n")
