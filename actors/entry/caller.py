"""The process of a UI or of an extension: its code runs in the main thread, a second thread minds the control channel.

May import: our messages, the other actors modules. Invariants: the application's code starts only once the ring is
sealed; when the ring falls, its promises are told and its keys dropped whatever that code is doing.
"""

from __future__ import annotations

import abc
import contextlib
import os
import select
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, ClassVar, Final, NoReturn

import pykka
from msgspec import structs

from trollbridge.actors import exits
from trollbridge.actors.calling.client import Client
from trollbridge.actors.calling.joining import Joining
from trollbridge.actors.calling.opening import not_loaded
from trollbridge.actors.isolation import denials
from trollbridge.actors.operations.log import flushed, to_stderr
from trollbridge.actors.processes import notes
from trollbridge.actors.processes.failures import failed
from trollbridge.actors.processes.places import place
from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.messages import control
from trollbridge.messages.control import FailureKind
from trollbridge.messages.errors import (
    DeclarationError,
    HandshakeFailed,
    ProtocolError,
    TrollbridgeError,
)
from trollbridge.messages.ids import MemberId, Role

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    import msgspec

    from trollbridge.actors.calling.membership import Membership
    from trollbridge.actors.processes.channel import Channel
    from trollbridge.messages.sandbox import Sandbox

    Control = Channel[control.FromChild, control.ToChild]


STOP_LIMIT: Final = 2.0
"""Seconds that each pykka actor of this process has to stop in, once the UI's work is done."""
_LONGEST: Final = 500
"""Characters of an extension's last words."""
_LARGEST_CODE: Final = 255
"""What a process can end with."""
NOTED_WITHIN: Final = 20.0
"""Seconds that the supervisor may take to note that a UI loads foreign code."""
LINGER: Final = 1
"""Milliseconds after which calls that nobody waits for are sent, however few they are."""
LONGEST_PAUSE: Final = 64
"""Milliseconds after which it is looked again, in the end, for what does not come."""


class CallerActor(abc.ABC):
    """What runs in a UI's or an extension's process: it calls, and nobody calls it."""

    vocabulary: ClassVar[tuple[type[msgspec.Struct], ...]] = ()
    """Record types that results may be returned as; others get a generated class of the same shape."""
    sandbox: ClassVar[Sandbox | None] = None
    """What a UI's process may reach; None: it is not confined. An extension's is in its declaration only."""

    def __init__(self, **settings: str) -> None:
        """Take the settings of the actor's declaration; without a constructor of its own, an actor takes none."""
        if settings:
            msg = f"{type(self).__name__} takes no settings, but its declaration has {', '.join(sorted(settings))}"
            raise DeclarationError(msg)

    @abc.abstractmethod
    def run(self, client: Client) -> int | None:
        """Do the work; the exit code is what is returned, 0 for None."""


_MAIN: Final = threading.main_thread().ident or 0


class _Minder:
    """The control channel's thread."""

    def __init__(self, boot: control.Boot, channel: Control, link: socket.socket, actor: type[CallerActor]) -> None:
        self.client: Final = Client()
        self.sealed: Final = threading.Event()
        self.finished = False
        self._member = MemberId(boot.member)
        self._role = Role(boot.role)
        self._channel = channel
        self._link: socket.socket | None = link
        self._vocabulary = {each.__name__: each for each in actor.vocabulary}
        self._joined: Membership | None = None
        self._epoch = 0
        self._changing = False
        """Whether the keys are about to be changed."""
        self._draining = 0
        """The epoch of which the supervisor is still to be told that no call is left; it may not have been joined."""
        self._wake, self._nudged = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.client.nudge = self._nudge
        if self._role is Role.UI:
            self.client.close_window = self._close_window
        self._closed, self._closing = threading.Event(), threading.Lock()

    def _nudge(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._nudged, b"\0")

    def _close_window(self) -> None:
        with self._closing:
            if not self._closed.is_set():
                self._channel.send(control.CloseWindow())
            if not self._closed.wait(NOTED_WITHIN):
                raise not_loaded()

    def run(self) -> None:
        """Mind the channel until the process ends."""
        self.client.minder = threading.get_ident()
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        nudged, pause = False, LINGER
        try:
            while True:
                arrived = poll.poll(pause if nudged or self._draining else None)
                if nudged and not arrived:
                    nudged, pause = self.client.tend(), min(2 * pause, LONGEST_PAUSE)
                for descriptor, _ in arrived:
                    if descriptor == self._wake:
                        os.read(self._wake, 4096)
                        nudged, pause = True, LINGER
                    else:
                        self._take(*self._channel.receive())
                if self._draining:
                    self._drain()
        except LinkLost:
            self._end(1)
        except (HandshakeFailed, ProtocolError) as error:
            with contextlib.suppress(LinkLost):
                self._channel.send(failed(FailureKind.JOIN_FAILED, str(error), error))
            self._end(1)
        except Exception as error:  # noqa: BLE001  # in a thread of its own, nobody else would tell
            with contextlib.suppress(LinkLost):
                text = f"{type(error).__name__} at {place(error.__traceback__)}"
                self._channel.send(failed(FailureKind.START_FAILED, text, error))
            self._end(1)

    def _take(self, message: control.ToChild, descriptors: list[int]) -> None:
        match message:
            case control.Join():
                self._join(message, descriptors)
            case control.Seal():
                self._begin(message)
            case control.Kept(posture):
                of = {each.member: each for each in self.client.postures} | {posture.member: posture}
                self.client.postures = tuple(of.values())
                self.client.members = tuple(
                    structs.replace(each, pid=posture.pid) if each.member == posture.member else each
                    for each in self.client.members
                )
            case control.Dismantle():
                self._fall()
            case control.Drain(epoch):
                self._changing, self._draining = True, epoch
                self.client.hold()
            case control.WindowClosed():
                self._closed.set()
            case control.Ping(number):
                self._channel.send(control.Pong(number))
            case control.Stop():
                self.client.detach()
                self._stop()
            case _:
                self._of_servers(message)

    def _of_servers(self, message: control.ToChild) -> None:
        match message:
            case control.Verdict():
                self.client.judge(message)
            case control.Away() | control.Renew() | control.Withdrawn() if self._joined is not None:
                self._joined.renewing.told(message)  # it will begin in a moment
            case control.Away() | control.Renew() | control.Withdrawn():
                self.client.host_changed(message)
            case _:
                raise ProtocolError

    def _begin(self, message: control.Seal) -> None:
        if self._joined is None:
            raise ProtocolError
        if self._changing:
            return  # an extension that joined while the keys were about to be changed: it does not begin
        self.client.postures = message.postures
        self.client.attach(self._joined, message.members)
        self._joined = None
        self.sealed.set()

    def _drain(self) -> None:
        """Say so once no call is left; until then the link is read here too, in case nobody else does."""
        if self.client.drained():
            epoch, self._draining = self._draining, 0
            self._channel.send(control.Drained(epoch))

    def _fall(self) -> None:
        self.client.detach(stays=self._role is Role.UI and not self.client.foreign)
        self._changing, self._draining = False, 0
        self._leave_joined()
        if self._role is Role.EXTENSION:
            self._end(0)
        if self.client.foreign:
            self._stop()
        else:
            self._channel.send(control.Dismantled(self._epoch))

    def _stop(self) -> None:
        if not self.sealed.is_set():
            self._end(0)
        signal.pthread_kill(_MAIN, signal.SIGTERM)

    def _leave_joined(self) -> None:
        """Drop what was joined and never sealed."""
        joined, self._joined = self._joined, None
        if joined is not None:
            joined.drop()
            joined.endpoint.socket.close()

    def _join(self, message: control.Join, descriptors: list[int]) -> None:
        link, self._link = self._link, None
        if descriptors:
            link = socket.socket(fileno=descriptors[0])
        if link is None or self._joined is not None or self.client.epoch is not None or self.client.foreign:
            raise ProtocolError
        self._epoch = message.epoch
        try:
            self._joined = Joining(self._member, self._role, self._vocabulary).join(link, message)
        except HandshakeFailed as error:
            link.close()
            if not self.sealed.is_set():
                raise
            self._channel.send(failed(FailureKind.JOIN_FAILED, str(error), error))  # its work waits for the next epoch
            return
        key = self._joined.ring_key
        self._channel.send(control.Ready(message.epoch, b"" if key is None else key.fingerprint))

    def _end(self, code: int) -> NoReturn:
        self.client.detach()
        os._exit(code)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def caller_class(found: type, name: str) -> type[CallerActor]:
    """Return the class that was loaded; raises `DeclarationError` if it is none that calls."""
    if not issubclass(found, CallerActor):
        msg = f"{name} is not a UiActor or ExtensionActor"
        raise DeclarationError(msg)
    return found


def run(
    actor: type[CallerActor], boot: control.Boot, channel: Control, link: socket.socket, enter: Callable[[], None]
) -> int:
    """Run one caller: `enter` (be locked, say Hello), join, wait for the seal, then its code. Return the exit code."""
    work = actor(**dict(boot.settings))
    minder = _Minder(boot, channel, link, actor)
    signal.signal(signal.SIGTERM, _leave)
    enter()
    threading.Thread(target=minder.run, name="trollbridge control", daemon=True).start()
    minder.sealed.wait()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    code = carry_out(work, minder.client, lambda text, error: _tell(boot, channel, text, error))
    pykka.ActorRegistry.stop_all(timeout=STOP_LIMIT)  # their threads would keep the process
    return code if _flush() else code or exits.OUTPUT_CLOSED


def _tell(boot: control.Boot, channel: Control, text: str, error: BaseException | None) -> None:
    """Tell a person why the caller's own code ended, and the supervisor, for the log.

    An extension, which has no terminal, has the supervisor tell the person too.
    """
    if boot.role == Role.UI:
        to_stderr(f"trollbridge: {boot.member}{text}{notes.beneath(error)}\n")
    words = (
        "" if boot.role == Role.UI else f"{text.removeprefix(': ').removeprefix(' ')}{notes.behind(error)}"[:_LONGEST]
    )
    with contextlib.suppress(LinkLost):
        channel.send(failed(FailureKind.WORK_FAILED, words, error))


def carry_out(work: CallerActor, client: Client, tell: Callable[[str, BaseException | None], object]) -> int:
    """Run a caller's code; return the exit code, and `tell` in one line why it ended otherwise than it meant to."""
    try:
        return _exit_code(work.run(client), tell)
    except TrollbridgeError as error:
        where = place(error.__traceback__)
        tell(f": {error}" + (f" (at {where})" if ".py:" in where else ""), error)  # of ours: nothing to a person
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        return exits.OUTPUT_CLOSED
    except Exception as error:  # noqa: BLE001  # a person reads one line, not a traceback
        why = denials.explain(error) or f"{type(error).__name__}: {error}"
        tell(f" failed: {why} (at {place(error.__traceback__)})", error)
        return exits.UI_CRASHED


def _exit_code(found: object, tell: Callable[[str, BaseException | None], object]) -> int:
    """Return what the caller's work has returned, 0 for None; tell of what no process can end with."""
    if found is None:
        return 0
    if isinstance(found, int) and 0 <= found <= _LARGEST_CODE:
        return found
    what = str(found) if type(found) is int else f"a {type(found).__name__}"
    tell(f": main returned {what}, which is no exit code: return a number from 0 to {_LARGEST_CODE}, or nothing", None)
    return exits.UI_CRASHED


def _flush() -> bool:
    """Write what the UI printed last; return whether it arrived."""
    return sys.stdout is None or flushed(sys.stdout)
