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
from typing import TYPE_CHECKING, Any, Final

from trollbridge.actors.calling.awaiting import Awaiting
from trollbridge.actors.calling.opening import absent, not_loaded, unsent
from trollbridge.actors.calling.pending import Pending, Settled
from trollbridge.actors.calling.promise import Promise
from trollbridge.actors.calling.taking import Taking
from trollbridge.actors.calling.waiting import Waiting
from trollbridge.actors.processes import sockets
from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.messages.errors import ProtocolError, UsageError
from trollbridge.messages.limits import LARGEST_RECORD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trollbridge.actors.calling.intake import Told
    from trollbridge.actors.calling.membership import Membership
    from trollbridge.actors.calling.renewing import Word
    from trollbridge.actors.calling.route import Route
    from trollbridge.actors.calling.waiting import Watcher
    from trollbridge.messages.control import MemberRecord, Verdict
    from trollbridge.messages.ids import HandlerName
    from trollbridge.messages.posture import Posture

MOST_UNSENT: Final = 32
"""Calls that may share a record before it is sent without waiting for more."""
GLANCE: Final = 0.1
"""Seconds that a read of the link blocks at most, before the waiting thread looks at the clock."""


class Client(Waiting):
    """What the bridge stands on: one for a process, whatever the epoch."""

    def __init__(self) -> None:
        """Start without a ring."""
        super().__init__()
        self._buffer = bytearray(LARGEST_RECORD)
        self._sealed = threading.Event()
        self._gone = threading.Event()
        self._awaiting = Awaiting()
        self.watchers: Final[list[Watcher]] = []
        """Event loops that read the link of this epoch."""
        self._returning: list[Watcher] = []
        """Event loops that read the last link, or would have: what they wait for may have been kept for the next."""
        self._nudged = False
        self._taking = Taking(self, self._lock, self._used, lambda: self.nudge())  # noqa: PLW0108  # it is set later
        self.members: tuple[MemberRecord, ...] = ()
        self.postures: tuple[Posture, ...] = ()
        self.nudge: Callable[[], None] = lambda: None
        """Asks for `tend` soon, for calls that nobody waits for yet."""
        self.close_window: Callable[[], None] | None = None
        """Has the supervisor note that this process loads foreign code, and returns once it has; only a UI's does."""

    # The ring comes and goes.

    def attach(self, membership: Membership, members: tuple[MemberRecord, ...]) -> None:
        """Take part in an epoch, now that its ring is sealed."""
        end = membership.endpoint.socket
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, int(GLANCE * 1e6)))
        with self._lock:
            settled = self._carrying.keep(self._awaiting.end())
            self._membership = membership
            self.members = members
            settled += self._carry_on(membership)
            returning, self._returning = self._returning, []
        self._gone.clear()
        self._sealed.set()
        self._settle(settled)
        self._pass_on()
        for watcher in returning:
            watcher.return_soon()

    def _carry_on(self, membership: Membership) -> list[Settled]:
        """Send, with the lock held, what was kept for this; return what the calls are told that cannot go out."""
        ready, settled = self._carrying.take(membership.routes)
        for pending in ready:
            membership.call(pending)
        if ready and (not self._flush(membership) or membership.starving):
            self._nudged = True
            self.nudge()
        return settled

    def hold(self) -> None:
        """Let no new call out before the next epoch, nor one that still waits for credit: the keys are changed."""
        with self._lock:
            self._carrying.holding = True
            for pending in () if self._membership is None else self._membership.withhold():
                self._carrying.hold(pending)

    def drained(self) -> bool:
        """Pump; return whether no call is in flight any more, but for streams."""
        self.poll()
        self.flush()
        membership = self._membership
        return membership is None or not membership.calls

    def detach(self, *, stays: bool = False) -> None:
        """Leave the epoch: forget its keys and tell every outstanding call what is known of it.

        If this process `stays`, for the next epoch, it keeps the calls that may go out then, and those that were sent
        wait for the verdicts on their servers.
        """
        self._sealed.clear()
        with self._lock:
            membership, self._membership = self._membership, None
            settled = [] if membership is None else self._dropped(membership, stays=stays)
            if not stays:
                settled += self._carrying.end() + self._awaiting.end()
        self._settle(settled)
        if membership is None:
            return
        self._gone.set()
        watchers, self.watchers[:] = tuple(self.watchers), ()
        for watcher in watchers:
            watcher.leave_soon()
        with self._pumping:  # whoever reads the old link has let go of it now
            membership.endpoint.socket.close()

    def _dropped(self, membership: Membership, *, stays: bool) -> list[Settled]:
        sockets.cut(membership.endpoint.socket)
        settled = membership.drop()
        if not stays:
            return settled
        self._carrying.fell(membership)
        self._returning = list(self.watchers)
        known = self._awaiting.sort(settled)
        for verdict in membership.renewing.verdicts():
            known += self._awaiting.judged(verdict)
        return self._carrying.keep(known)

    def judge(self, verdict: Verdict) -> None:
        """Tell the calls that a server had been sent what became of them."""
        with self._lock:
            if self._membership is not None and self._membership.renewing.judge(verdict):
                return
            gone = self._membership is not None and self._membership.renewing.gone(verdict.server)
            settled = self._carrying.keep(self._awaiting.judged(verdict, gone=gone))
            if self._membership is not None and not self._carrying.holding:
                settled += self._carry_on(self._membership)
        self._settle(settled)

    def host_changed(self, word: Word) -> None:
        """Take the supervisor's word of a host that this client calls; raises `ProtocolError` for what cannot be."""
        with self._lock:
            membership = self._membership
            if membership is None:
                return
            membership.renewing.told(word)
            settled = self._of_lost(membership)
            if not self._nudged and (not self._flush(membership) or membership.starving):
                self._nudged = True
                self.nudge()
        self._settle(settled)

    def _of_lost(self, membership: Membership) -> list[Settled]:
        """Return, with the lock held, what calls to hosts that have left are told by now; the others are kept."""
        renewing = membership.renewing
        if not renewing.lost and not renewing.judged:
            return []
        settled = self._carrying.keep([*self._awaiting.sort(renewing.lost), *renewing.judged])
        renewing.lost, renewing.judged = [], []
        return settled if self._carrying.holding else settled + self._carry_on(membership)

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
        last = self._carrying.last
        membership = self._membership or last
        return {} if membership is None else membership.routes

    def admit_foreign_code(self) -> None:
        """Let go of the ring key, and of every later ring, for good; after that, foreign code may be loaded.

        Raises `UsageError` if this process is no UI's, `RingDismantled` if its ring has fallen.
        """
        if self.close_window is None:
            msg = "only a user interface loads plugins over its bridge"
            raise UsageError(msg)
        with self._lock:
            if self._membership is None:
                raise not_loaded()
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
        Raises `NotGranted`, `NoSuchHandler`, `InvalidArguments`, `TooLarge` or `RingDismantled` at once, before
        anything is sent. While the keys are changed, the call waits and is made in the next epoch.
        """
        last = self._carrying.last
        membership = self._membership or last  # in this order: who comes just as the next epoch begins finds it
        if membership is None:
            raise unsent(name)
        route = membership.routes.get(name)
        if route is None:
            raise absent(membership, name)
        content = route.content(positional, named)
        until = None if within is None else time.monotonic() + within
        promise: Promise[Any] = Promise(self, until)
        pending = Pending(promise, route, content, 0 if until is None else int(until * 1e6), progress)
        stream = None if route.item is None else self._taking.open(pending)
        with self._lock:
            settled = self._begin(pending, membership)
        if settled or membership.reports:
            self._settle(settled)
        return promise if stream is None else stream

    def _begin(self, pending: Pending, membership: Membership) -> list[Settled]:
        """Send a call, with the lock held, or keep it for the next epoch; return what it is told if that has begun.

        What the minder's callbacks call goes on while the keys are changed: they are part of calls in flight.
        """
        current, keeps = self._membership, self._carrying
        if keeps.holding and (current is None or threading.get_ident() != self.minder):
            keeps.hold(pending)
            return []
        if current is not membership:
            if current is None or membership is not keeps.last:
                raise unsent(pending.route.name)
            keeps.hold(pending)
            return self._carry_on(current)
        alone = not membership.calls
        membership.call(pending)
        ready = membership.endpoint.ready
        sent = (alone or ready >= MOST_UNSENT) and self._flush(membership)
        if not self._nudged and (not sent or membership.starving):
            self._nudged = True
            self.nudge()
        return []

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
        """Return a descriptor of its own on the link, to watch for arrivals; the watcher learns when the ring falls.

        Without a ring, return None; if calls are kept, the watcher learns when the next one is there.
        """
        with self._lock:
            if self._membership is None:
                if self._carrying or self._awaiting:
                    self._returning.append(watcher)
                return None
            self.watchers.append(watcher)
            return os.dup(self._membership.endpoint.socket.fileno())

    # Waiting.

    def _step(self, promise: Promise[Any], limit: float | None, *, eager: bool) -> Sequence[Settled]:
        """Read once. If `eager`, and others' replies may be there, do not wait and let what is ready to go wait too."""
        del promise
        membership = self._membership
        if membership is None:
            return ()
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
            settled += self._of_lost(membership)
        return settled

    def cancel(self, promise: Promise[Any]) -> None:
        """Forget a call that has not been sent; end a stream."""
        with self._lock:
            self._carrying.forget(promise)
            membership = self._membership
            if membership is not None and membership.forget(promise) and not self._flush(membership):
                self.nudge()
        self._pass_on()

    def watch(self, promise: Promise[Any]) -> None:
        """Keep the link read by the running asyncio loop until the promise is done."""
        from trollbridge.actors.calling.looping import watch  # noqa: PLC0415  # asyncio costs 30 ms: only those who await pay for it

        watch(self, promise)
