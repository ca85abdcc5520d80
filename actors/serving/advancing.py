"""The streams that run in one actor: each is asked for its next item in its turn, in between the calls.

May import: our messages, the other actors modules. Invariants: one stream after the other, a few items at a time; none
is asked while its client has no room for an item; whatever ends one, its generator is closed and its client told once.
"""

from __future__ import annotations

import heapq
import math
import time
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

from trollbridge.actors.handlers import WrongType
from trollbridge.actors.serving.flow import Flow, FlowState
from trollbridge.actors.serving.streaming import News, Pause, Progress
from trollbridge.messages.error_words import LATE
from trollbridge.messages.errors import CallError, Cancelled, DeadlineExceeded, HandlerFailed, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.actors.serving.invocation import Invocation
    from trollbridge.actors.serving.server import Serving

BURST: Final = 16
"""Items that one stream may give in one turn."""
SLICE: Final = 0.001
"""Seconds after which a turn ends, however few items it had."""
MOST_MOMENTS: Final = 64
"""Moments, for each stream, after which those of streams that have ended are forgotten."""


class Ended(NamedTuple):
    """A stream's last step: its result, or the error that its caller is told."""

    value: object = None
    error: CallError | None = None


class Stage(Protocol):
    """The actor whose streams these are, and what can be waited for in its process."""

    def step(self, invocation: Invocation, iterator: Iterator[object]) -> object:
        """Return what a stream yields next, or that it has `Ended`."""
        ...

    def close(self, invocation: Invocation, iterator: Iterator[object]) -> None:
        """Let a stream clean up; nothing that it raises gets out."""

    def incident(self, invocation: Invocation, error: BaseException) -> HandlerFailed:
        """Log a failure and return what its caller is told."""
        ...

    def watch(self, descriptor: int) -> bool:
        """Wait for this descriptor too; return False if that cannot be waited for."""
        ...

    def ignore(self, descriptor: int) -> None:
        """Wait for it no longer."""


class _Stream:
    """One stream that runs."""

    __slots__ = ("descriptor", "flow", "iterator", "news", "queued", "reminder", "until")

    def __init__(self, flow: Flow, iterator: Iterator[object]) -> None:
        self.flow: Final = flow
        self.iterator: Final = iterator
        self.queued = False
        """Whether it waits for its turn; otherwise for room, a descriptor, a time or other code."""
        self.until: float | None = None
        self.descriptor: int | None = None
        self.news: News | None = None
        self.reminder: float | None = None
        """The next moment at which it is looked at."""

    @property
    def paused(self) -> bool:
        """Whether it has said what it waits for."""
        return self.descriptor is not None or self.until is not None or self.news is not None

    @property
    def moment(self) -> float | None:
        """When it must be looked at, at the latest."""
        deadline = self.flow.deadline / 1e6 if self.flow.deadline else None
        moments = [each for each in (self.until, deadline) if each is not None]
        return min(moments) if moments else None


class Advancing:
    """Every stream of one actor."""

    def __init__(self, serving: Serving, stage: Stage) -> None:
        """Take what sends the items, and what runs the generators."""
        self._serving: Final = serving
        self._stage: Final = stage
        self._streams: Final[dict[Flow, _Stream]] = {}
        self._ready: Final[deque[_Stream]] = deque()
        self._idle: Final[dict[_Stream, None]] = {}
        """Those that wait until other code of the actor has run."""
        self._watched: Final[dict[int, list[_Stream]]] = {}
        self._moments: Final[list[tuple[float, int, _Stream]]] = []
        self._number: Final = count()

    def __len__(self) -> int:
        """Return how many streams run."""
        return len(self._streams)

    @property
    def ready(self) -> bool:
        """Whether a stream waits for its turn."""
        return bool(self._ready or self._serving.stirred)

    @property
    def flows(self) -> tuple[Flow, ...]:
        """The streams that run."""
        return tuple(self._streams)

    def begin(self, invocation: Invocation, value: object) -> None:
        """Let a stream run; `value` is what its handler has returned."""
        flow = self._serving.flow(invocation.origin)
        iterator: Any = value
        if not hasattr(iterator, "__next__"):
            exported = invocation.exported
            error = self._stage.incident(invocation, WrongType("result", exported.name, exported.where))
            self._serving.fail(invocation.origin, error)
        elif flow is None:
            self._stage.close(invocation, iterator)
        else:
            stream = self._streams[flow] = _Stream(flow, iterator)
            self._arm(stream)
            self._queue(stream)
            if flow.state is not FlowState.OPEN:
                self._end(stream, Ended(error=Cancelled()))

    # What may wake a stream.

    def others_ran(self) -> None:
        """Note that other code of the actor has run."""
        idle = tuple(self._idle)
        for each in idle:
            self._queue(each)

    def readable(self, descriptor: int) -> None:
        """Note that there is something to read."""
        for each in tuple(self._watched.get(descriptor, ())):
            self._queue(each)

    def left(self) -> float | None:
        """Return the seconds until a stream is to be asked again; None: not before something happens."""
        if self.ready:
            return 0.0
        return max(0.0, self._moments[0][0] - time.monotonic()) if self._moments else None

    def _queue(self, stream: _Stream) -> None:
        if not stream.queued and stream.flow in self._streams:
            stream.queued = True
            self._unpause(stream)
            self._ready.append(stream)

    def _unpause(self, stream: _Stream) -> None:
        self._idle.pop(stream, None)
        stream.until = None
        news, stream.news = stream.news, None
        if news is not None:
            news.wake = None
        descriptor, stream.descriptor = stream.descriptor, None
        if descriptor is not None:
            watchers = self._watched[descriptor]
            watchers.remove(stream)
            if not watchers:
                del self._watched[descriptor]
                self._stage.ignore(descriptor)

    def _arm(self, stream: _Stream) -> None:
        """See to it that a stream is looked at in time."""
        moment = stream.moment
        if moment is None or (stream.reminder is not None and stream.reminder <= moment):
            return
        stream.reminder = moment
        if len(self._moments) > MOST_MOMENTS * (1 + len(self._streams)):  # mostly of streams that have ended
            self._moments[:] = [each for each in self._moments if each[2].flow in self._streams]
            heapq.heapify(self._moments)
        heapq.heappush(self._moments, (moment, next(self._number), stream))

    def _stir(self) -> None:
        """Take note of what clients have said, and of the moments that have come."""
        stirred = self._serving.stirred
        if stirred:
            flows = tuple(stirred)
            stirred.clear()
            for flow in flows:
                self._stirred(flow)
        while self._moments and self._moments[0][0] <= time.monotonic():
            moment, _, stream = heapq.heappop(self._moments)
            if moment == stream.reminder and stream.flow in self._streams:
                self._due(stream, moment)

    def _due(self, stream: _Stream, moment: float) -> None:
        stream.reminder = None
        if stream.flow.deadline and stream.flow.deadline / 1e6 <= moment:
            self._end(stream, Ended(error=DeadlineExceeded(LATE)))
            return
        if stream.until is not None and stream.until <= moment:
            self._queue(stream)
        self._arm(stream)

    def _stirred(self, flow: Flow) -> None:
        stream = self._streams.get(flow)
        if stream is None:
            return
        if flow.state is not FlowState.OPEN:
            self._end(stream, Ended(error=Cancelled()))
        elif not stream.paused:
            self._queue(stream)

    # A turn.

    def turn(self) -> None:
        """Ask the next stream for a few items, if one is ready."""
        self._stir()
        if not self._ready:
            return
        stream = self._ready.popleft()
        stream.queued = False
        if stream.flow not in self._streams:
            return
        gave = self._ask(stream)
        if gave:
            others = [each for each in self._idle if each is not stream]
            for each in others:
                self._queue(each)

    def _ask(self, stream: _Stream) -> bool:
        """Ask a stream for items; return whether it gave any, or ended."""
        flow, limit, gave = stream.flow, time.monotonic() + SLICE, False
        for _ in range(BURST):
            if not self._serving.roomy(flow):
                return gave  # whatever makes room stirs it
            yielded = self._stage.step(flow.invocation, stream.iterator)
            if flow.state is not FlowState.OPEN:  # meanwhile, while it waited for a call of its own
                self._end(stream, Ended(error=Cancelled()))
                return True
            if isinstance(yielded, Pause):
                self._pause(stream, yielded)
                return gave
            gave = True
            if isinstance(yielded, Ended):
                self._end(stream, yielded)
                return True
            error = self._give(flow, yielded)
            if error is not None:
                self._end(stream, Ended(error=error))
                return True
            if time.monotonic() >= limit:
                break
        self._queue(stream)
        return gave

    def _give(self, flow: Flow, yielded: object) -> CallError | None:
        """Send what a stream has yielded; return the error that ends it instead."""
        try:
            if isinstance(yielded, Progress):
                self._serving.tell(flow, yielded)
            else:
                self._serving.give(flow, flow.invocation.exported.encode_item(yielded))
        except CallError as error:
            return error
        except (msgspec.MsgspecError, ProtocolError, TypeError, ValueError, OverflowError, RecursionError) as error:
            return self._stage.incident(flow.invocation, error)
        return None

    def _pause(self, stream: _Stream, pause: Pause) -> None:
        if pause == Pause():
            self._idle[stream] = None
            return
        if pause.until is not None and math.isnan(pause.until):
            error = self._stage.incident(stream.flow.invocation, ValueError("a pause until no time"))
            self._end(stream, Ended(error=error))
            return
        stream.until = pause.until
        self._arm(stream)
        if pause.news is not None:
            if pause.news.arrived:
                self._queue(stream)
                return
            stream.news = pause.news
            pause.news.wake = lambda: self._queue(stream)
        if pause.readable is not None:
            if pause.readable not in self._watched and not self._stage.watch(pause.readable):
                self._queue(stream)  # a file, say: always readable; or closed: the stream will see that itself
                return
            stream.descriptor = pause.readable
            self._watched.setdefault(pause.readable, []).append(stream)

    def _end(self, stream: _Stream, ended: Ended) -> None:
        """Let a stream go, and tell its client the result or the error, if anybody waits."""
        flow = stream.flow
        if self._streams.pop(flow, None) is None:
            return
        self._unpause(stream)
        invocation = flow.invocation
        self._stage.close(invocation, stream.iterator)
        if self._serving.flow(invocation.origin) is not flow:
            return
        error = ended.error
        if error is None:
            try:
                encoded = invocation.exported.encode_result(ended.value)
            except WrongType as failure:
                error = self._stage.incident(invocation, failure)
            else:
                self._serving.answer(invocation, encoded)
                return
        self._serving.fail(invocation.origin, error)

    def close(self) -> None:
        """Let every stream clean up: the ring has fallen, or the process ends."""
        streams = tuple(self._streams.values())
        self._streams.clear()
        self._ready.clear()
        for each in streams:
            self._unpause(each)
            self._stage.close(each.flow.invocation, each.iterator)
