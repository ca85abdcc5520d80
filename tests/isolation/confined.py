"""Runs an act in a child process under a filter, and tells what became of it. Imports seccomp and nothing above it."""

from __future__ import annotations

import os
import select
import signal
import warnings
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

import msgspec

from trollbridge.actors.isolation import seccomp
from trollbridge.messages.posture import State
from trollbridge.messages.sandbox import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.messages.ids import Role
    from trollbridge.messages.sandbox import Sandbox

PATIENCE: Final = 20.0
"""Seconds that a child may take."""


class Done(msgspec.Struct, frozen=True, tag=True):
    """The act returned; what, in text."""

    value: str


class Raised(msgspec.Struct, frozen=True, tag=True):
    """The act raised; `number` is the errno of an `OSError`, 0 of anything else."""

    kind: str
    number: int = 0


class Killed(msgspec.Struct, frozen=True, tag=True):
    """The process ended by a signal."""

    signal: int


Fate: TypeAlias = Done | Raised | Killed
_DECODER: Final[msgspec.msgpack.Decoder[Done | Raised]] = msgspec.msgpack.Decoder(Done | Raised)
_ENCODER: Final = msgspec.msgpack.Encoder()
BY_FILTER: Final = Killed(signal.SIGSYS)


def forked(act: Callable[[], object]) -> Fate:
    """Run an act in a child process; raises `TimeoutError`, and ends the child, if that takes too long."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the second thread is faulthandler's, which holds no lock
        pid = os.fork()
    if pid == 0:
        os.close(read)
        _perform(act, write)
    os.close(write)
    end = os.pidfd_open(pid)
    try:
        data = _all(read)
        _await(end)  # it may go on without the pipe, as a program
    finally:
        os.close(end)
        os.close(read)
        os.kill(pid, signal.SIGKILL)  # nothing to one that has ended: it is not reaped yet
        _, status = os.waitpid(pid, 0)
    if data:
        return _DECODER.decode(data)
    return Killed(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else Done(f"exit {os.WEXITSTATUS(status)}")


def _await(descriptor: int) -> None:
    if not select.select([descriptor], [], [], PATIENCE)[0]:
        raise TimeoutError


def _all(descriptor: int) -> bytes:
    data = bytearray()
    while True:
        _await(descriptor)
        chunk = os.read(descriptor, 65_536)
        if not chunk:
            return bytes(data)
        data += chunk


def _perform(act: Callable[[], object], descriptor: int) -> NoReturn:
    fate: Fate
    try:
        fate = Done(str(act()))
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is the result
        fate = Raised(type(error).__name__, (error.errno or 0) if isinstance(error, OSError) else 0)
    os.write(descriptor, _ENCODER.encode(fate))
    os._exit(0)


def confined(role: Role, act: Callable[[], object], sandbox: Sandbox = NOTHING, *, errands: bool = False) -> Fate:
    """Run an act in a child process that seccomp, and nothing else, keeps as it keeps that role."""

    def locked() -> object:
        evidence = seccomp.install(role, sandbox, errands=errands)
        if evidence.state is State.MISSING:
            msg = f"{evidence.evidence}: {evidence.remedy}"
            raise AssertionError(msg)
        return act()

    return forked(locked)
