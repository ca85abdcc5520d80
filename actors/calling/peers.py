"""A server's calls of other servers: `self.peers.vault.sign(…)` in a handler, over sessions and grants of its own.

May import: our messages, `founding`, `membership`, `proxies`. Invariants: one thread, the actor's own, calls and waits;
while it waits its mailbox pumps the link, and calls that arrive wait; when the ring falls every promise is told before
the process ends.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from trollbridge.actors.calling.client import MOST_UNSENT, Client
from trollbridge.actors.calling.founding import Founding
from trollbridge.actors.calling.membership import Settled
from trollbridge.actors.calling.proxies import MemberProxy
from trollbridge.messages.errors import (
    CallError,
    Cancelled,
    DeadlineExceeded,
    DeclaredError,
    HandlerFailed,
    HandshakeFailed,
    NoSuchHandler,
    NotGranted,
    Outcome,
    Overloaded,
    ProtocolError,
    RingDismantled,
    UsageError,
)
from trollbridge.messages.record import Credit, Item, Lease, Left, Refusal, Routed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import msgspec

    from trollbridge.actors.calling.intake import Told
    from trollbridge.actors.calling.membership import Membership
    from trollbridge.actors.calling.promise import Promise
    from trollbridge.actors.calling.renewing import Word
    from trollbridge.actors.processes.endpoint import Endpoint
    from trollbridge.messages.control import SessionTicket
    from trollbridge.messages.ids import Epoch, HandlerName, MemberId, Role
    from trollbridge.messages.ring_key import RingKey

_OF_A_PEER: Final = "of a call that the handler made itself"
_PASSES: Final = (DeclaredError, HandlerFailed, Overloaded)
"""What a handler's own call may end by and be the answer to its caller.

Whatever else it ends by, such as a grant that is missing, would tell that caller something false about the call that
it made itself.
"""
_NOT_STARTED: Final = (Cancelled, DeadlineExceeded)
"""What no handler has to say: its caller's call did run."""


_TOO_EARLY: Final = "an actor's peers are there once the ring is sealed: call them in a handler, not in on_start"
_FALLEN: Final = "The trust ring was dismantled; {} was not sent."


class Ungranted(NotGranted):
    """A server calls what it is not granted; `why` is how its own log has it."""

    def __init__(self, member: str, name: str) -> None:
        """Take who calls, and the full name of the handler."""
        self.why: Final = f"{member} calls {name}, which is not granted to it"
        super().__init__(f"{self.why}; add it to App(grants=…)")


class Pump(Protocol):
    """The mailbox, as those who wait in a handler need it."""

    def put(self, item: Item, body: bytes = b"") -> None:
        """Queue an item for the broker."""

    def flush(self) -> None:
        """Send what is ready."""

    def pump(self, until: float | None) -> None:
        """Send what is ready, and take what arrives: once, waiting for it at most until this monotonic time."""


class PeerCalls(Client):
    """The client's part of a server: what it calls, its mailbox sends and receives."""

    def __init__(self, pump: Pump) -> None:
        """Take the mailbox that carries everything."""
        super().__init__()
        self._pump = pump
        self._thread = threading.get_ident()
        self._founding: Founding | None = None
        self._joined: Membership | None = None
        self._member = ""
        self._before = True
        """Whether no ring has been sealed yet."""
        self._stands = False
        """Whether the ring is sealed, and has not fallen."""
        self._arrived: list[Settled] = []
        self.vocabulary: Mapping[str, type[msgspec.Struct]] = {}
        """Record types of the actor's, as in a UI's."""
        self.servers: frozenset[str] = frozenset()
        """Whom this server has sessions with as their client."""
        self.nudged = False
        """Whether there is something to tidy up."""
        self.nudge = self._note
        self.waiting = 0
        """How many waits are under way: a callback may wait inside another."""

    def _note(self) -> None:
        self.nudged = True

    # The ring comes and goes.

    def begin(self, member: MemberId, role: Role, epoch: Epoch, tickets: Iterable[SessionTicket]) -> None:
        """Start to found the sessions that these tickets foresee."""
        self._member = member
        self._founding = Founding(member, role, epoch, self.vocabulary, self._pump)
        self._founding.begin(tickets)
        self.servers = self._founding.servers

    @property
    def founded(self) -> bool:
        """Whether every session is."""
        return self._founding is None or self._founding.complete

    def settle_in(self, endpoint: Endpoint, key: RingKey | None) -> None:
        """Take what was founded; an enclave's ring key opens the sensitive results of others."""
        founding, self._founding = self._founding, None
        if founding is not None and self.servers:
            self._joined = founding.membership(endpoint, key)

    def sealed(self) -> None:
        """Let calls begin: the ring is sealed."""
        self._membership, self._joined = self._joined, None
        self._before, self._stands = False, True

    def drop(self) -> None:
        """Forget every key, and tell every outstanding call."""
        self._stands = False
        membership = self._membership or self._joined
        self._membership = self._joined = self._founding = None
        if membership is not None:
            self._arrived += membership.drop()
            self.settle()

    # What arrives.

    def owns(self, item: Item) -> bool:
        """Return whether an item is of a session in which this server is the client."""
        if type(item) is Routed:
            return item.sender in self.servers
        if type(item) is Credit:
            return item.peer in self.servers
        if type(item) is Left:
            return item.member in self.servers
        return type(item) in (Lease, Refusal)

    def take(self, item: Item, body: bytes) -> None:
        """Handle an item; raises `HandshakeFailed` while sessions are being founded, and drops what is wrong later."""
        if self._founding is not None:
            try:
                self._founding.take(item, body)
            except ProtocolError:
                raise HandshakeFailed from None
        elif self._membership is not None:
            with contextlib.suppress(ProtocolError, KeyError):
                self._arrived += self._membership.take(item, body)
            self._arrived += self._of_lost(self._membership)

    def host_changed(self, word: Word) -> None:
        """Take the supervisor's word of a host, as `Client.host_changed` does."""
        super().host_changed(word)
        self.settle()

    def settle(self) -> None:
        """Tell the promises what the last record has settled, unless a wait is under way, which does that itself."""
        if self._membership is not None:
            self._membership.spread()
        if not self.waiting:
            self._settle(self._settled())

    def _settled(self) -> list[Settled]:
        settled, self._arrived = self._arrived, []
        for each in settled:
            if each.error is not None:
                note(each.error)
        return settled

    # Calls.

    def call(
        self,
        name: HandlerName,
        positional: tuple[object, ...],
        named: Mapping[str, object],
        *,
        within: float | None = None,
        progress: Told | None = None,
    ) -> Any:  # noqa: ANN401  # which it is, the manifest says
        """Call a handler as `Client.call` does; raises `UsageError` in another thread than the actor's own.

        What this server is not granted is `NotGranted`, whether there is such a handler or not: it is not told.
        """
        self._check_thread()
        membership = self._membership
        alone = membership is not None and not membership.calls
        try:
            if membership is None:
                raise self._alone(name)
            found = super().call(name, positional, named, within=within, progress=progress)
        except NoSuchHandler:
            error = Ungranted(self._member, name)
            note(error)
            raise error from None
        except CallError as error:
            note(error)
            raise
        if alone or membership.endpoint.ready >= MOST_UNSENT:
            self._pump.flush()
        return found

    def _alone(self, name: HandlerName) -> CallError:
        """Return why a call cannot be made without sessions: the ring does not stand, or nothing is granted."""
        if self._stands:
            return Ungranted(self._member, name)
        return RingDismantled(_TOO_EARLY if self._before else _FALLEN.format(name), outcome=Outcome.NOT_STARTED)

    def wait(self, promise: Promise[Any], until: float | None) -> None:
        """Pump the link until the promise is done or the time has come."""
        self._check_thread()
        self.waiting += 1
        try:
            super().wait(promise, until)
        finally:
            self.waiting -= 1

    def _between(self, promise: Promise[Any], limit: float | None) -> bool:
        """Wait for no next epoch: a server's process ends with its ring."""
        del promise, limit
        return False

    def _check_thread(self) -> None:
        if threading.get_ident() != self._thread:
            msg = "an enclave's or host's peers are called and waited for in its actor's own thread only"
            raise UsageError(msg)

    def tidy(self) -> None:
        """Let go of streams that nobody holds any more."""
        self.nudged = self._nudged = False
        self._taking.take_leave()

    def watch(self, promise: Promise[Any]) -> NoReturn:
        """Raise `UsageError`: a server has no event loop."""
        del promise
        msg = "a handler waits for its peers with .get(): a server has no event loop"
        raise UsageError(msg)

    def _flush(self, membership: Membership) -> bool:
        """Leave it to the mailbox, which sends before it waits."""
        del membership
        return True

    def _step(self, promise: Promise[Any], limit: float | None, *, eager: bool) -> Sequence[Settled]:
        """Have the mailbox take what arrives, once."""
        del eager
        if self._membership is not None:
            self._pump.pump(limit)
        elif not self._arrived:
            return [Settled(promise, error=RingDismantled())]
        return self._settled()


def note(error: BaseException) -> None:
    """Have an error remember that a call ended by it that a handler had made itself."""
    error.add_note(_OF_A_PEER)


def tells_its_caller(error: CallError) -> bool:
    """Return whether an error that a handler lets through is told to its caller, and is no mere incident."""
    if isinstance(error, _NOT_STARTED):
        return False
    of_a_peer = _OF_A_PEER in getattr(error, "__notes__", ())
    return isinstance(error, _PASSES) if of_a_peer else hasattr(error, "code")


class Peers:
    """The other servers, by name: `self.peers.vault`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: PeerCalls) -> None:
        """Take what carries the calls."""
        self._calls = calls

    def __getattr__(self, name: str) -> MemberProxy:
        """Return the enclave or host of that name; whether it may be called shows when it is."""
        if name.startswith("_"):
            raise AttributeError(name)
        return MemberProxy(self._calls, name)

    def __dir__(self) -> list[str]:
        """List the members with handlers that may be called."""
        return sorted({name.partition(".")[0] for name in self._calls.routes()})

    def __repr__(self) -> str:
        """Show who may be called."""
        return f"<Peers: {', '.join(dir(self)) or 'none'}>"
