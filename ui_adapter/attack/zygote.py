"""The zygote: executed anew as an enclave is, and never locked itself; each victim is a fork of it that locks.

May import: our actors' isolation and messages, `layers`, `victim`. Invariants: a victim has the same start as an
enclave (fresh exec, execute-only if that is asked for) and the same lock; the zygote ends when its runner does.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import secrets
import signal
import socket
import sys
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from trollbridge.actors.isolation import kernel
from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import Sandbox
from trollbridge.ui_adapter.attack.attempt import Layers
from trollbridge.ui_adapter.attack.layers import lay_on
from trollbridge.ui_adapter.attack.victim import Victim, be_victim

if TYPE_CHECKING:
    from trollbridge.actors.isolation.interpreter import Interpreter
    from trollbridge.ui_adapter.attack.ground import Ground

_CONTROL: Final = 3
_ENTRY: Final = "from trollbridge.ui_adapter.attack.zygote import main; main()"
_LARGEST: Final = 65_536
_CANARY_SIZE: Final = 32


class Order(msgspec.Struct, frozen=True, array_like=True):
    """One victim, as it is asked for; the descriptor of its link travels beside it."""

    layers: Layers
    role: Role
    sandbox: Sandbox
    canary: bytes
    folder: str


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """What the zygote says first: where its own canary lies, and what that is."""

    address: int
    canary: bytes


class Born(msgspec.Struct, frozen=True, array_like=True):
    """The answer to an order."""

    pid: int


class Zygote:
    """The zygote as the runner has it."""

    def __init__(self, interpreter: Interpreter | None) -> None:
        """Start it from an execute-only copy, or, with None, from the interpreter's own file."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = "/proc/self/exe" if interpreter is None else interpreter.path
        environment = {} if interpreter is None else interpreter.environment
        with theirs:
            self.pid: Final = os.posix_spawn(
                path,
                [sys.executable, "-I", "-c", _ENTRY],
                {**environment, "LC_ALL": "C.UTF-8"},
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), _CONTROL)],
            )
        self._link: Final = ours
        ours.settimeout(30)
        hello = msgspec.msgpack.decode(ours.recv(_LARGEST), type=Hello)
        self.address: Final = hello.address
        self.canary: Final = hello.canary

    def bring(self, ground: Ground, layers: Layers, role: Role, sandbox: Sandbox) -> None:
        """Give the ground a victim; raises `Lost` if it cannot be locked, `OSError` if the zygote is gone."""
        ours, theirs = socket.socketpair()
        order = Order(layers, role, sandbox, ground.canary, str(ground.home))
        with theirs:
            socket.send_fds(self._link, [msgspec.msgpack.encode(order)], [theirs.fileno()])
        born = msgspec.msgpack.decode(self._link.recv(_LARGEST), type=Born)
        ground.victim = Victim(born.pid, ours)
        ground.zygote = self

    def close(self) -> None:
        """End it, and its victims with it."""
        self._link.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def main() -> NoReturn:
    """Be the zygote."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    link = socket.socket(fileno=_CONTROL)
    canary = secrets.token_bytes(_CANARY_SIZE)
    kept = ctypes.create_string_buffer(canary, len(canary))
    link.send(msgspec.msgpack.encode(Hello(ctypes.addressof(kept), canary)))
    gc.collect()
    gc.freeze()
    while True:
        packet, descriptors = socket.recv_fds(link, _LARGEST, 1)[:2]
        if not packet:
            os._exit(0)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        _give_birth(link, msgspec.msgpack.decode(packet, type=Order), descriptors[0])


def _give_birth(link: socket.socket, order: Order, descriptor: int) -> None:
    pid = os.fork()
    if pid == 0:
        link.close()
        be_victim(descriptor, order.canary, order.folder, lambda: lay_on(order.layers, order.role, order.sandbox))
    os.close(descriptor)
    link.send(msgspec.msgpack.encode(Born(pid)))
