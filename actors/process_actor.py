"""Process actors: pykka actors whose mailbox is their link, whose loop is their process's main thread.

May import: `pykka`, our messages, the other actors modules. Invariants: what arrives becomes an `Invocation` or
nothing, never one of pykka's proxy messages; each call runs to its end, or to what its stream gives next, before other
code of the actor does; an exception that a handler does not declare leaves the process as an incident's number only.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pykka

from trollbridge.actors.calling.peers import Peers, tells_its_caller
from trollbridge.actors.calling.promise import Promise
from trollbridge.actors.handlers import WrongType
from trollbridge.actors.isolation import denials
from trollbridge.actors.processes.failures import failed
from trollbridge.actors.processes.places import place
from trollbridge.actors.processes.sockets import close_all
from trollbridge.actors.serving.advancing import Ended
from trollbridge.actors.serving.invocation import Invocation
from trollbridge.messages.control import MOST_GIVEN, ErrandKind, FailureKind
from trollbridge.messages.errors import CallError, DeclarationError, HandlerFailed, RingDismantled, UsageError
from trollbridge.messages.ids import Role

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from types import TracebackType

    import msgspec

    from trollbridge.actors.serving.invocation import Caller
    from trollbridge.actors.serving.mailbox import Mailbox
    from trollbridge.messages.ids import MemberId
    from trollbridge.messages.posture import Evidence
    from trollbridge.messages.sandbox import Sandbox


class Reply(Promise[bytes]):
    """The future of one invocation: setting it seals the result and queues it for the link."""

    def __init__(self, mailbox: Mailbox, invocation: Invocation) -> None:
        """Take where it goes and what it answers."""
        super().__init__()
        self._mailbox = mailbox
        self._invocation = invocation

    def set(self, value: Any = None) -> None:  # noqa: ANN401  # pykka's signature; the value's type is checked here
        """Send the result, or the error in its place."""
        if not self.resolve(b""):
            msg = "this call is answered already"
            raise UsageError(msg)
        serving, invocation = self._mailbox.serving, self._invocation
        if isinstance(value, CallError):
            serving.fail(invocation.origin, value)
            return
        if invocation.exported.item is not None:
            self._mailbox.streams.begin(invocation, value)
            return
        try:
            encoded = invocation.exported.encode_result(value)
        except WrongType as error:
            serving.fail(invocation.origin, self._mailbox.incident(invocation, error))
            return
        serving.answer(invocation, encoded)


class ProcessActor(pykka.Actor):
    """An actor that has a process to itself; what others may call is marked with `@handler`."""

    mailbox: ClassVar[Mailbox | None] = None
    """Set once by the process's entry, before the actor is made."""
    role: ClassVar[Role] = Role.ENCLAVE
    """As what its process joins the ring."""
    sandbox: ClassVar[Sandbox | None] = None
    """What the process may reach once it is locked; None: nothing."""
    vocabulary: ClassVar[tuple[type[msgspec.Struct], ...]] = ()
    """Record types that results of its own calls come as; others get a generated class of the same shape."""
    single: ClassVar[bool] = False
    """Whether it has no replicas: it keeps something from one call to the next, or a file to itself."""
    errands: ClassVar[frozenset[ErrandKind]] = frozenset()
    """Which one-shot processes it may have. With any, it may send descriptors, if only to the supervisor."""
    _calling: Caller | None = None

    def __init__(self, **settings: str) -> None:
        """Take the settings of the actor's declaration; without a constructor of its own, an actor takes none."""
        if settings:
            msg = f"{type(self).__name__} takes no settings, but its declaration has {', '.join(sorted(settings))}"
            raise DeclarationError(msg)
        super().__init__()

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        if ProcessActor.mailbox is None:
            msg = "a process actor runs in the process that the supervisor starts for it; name it in App(…)"
            raise UsageError(msg)
        return ProcessActor.mailbox

    @staticmethod
    def _create_future() -> Promise[Any]:
        return Promise()

    def _start_actor_loop(self) -> None:
        self.warm_up()
        self._own_mailbox().enter(self)
        try:
            self._actor_loop()
        finally:
            self.on_stop()

    def warm_up(self) -> None:
        """Do once, before the process is locked, whatever imports modules or reads files only when it is first used."""

    @property
    def caller(self) -> Caller:
        """Who makes the call that runs now; raises `UsageError` while none does."""
        if self._calling is None:
            msg = "no call runs now, so nobody makes one"
            raise UsageError(msg)
        return self._calling

    @property
    def clients(self) -> frozenset[MemberId]:
        """Who can call this actor now: a member that has left is not among them."""
        return self._own_mailbox().serving.clients

    @property
    def peers(self) -> Peers:
        """The enclaves and hosts whose handlers this actor is granted: `self.peers.vault.sign(…).get(timeout=5)`.

        Before the ring is sealed, as in `on_start`, a call raises `RingDismantled`; of what this actor is not granted,
        `NotGranted`. While `get` waits, the process
        takes what arrives, and calls wait for their turn; nothing else of this actor runs.
        """
        return Peers(self._own_mailbox().peers)

    def errand(self, kind: ErrandKind, *descriptors: int) -> socket.socket:
        """Have a one-shot process started for this actor; return the stream to it, with a timeout set.

        Hands over `descriptors`, up to `MOST_GIVEN`, which are closed here whatever happens. Where the errand could not
        be had, or has ended, the stream ends, or raises `ConnectionError` if something was unread. Raises `UsageError`
        for a kind that the class does not declare.
        """
        if kind not in self.errands or len(descriptors) > MOST_GIVEN:
            close_all(descriptors)
            msg = f"{type(self).__name__} declares no errand {kind}, or hands over more than {MOST_GIVEN} descriptors"
            raise UsageError(msg)
        return self._own_mailbox().errand(kind, descriptors)

    def wake_at(self, moment: float | None) -> None:
        """Have `on_wake` called when this time of `time.monotonic` has passed; it replaces the last. None: never.

        It is called in between two calls, and before one that arrives later. The clock stands still while the machine
        sleeps.
        """
        self._own_mailbox().wake_at(moment)

    def on_wake(self) -> None:
        """Do what was to be done at the time of `wake_at`."""

    def wake(self) -> None:
        """Run `on_wake`; end the process if that fails."""
        try:
            self.on_wake()
        except Exception:  # noqa: BLE001  # as in on_start: outside a call there is nobody to be told
            self._handle_failure(*sys.exc_info())

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what only this actor can tell of how it keeps its secrets; asked when it has started.

        It is shown in its process's posture, and changes nothing about its level.
        """
        return ()

    def testify(self) -> None:
        """Have `evidence` asked again: what it says has changed."""
        self._own_mailbox().testify()

    def _handle_receive(self, message: Any) -> Any:  # noqa: ANN401  # pykka's signature
        if isinstance(message, Invocation):
            ledger = self._own_mailbox().serving.ledger
            ledger.begin(message)
            self._calling = message.caller
            try:
                found = self.on_receive(message)
            finally:
                self._calling = None
            streams = message.exported.item is not None and hasattr(found, "__next__")
            ledger.end(message, streams=streams, failed=isinstance(found, CallError))
            return found
        return super()._handle_receive(message)  # from this very process: its own stop()

    def on_receive(self, message: Any) -> Any:  # noqa: ANN401  # pykka's signature
        """Run one handler; return its result, or the error that its caller is told."""
        denials.forget()
        try:
            return getattr(self, message.exported.name)(*message.arguments)
        except CallError as error:
            return self._told(message, error)
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller learns an incident's number only
            return self._own_mailbox().incident(message, error)

    def step(self, invocation: Invocation, iterator: Iterator[object]) -> object:
        """Return what a stream yields next, or that it has `Ended`, with its result or what its caller is told."""
        ledger = self._own_mailbox().serving.ledger
        ledger.step(invocation)
        found = self._next(invocation, iterator)
        if isinstance(found, Ended):
            ledger.ended(invocation.origin, whole=found.error is None)
        ledger.rest()
        return found

    def _next(self, invocation: Invocation, iterator: Iterator[object]) -> object:
        denials.forget()
        self._calling = invocation.caller
        try:
            return next(iterator)
        except StopIteration as stop:
            return Ended(stop.value)
        except CallError as error:
            return Ended(error=self._told(invocation, error))
        except Exception as error:  # noqa: BLE001  # as in on_receive
            return Ended(error=self._own_mailbox().incident(invocation, error))
        finally:
            self._calling = None

    def close(self, invocation: Invocation, iterator: Iterator[object]) -> None:
        """Let a stream clean up; log what it raises."""
        self._calling = invocation.caller
        try:
            getattr(iterator, "close", lambda: None)()
        except Exception as error:  # noqa: BLE001  # as in on_receive, but nobody waits any more
            self._own_mailbox().incident(invocation, error)
        finally:
            self._calling = None
            self._own_mailbox().serving.ledger.ended(invocation.origin, whole=False)

    def _told(self, invocation: Invocation, error: CallError) -> CallError:
        """Return what the caller is told of an error that a handler has raised or let through."""
        if tells_its_caller(error):
            return error
        if isinstance(error, RingDismantled):  # a call of its own was outstanding; nobody waits, and it is no fault
            return HandlerFailed()
        return self._own_mailbox().incident(invocation, error)

    def _own_mailbox(self) -> Mailbox:
        return self._create_actor_inbox()

    def _handle_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> NoReturn:
        """End the process: an actor that failed outside a handler cannot go on."""
        text = denials.explain(exception_value) or (
            str(exception_value) if isinstance(exception_value, CallError) else (exception_type or Exception).__name__
        )
        where = place(traceback)
        told = f"{type(self).__name__} failed in on_start or its loop: {text}" + (f" ({where})" if where else "")
        self._own_mailbox().give_up(failed(FailureKind.START_FAILED, told, exception_value))
        sys.stderr.flush()
        os._exit(1)


def check_errands(name: str, declared: object) -> None:
    """Raise `DeclarationError` if what the class `name` declares as its errands is no set of kinds."""
    if not isinstance(declared, frozenset) or not declared <= frozenset(ErrandKind):
        msg = f"{name}: its errands are a frozenset of ErrandKind"
        raise DeclarationError(msg)
