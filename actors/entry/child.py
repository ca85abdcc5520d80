"""The entry of every child process: settles in, learns its part over the inherited descriptor, is locked, and runs it.

May import: our messages and actors; the actor's own module by the name that the application declares. Invariant: the
process dies with the supervisor; it has one descriptor from it, takes its first message from there, and runs no code
of an application before that. The code of an extension runs only once the process is locked. A UI keeps, besides, the
descriptors that its declaration names.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
from importlib import import_module
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NoReturn, cast

from trollbridge.actors.entry.rehearsal import rehearse
from trollbridge.actors.isolation import denials, kernel
from trollbridge.actors.isolation.libraries import folders
from trollbridge.actors.isolation.limits import MEMORY, limit
from trollbridge.actors.isolation.lock import harden, lock, unlocked
from trollbridge.actors.processes.channel import child_channel
from trollbridge.actors.processes.failures import failed, source
from trollbridge.actors.processes.places import place
from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.actors.reference import is_file
from trollbridge.messages import control
from trollbridge.messages.control import ErrandKind, FailureKind
from trollbridge.messages.errors import ActorNotLoadable, DeclarationError, TrollbridgeError
from trollbridge.messages.ids import MemberId, Role, member_id
from trollbridge.messages.sandbox import NOTHING, checked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from trollbridge.actors.entry.errand import Work
    from trollbridge.actors.processes.channel import Channel
    from trollbridge.messages.posture import Evidence
    from trollbridge.messages.sandbox import Sandbox

    Control = Channel[control.FromChild, control.ToChild]

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_KEPT: Final = 64 * 1024 * 1024
"""Bytes that the allocator keeps: without it, each long body costs fresh pages."""


def _settle_in(role: Role) -> None:
    harden()
    os.umask(0o077)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.set_name(f"troll-{role}")
    if role is not Role.UI:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)


# The actor's code.

PRIVATE: Final = "trollbridge_extension"
"""The module name of an extension that is a file of its own."""
_HARMLESS: Final = (ImportError, SyntaxError, NameError, AttributeError, TypeError)
"""What an import fails by and whose text is about the code; that of any other exception could hold a secret."""


def _extend_path(path: tuple[str, ...]) -> None:
    """Add the application's folders to where modules are looked for: nothing shadows the standard library."""
    packages = next((n for n, each in enumerate(sys.path) if each.endswith("-packages")), len(sys.path))
    sys.path[packages:packages] = [each for each in path if each not in sys.path]


def load(reference: str, path: tuple[str, ...]) -> type:
    """Import the actor's class; raises `ActorNotLoadable` with the cause in one line."""
    _extend_path(path)
    module, _, name = reference.rpartition(":")
    try:
        found = getattr(_of_file(module) if is_file(module) else import_module(module), name)
    except TrollbridgeError as error:
        msg = f"{reference}: {error}"
        raise ActorNotLoadable(msg) from None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        told = f"{type(error).__name__}: {error}" if isinstance(error, _HARMLESS) else type(error).__name__
        where = place(error.__traceback__)
        if not isinstance(error, SyntaxError) and not where.startswith("importlib."):  # their texts tell where
            told += f" at {where}"
        why = denials.explain(error) or told
        text = f"{reference} cannot be loaded: {why}"
        raise ActorNotLoadable(text.splitlines()[0][:500]) from None
    if not isinstance(found, type):
        msg = f"{reference} is not a class"
        raise ActorNotLoadable(msg)
    return found


def _of_file(path: str) -> ModuleType:
    """Load one file as a module of a name that no other has; nothing beside it can be imported."""
    loader = SourceFileLoader(PRIVATE, path)
    spec = spec_from_file_location(PRIVATE, path, loader=loader)
    if spec is None:
        raise ImportError(path)
    module = sys.modules[PRIVATE] = module_from_spec(spec)
    loader.exec_module(module)
    return module


class _Found:
    """Finds one top-level module where it was found before the lock, when its folder could still be listed."""

    def __init__(self, spec: ModuleSpec) -> None:
        self._spec = spec

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        return self._spec if fullname == self._spec.name else None


def _own_code(reference: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """Find the top-level module or package of an actor, without running it; return the paths to read it from."""
    module = reference.rpartition(":")[0]
    if is_file(module):
        return (os.path.realpath(module),)
    _extend_path(path)
    spec = PathFinder.find_spec(module.partition(".")[0])
    if spec is None:
        return ()  # importing it will say so
    sys.meta_path.insert(0, _Found(spec))
    places = [*(spec.submodule_search_locations or ()), spec.origin or ""]
    return tuple(os.path.realpath(each) for each in places if each and os.path.exists(each))  # noqa: PTH110


# What each role runs.


def _sandbox(boot: control.Boot, actor: type | None) -> Sandbox | None:
    declared = boot.sandbox or checked(getattr(actor, "sandbox", None), boot.actor)
    if declared is None:
        return None
    if any(path.startswith("~/") for path in (*declared.read, *declared.write)):
        os.environ["HOME"] = boot.home  # whoever declares paths beneath it means to find them there
    return declared.resolved(dict(boot.settings), boot.home)


def _confine(
    boot: control.Boot,
    role: Role,
    sandbox: Sandbox | None,
    readable: Sequence[str] = (),
    *,
    errands: bool = False,
) -> tuple[Evidence, ...]:
    """Lock this process, where a sandbox is declared; in learn mode have its calls recorded instead."""
    if boot.learn:
        from trollbridge.actors.isolation.learning import record  # noqa: PLC0415  # where there are secrets, never loaded

        return record(role)
    return unlocked() if sandbox is None else lock(role, sandbox, readable, errands=errands)


def _run_broker(channel: Control, boot: control.Boot) -> int:
    from trollbridge.actors.broker.process import Broker  # noqa: PLC0415  # each role imports what it needs and no more

    broker = Broker(channel, tells_calls=bool(boot.learn))
    rehearse()
    broker.run(lock(Role.BROKER, NOTHING))
    return 0


def _run_server(channel: Control, boot: control.Boot, link: socket.socket, page: int | None = None) -> int:
    """Run an enclave or a host; `page`: the descriptor of its ledger's page, if the supervisor wants one kept."""
    role = Role(boot.role)
    from trollbridge.actors.handlers import exported  # noqa: PLC0415
    from trollbridge.actors.outcomes.call_ledger import CallLedger  # noqa: PLC0415
    from trollbridge.actors.process_actor import ProcessActor, check_errands  # noqa: PLC0415
    from trollbridge.actors.serving.mailbox import Mailbox  # noqa: PLC0415

    ledger = CallLedger(page)
    actor = load(boot.actor, boot.path)
    if not issubclass(actor, ProcessActor) or actor.role is not role:
        msg = f"{boot.actor} is not {'an EnclaveActor' if role is Role.ENCLAVE else 'a HostActor'}"
        raise DeclarationError(msg)
    if boot.service and actor.single:
        msg = f"{boot.actor} keeps what it knows to one process, so it has no replicas; take replicas=… away"
        raise DeclarationError(msg)
    if boot.learn:
        from trollbridge.actors.isolation.learning import kept_real  # noqa: PLC0415

        boot = kept_real(boot, actor)
    sandbox = _sandbox(boot, actor) or NOTHING
    check_errands(boot.actor, actor.errands)

    def enter() -> tuple[Evidence, ...]:
        channel.refuse_descriptors()
        rehearse()
        return _confine(boot, role, sandbox, errands=bool(actor.errands))

    ProcessActor.mailbox = Mailbox(MemberId(boot.member), exported(actor), channel, link, enter, role, ledger)
    try:
        actor.start(**dict(boot.settings))
    except AttributeError as error:
        if not place(error.__traceback__).startswith("pykka."):
            raise
        msg = f"{boot.actor}: its __init__ must call super().__init__()"
        raise DeclarationError(msg) from None
    return 0


def _run_ui(channel: Control, boot: control.Boot, link: socket.socket) -> int:
    from trollbridge.actors.entry.caller import caller_class, run  # noqa: PLC0415

    readable = (*folders(), *_own_code(boot.actor, boot.path))
    rehearse()
    # What the declaration says binds from the first line of its code on; what the class says, once it can be read.
    bound = None if boot.sandbox is None else _confine(boot, Role.UI, _sandbox(boot, None), readable)
    actor = caller_class(load(boot.actor, boot.path), boot.actor)

    def enter() -> None:
        channel.send(control.Hello(bound or _confine(boot, Role.UI, _sandbox(boot, actor), readable)))

    return run(actor, boot, channel, link, enter)


def _run_extension(channel: Control, boot: control.Boot, link: socket.socket) -> int:
    from trollbridge.actors.entry.caller import caller_class, run  # noqa: PLC0415

    readable = (*folders(), *_own_code(boot.actor, boot.path))
    channel.refuse_descriptors()
    limit(boot.memory or MEMORY)
    evidence = _confine(boot, Role.EXTENSION, _sandbox(boot, None) or NOTHING, readable)
    channel.send(control.Hello(evidence))
    actor = caller_class(load(boot.actor, boot.path), boot.actor)
    return run(actor, boot, channel, link, lambda: None)


def _run_errand(channel: Control, boot: control.Boot) -> int:
    from trollbridge.actors.entry import errand  # noqa: PLC0415

    work = import_module(errand.TERMS[ErrandKind(boot.actor)].module)
    return errand.run(channel, cast("Work", work), boot.home)


_RUN: Final = {
    Role.ENCLAVE: _run_server,
    Role.HOST: _run_server,
    Role.UI: _run_ui,
    Role.EXTENSION: _run_extension,
}


def _boot(channel: Control) -> int:
    message, descriptors = channel.receive()
    if not isinstance(message, control.Boot):
        return 1
    role = Role(message.role)
    member_id(message.member)
    try:
        if role is Role.BROKER:
            return _run_broker(channel, message)
        if role is Role.ERRAND:
            return _run_errand(channel, message)
        return _RUN[role](channel, message, socket.socket(fileno=descriptors[0]), *descriptors[1:])
    except ActorNotLoadable as error:
        channel.send(failed(FailureKind.NOT_LOADABLE, str(error), source(error)))
    except DeclarationError as error:
        channel.send(failed(FailureKind.BAD_DECLARATION, str(error), error))
    except TypeError as error:
        channel.send(failed(FailureKind.BAD_DECLARATION, f"{message.actor}: {error}", error))
    return 1


def _keep(*descriptors: int) -> None:
    """Close whatever else the supervisor itself was started with; what is started from here inherits none of these."""
    for before, after in pairwise([2, *sorted(descriptors), 1 << 20]):
        os.closerange(before + 1, after)
    for each in descriptors:
        os.set_inheritable(each, False)  # noqa: FBT003  # the standard library's signature


def main() -> NoReturn:
    """Run one process of an application and exit."""
    role, descriptor = Role(sys.argv[1]), int(sys.argv[2])
    _keep(descriptor, *map(int, sys.argv[3:]))
    _settle_in(role)
    channel = child_channel(descriptor)
    try:
        code = _boot(channel)
    except LinkLost:
        code = 1  # the supervisor is gone, and so is the application
    except Exception as error:  # noqa: BLE001  # its text could hold a secret: the class and the place are what is told
        with contextlib.suppress(LinkLost):
            why = denials.explain(error) or f"{type(error).__name__} at {place(error.__traceback__)}"
            channel.send(failed(FailureKind.START_FAILED, f"{role} failed: {why}", error))
        code = 1
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    if role is Role.UI:
        sys.exit(code)
    os._exit(code)  # nothing is left to tidy up, and the next epoch waits for this process to be gone


if __name__ == "__main__":
    main()
