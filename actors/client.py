"""The client: calls handlers of enclaves and brings their replies, from any thread, across epochs.

May import: our messages, the other actors modules. Invariants: one thread at a time reads the link, and it is one
that waits for a reply; a promise is resolved outside the lock; when the ring falls every promise resolves.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from trollbridge.actors import sockets
from trollbridge.actors.membership import Membership, Pending, Settled
from trollbridge.actors.opening import absent, demand_sealed, opened
from trollbridge.actors.promise import Promise, guarded
from trollbridge.actors.sockets import LinkLost
from trollbridge.actors.taking import Taking
from trollbridge.messages.errors import (
    AuthenticationFailed,
    DeadlineExceeded,
    Outcome,
    ProtocolError,
    Quarantined,
    RingDismantled,
    UsageError,
)
from trollbridge.messages.limits import LARGEST_RECORD, LONGEST_WAIT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trollbridge.actors.intake import Told
    from trollbridge.actors.route import Route
    from trollbridge.messages.control import MemberRecord
    from trollbridge.messages.ids import HandlerName
    from trollbridge.messages.posture import Posture
    from trollbridge.messages.ring_key import Sealed

MOST_UNSENT: Final = 32
"""Calls that may share a record before it is sent without waiting for more."""
GLANCE: Final = 0.1
"""Seconds that a read of the link blocks at most, before the waiting thread looks at the clock."""
DEADLY: Final = 2
"""Crashes of its enclave that a call may be outstanding at."""


class Watcher(Protocol):
    """An event loop that reads the link."""

    def leave_soon(self) -> None:
        """Stop reading it; called from any thread."""


class Client:
    """What the bridge stands on: one for a process, whatever the epoch."""

    def __init__(self) -> None:
        """Start without a ring."""
        self._lock = threading.Lock()
        self._pumping = threading.Lock()
        self._turn = threading.Condition()
        self._followers = 0
        self._membership: Membership | None = None
        self._buffer = bytearray(LARGEST_RECORD)
        self._sealed = threading.Event()
        self._gone = threading.Event()
        self._suspects: dict[bytes, int] = {}
        self.watchers: Final[list[Watcher]] = []
        """Event loops that read the link of this epoch."""
        self._nudged = False
        self._taking = Taking(self, self._lock, self._used, lambda: self.nudge())  # noqa: PLW0108  # it is set later
        self.members: tuple[MemberRecord, ...] = ()
        self.postures: tuple[Posture, ...] = ()
        self.nudge: Callable[[], None] = lambda: None
        """Asks for `tend` soon, for calls that nobody waits for yet."""
        self.close_window: Callable[[], None] | None = None
        """Has the supervisor note that this process loads foreign code, and returns once it has; only a UI's does."""
        self.foreign = False
        """Whether this process has loaded foreign code, or is about to."""

    # The ring comes and goes.

    def attach(self, membership: Membership, members: tuple[MemberRecord, ...]) -> None:
        """Take part in an epoch, now that its ring is sealed."""
        end = membership.endpoint.socket
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, int(GLANCE * 1e6)))
        with self._lock:
            self._membership = membership
            self.members = members
        self._gone.clear()
        self._sealed.set()

    def detach(self, died: str = "") -> None:
        """Leave the epoch: forget its keys and tell every outstanding call what is known of it."""
        self._sealed.clear()
        with self._lock:
            membership, self._membership = self._membership, None
            if membership is None:
                return
            sockets.cut(membership.endpoint.socket)
            settled, blamed = membership.drop(died)
            if blamed is not None:
                digest = blamed.digest()
                self._suspects[digest] = self._suspects.get(digest, 0) + 1
        self._settle(settled)
        self._gone.set()
        watchers, self.watchers[:] = tuple(self.watchers), ()
        for watcher in watchers:
            watcher.leave_soon()
        with self._pumping:  # whoever reads the old link has let go of it now
            membership.endpoint.socket.close()

    def wait_sealed(self, timeout: float | None = None) -> bool:
        """Wait until a ring is sealed, at most `timeout` seconds; return whether one is."""
        return self._sealed.wait(timeout)

    def wait_dismantled(self, epoch: int, timeout: float | None = None) -> bool:
        """Wait until the ring of `epoch` has fallen, at most `timeout` seconds; return whether it has."""
        membership = self._membership
        return membership is None or membership.epoch != epoch or self._gone.wait(timeout)

    @property
    def epoch(self) -> int | None:
        """The epoch of the sealed ring, or None while there is none."""
        membership = self._membership
        return None if membership is None else membership.epoch

    def routes(self) -> Mapping[HandlerName, Route]:
        """Return the handlers that may be called in this epoch; none while there is no ring."""
        membership = self._membership
        return {} if membership is None else membership.routes

    def open(self, sealed: Sealed) -> object:
        """Return the result that `sealed` holds; raises `AuthenticationFailed` if it is not for this ring and role.

        Raises `NotGranted` if this member may not call its handler, `UsageError` for what is no `Sealed`.
        """
        return self._open(sealed, None)

    def open_as(
        self, name: HandlerName, sealed: Sealed, positional: tuple[object, ...], named: Mapping[str, object]
    ) -> object:
        """Return what `sealed` holds if it is a result or an item of this handler for exactly these arguments.

        Raises `AuthenticationFailed` otherwise, and as `call` does for a handler or for arguments that cannot be.
        """
        membership = self._membership
        if membership is None:
            raise AuthenticationFailed
        route = membership.routes.get(name)
        if route is None:
            raise absent(membership, name)
        demand_sealed(sealed)
        what = route.asked(positional, named)
        if sealed.handler.partition("[")[0] != name:
            raise AuthenticationFailed
        return self._open(sealed, what)

    def _open(self, sealed: Sealed, what: bytes | None) -> object:
        demand_sealed(sealed)
        if self.foreign:
            msg = "this process has loaded foreign code, and opens nothing any more"
            raise UsageError(msg)
        with self._lock:
            if self._membership is None:
                raise AuthenticationFailed
            return opened(self._membership, sealed, what)

    def admit_foreign_code(self) -> None:
        """Let go of the ring key, and of every later ring, for good; after that, foreign code may be loaded.

        Raises `UsageError` if this process is no UI's, `RingDismantled` if its ring has fallen.
        """
        if self.close_window is None:
            msg = "only a user interface loads plugins over its bridge"
            raise UsageError(msg)
        with self._lock:
            if self._membership is None:
                raise RingDismantled(outcome=Outcome.NOT_STARTED)
            self.foreign = True
            self._membership.drop_ring_key()
        self.close_window()

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
        """Call a handler and return the `Promise` of its result, or the `Stream` of one that yields.

        `within` seconds after which nobody needs the result; `progress(sent, total)` in bytes, for long arguments;
        a stream's handler says itself what it counts.
        Raises `NotGranted`, `NoSuchHandler`, `InvalidArguments`, `TooLarge`, `Quarantined` or `RingDismantled` at
        once, before anything is sent.
        """
        membership = self._membership
        if membership is None:
            raise RingDismantled(outcome=Outcome.NOT_STARTED)
        route = membership.routes.get(name)
        if route is None:
            raise absent(membership, name)
        content = route.content(positional, named)
        until = None if within is None else time.monotonic() + within
        promise: Promise[Any] = Promise(self, until)
        pending = Pending(promise, route, content, 0 if until is None else int(until * 1e6), progress)
        if self._suspects and self._suspects.get(pending.digest(), 0) >= DEADLY:
            raise Quarantined
        stream = None if route.item is None else self._taking.open(pending)
        with self._lock:
            if self._membership is not membership:
                raise RingDismantled(outcome=Outcome.NOT_STARTED)
            alone = not membership.calls
            membership.call(pending)
            ready = membership.endpoint.ready
            sent = (alone or ready >= MOST_UNSENT) and self._flush(membership)
            if not self._nudged and (not sent or membership.starving):
                self._nudged = True
                self.nudge()
        if membership.reports:
            self._settle(())
        return promise if stream is None else stream

    def _used(self, pending: Pending) -> None:
        """Note, with the lock held, that a stream's item was used, and ask for more when it is time."""
        membership = self._membership
        if membership is not None and membership.taken(pending) and not self._flush(membership):
            self.nudge()

    def _flush(self, membership: Membership) -> bool:
        try:
            return membership.endpoint.flush()
        except LinkLost:
            return True  # the supervisor knows: the ring is about to fall, and every promise with it

    def flush(self) -> bool:
        """Send what waits to be sent; return whether nothing is left."""
        with self._lock:
            return self._membership is None or self._flush(self._membership)

    def tend(self) -> bool:
        """Do what nobody who waits has done since the nudge: send, and take credit for calls that lack it.

        Return whether calls still lack credit, so that this must be done again soon.
        """
        self._nudged = False
        self._taking.take_leave()
        self.flush()
        membership = self._membership
        if membership is not None and membership.starving:
            self._nudged = self.poll() and self.flush() and membership.starving
        return self._nudged

    def poll(self) -> bool:
        """Take what has arrived, without waiting, unless another thread does so; return whether the link lives."""
        membership = self._membership
        if membership is None:
            return False
        if not self._pumping.acquire(blocking=False):
            return True
        try:
            settled = self._read(membership, socket.MSG_DONTWAIT)
        finally:
            self._pumping.release()
        self._settle(settled or ())
        self._pass_on()
        return settled is not None

    def tap(self, watcher: Watcher) -> int | None:
        """Return a descriptor of its own on the link, to watch for arrivals; the watcher learns when the ring falls."""
        with self._lock:
            if self._membership is None:
                return None
            self.watchers.append(watcher)
            return os.dup(self._membership.endpoint.socket.fileno())

    # Waiting.

    def wait(self, promise: Promise[Any], until: float | None) -> None:
        """Read the link, or let another thread do so, until the promise is done or the time has come."""
        limits = [each for each in (until, promise.deadline) if each is not None]
        limit = min(limits) if limits else None
        eager = False
        while not promise.done:
            if limit is not None and time.monotonic() >= limit:
                if limit == promise.deadline:
                    promise.resolve(error=DeadlineExceeded())
                break
            if not self._pumping.acquire(blocking=False):
                self._follow(promise, limit)
                continue
            try:
                eager = not eager
                settled = self._step(promise, limit, eager=eager)
            finally:
                self._pumping.release()
            self._settle(settled)  # with nothing held: callbacks may call and wait themselves
        self._pass_on()

    def _follow(self, promise: Promise[Any], limit: float | None) -> None:
        with self._turn:
            self._followers += 1
            try:
                timeout = LONGEST_WAIT if limit is None else min(max(0.0, limit - time.monotonic()), LONGEST_WAIT)
                self._turn.wait_for(lambda: promise.done or not self._pumping.locked(), timeout)
            finally:
                self._followers -= 1

    def _pass_on(self) -> None:
        if self._followers:
            with self._turn:
                self._turn.notify_all()

    def _step(self, promise: Promise[Any], limit: float | None, *, eager: bool) -> Sequence[Settled]:
        """Read once. If `eager`, and others' replies may be there, do not wait and let what is ready to go wait too."""
        membership = self._membership
        if membership is None:
            return [Settled(promise, error=RingDismantled())] if self._gone.wait(GLANCE) else ()
        if eager and membership.calls > 1:
            return self._read(membership, socket.MSG_DONTWAIT) or ()
        with self._lock:
            flushed = self._flush(membership)
        left = GLANCE if limit is None else limit - time.monotonic()
        if flushed and left >= GLANCE:
            return self._read(membership, 0) or ()
        poll = select.poll()
        poll.register(membership.endpoint.socket, select.POLLIN if flushed else select.POLLIN | select.POLLOUT)
        poll.poll(1e3 * max(0.0, min(left, GLANCE)))
        return self._read(membership, socket.MSG_DONTWAIT) or ()

    def _read(self, membership: Membership, flags: int) -> list[Settled] | None:
        """Take one record, if there is one; return what it settles, None if the link is gone."""
        try:
            length = membership.endpoint.socket.recv_into(self._buffer, 0, flags)
        except BlockingIOError:
            return []
        except OSError:
            length = 0
        if not length:
            if self._membership is membership:
                self._gone.wait(GLANCE)  # the control channel has the word that tells all promises
            return None
        settled: list[Settled] = []
        with self._lock:
            if self._membership is not membership:
                return None
            try:
                items = membership.endpoint.open(memoryview(self._buffer)[:length])
            except ProtocolError:
                return []
            for item, body in items:
                with contextlib.suppress(ProtocolError, KeyError):
                    settled += membership.take(item, body)
            membership.spread()
        return settled

    def _settle(self, settled: Sequence[Settled]) -> None:
        for each in settled:
            each.promise.resolve(each.value, each.error)
        if settled:
            self._pass_on()
        membership = self._membership
        while membership is not None and membership.reports:
            report, sent, total = membership.reports.popleft()
            guarded(report, sent, total)

    def cancel(self, promise: Promise[Any]) -> None:
        """Forget a call that has not been sent; end a stream."""
        with self._lock:
            membership = self._membership
            if membership is not None and membership.forget(promise) and not self._flush(membership):
                self.nudge()
        self._pass_on()

    def watch(self, promise: Promise[Any]) -> None:
        """Keep the link read by the running asyncio loop until the promise is done."""
        from trollbridge.actors.looping import watch  # noqa: PLC0415  # asyncio costs 30 ms: only those who await pay for it

        watch(self, promise)
