"""The entry of every spawned process: `main()` in a fresh interpreter, with ROLE and DESCRIPTOR as arguments.

May import: our messages and actors; the actor's own module by the name that the application declares. Invariant: the
process dies with the supervisor; it has one descriptor from it, takes its first message from there, and runs no code
of an application before that.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final, NoReturn

from trollbridge.actors.channel import child_channel
from trollbridge.actors.places import place
from trollbridge.actors.sockets import LinkLost
from trollbridge.messages import control
from trollbridge.messages.control import FailureKind
from trollbridge.messages.errors import ActorNotLoadable, DeclarationError, TrollbridgeError
from trollbridge.messages.ids import MemberId, Role, member_id

if TYPE_CHECKING:
    from trollbridge.actors.channel import Channel

    Control = Channel[control.FromChild, control.ToChild]

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NAME: Final = 15
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_KEPT: Final = 64 * 1024 * 1024
"""Bytes that the allocator keeps: without it, each long body costs fresh pages."""


def _settle_in(role: Role) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NAME, f"troll-{role}".encode(), 0, 0, 0)
    if role is not Role.UI:
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)


def load(reference: str, path: tuple[str, ...]) -> type:
    """Import the actor's class; raises `ActorNotLoadable` with the cause in one line."""
    packages = next((n for n, each in enumerate(sys.path) if each.endswith("-packages")), len(sys.path))
    sys.path[packages:packages] = [
        each for each in path if each not in sys.path
    ]  # nothing shadows the standard library
    module, _, name = reference.partition(":")
    try:
        found = getattr(import_module(module), name)
    except TrollbridgeError as error:
        msg = f"{reference}: {error}"
        raise ActorNotLoadable(msg) from None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        text = f"{reference} cannot be loaded: {type(error).__name__}: {error}"
        raise ActorNotLoadable(text.splitlines()[0][:500]) from None
    if not isinstance(found, type):
        msg = f"{reference} is not a class"
        raise ActorNotLoadable(msg)
    return found


def _run_broker(channel: Control) -> int:
    from trollbridge.actors.broker import Broker  # noqa: PLC0415  # each role imports what it needs and no more

    Broker(channel).run()
    return 0


def _run_enclave(channel: Control, boot: control.Boot, actor: type, link: socket.socket) -> int:
    from trollbridge.actors.handler import exported  # noqa: PLC0415
    from trollbridge.actors.mailbox import Mailbox  # noqa: PLC0415
    from trollbridge.actors.process_actor import ProcessActor  # noqa: PLC0415

    if not issubclass(actor, ProcessActor):
        msg = f"{boot.actor} is not an EnclaveActor"
        raise DeclarationError(msg)
    ProcessActor.mailbox = Mailbox(MemberId(boot.member), exported(actor), channel, link)
    actor.start(**dict(boot.settings))
    return 0


def _run_caller(channel: Control, boot: control.Boot, actor: type, link: socket.socket) -> int:
    from trollbridge.actors.caller import CallerActor, run  # noqa: PLC0415

    if not issubclass(actor, CallerActor):
        msg = f"{boot.actor} is not a UiActor or ExtensionActor"
        raise DeclarationError(msg)
    return run(actor, boot, channel, link)


def _boot(channel: Control) -> int:
    message, descriptors = channel.receive()
    if not isinstance(message, control.Boot):
        return 1
    role = Role(message.role)
    member_id(message.member)
    if role is Role.BROKER:
        return _run_broker(channel)
    link = socket.socket(fileno=descriptors[0])
    try:
        actor = load(message.actor, message.path)
        run = _run_enclave if role is Role.ENCLAVE else _run_caller
        return run(channel, message, actor, link)
    except ActorNotLoadable as error:
        channel.send(control.Failed(FailureKind.NOT_LOADABLE, str(error)))
    except DeclarationError as error:
        channel.send(control.Failed(FailureKind.BAD_DECLARATION, str(error)))
    except TypeError as error:
        channel.send(control.Failed(FailureKind.BAD_DECLARATION, f"{message.actor}: {error}"))
    return 1


def main() -> NoReturn:
    """Run one process of an application and exit."""
    role, descriptor = Role(sys.argv[1]), int(sys.argv[2])
    os.closerange(3, descriptor)  # whatever the supervisor itself was started with
    os.closerange(descriptor + 1, 1 << 20)
    os.set_inheritable(descriptor, False)  # noqa: FBT003  # the standard library's signature
    _settle_in(role)
    channel = child_channel(descriptor)
    try:
        code = _boot(channel)
    except LinkLost:
        code = 1  # the supervisor is gone, and so is the application
    except Exception as error:  # noqa: BLE001  # its text could hold a secret: the class and the place are what is told
        with contextlib.suppress(LinkLost):
            text = f"{role} failed: {type(error).__name__} at {place(error.__traceback__)}"
            channel.send(control.Failed(FailureKind.START_FAILED, text))
        code = 1
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    if role is Role.UI:
        sys.exit(code)
    os._exit(code)  # nothing is left to tidy up, and the next epoch waits for this process to be gone


if __name__ == "__main__":
    main()
