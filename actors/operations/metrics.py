"""The figures of a running application, for whoever draws them: from the log, the kernel and the broker.

May import: our messages and actors. Invariants: names and numbers only, with members, roles and events as labels, so
that their number is bounded and nothing that a message said is among them; nothing here waits for the broker.
"""

from __future__ import annotations

import enum
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from trollbridge.actors.operations.snapshot import Facts, facts
from trollbridge.messages.ids import SUPERVISOR
from trollbridge.messages.measures import BUCKETS, least

if TYPE_CHECKING:
    from trollbridge.actors.operations.log import Line, Log
    from trollbridge.actors.operations.measuring import Measuring
    from trollbridge.actors.processes.reactor import Reactor
    from trollbridge.actors.supervision.children import Children
    from trollbridge.messages import control
    from trollbridge.messages.measures import MemberMeasure

EVERY: Final = 15.0
"""Seconds between two sets of figures, as often as Prometheus asks unless it is told otherwise."""
BOUNDS: Final = tuple(1 << power for power in range(6, 27, 2))
"""Of the histogram of times, in microseconds: 64 µs to 67 s. Each is where a bucket of the broker's ends."""


Labels: TypeAlias = tuple[str, ...]


class Kind(enum.Enum):
    """What a figure is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Distribution(NamedTuple):
    """How many took how long."""

    cumulative: tuple[int, ...]
    """For each of `BOUNDS`, how many took less; then all."""
    total: float
    """Seconds, all together; to an eighth of it."""


class Family(NamedTuple):
    """Figures of one name."""

    name: str
    kind: Kind
    means: str
    labels: Labels
    samples: Mapping[Labels, float | Distribution]


Publish: TypeAlias = Callable[[Sequence[Family]], None]
"""Takes a whole set of figures; raises `OSError` where it cannot."""


def distribution(histogram: Sequence[int]) -> Distribution:
    """Return the broker's histogram with few, standing bounds; exact, as each of them is a bound of its own."""
    ends = [least(number + 1) for number in range(BUCKETS)]
    running = list(accumulate(histogram))
    cumulative = [max((running[at] for at, end in enumerate(ends) if end <= bound), default=0) for bound in BOUNDS]
    middles = ((least(number) + ends[number] - 1) / 2e6 for number in range(BUCKETS))  # of whole microseconds
    total = sum(count * middle for count, middle in zip(histogram, middles, strict=True))
    return Distribution((*cumulative, running[-1]), total)


_OF_MEMBERS: Final[tuple[tuple[str, Kind, str, Callable[[MemberMeasure], float | Distribution]], ...]] = (
    ("calls_total", Kind.COUNTER, "Calls that a member has made and that the broker has passed on.", lambda m: m.calls),
    ("replies_total", Kind.COUNTER, "Replies to them that were passed on.", lambda m: m.replies),
    ("served_total", Kind.COUNTER, "Calls that were passed on to it.", lambda m: m.served),
    ("refusals_total", Kind.COUNTER, "What the broker has refused of it.", lambda m: m.refusals),
    ("received_bytes_total", Kind.COUNTER, "Bytes of the records that it has sent.", lambda m: m.bytes_in),
    ("sent_bytes_total", Kind.COUNTER, "Bytes of the records that were sent to it.", lambda m: m.bytes_out),
    ("calls_in_flight", Kind.GAUGE, "Its own calls without a reply.", lambda m: m.in_flight),
    ("calls_waiting", Kind.GAUGE, "Calls of others that it has not answered.", lambda m: m.load),
    ("credit", Kind.GAUGE, "UIDs that it has and has not used.", lambda m: m.credit_held),
    ("queued_bytes", Kind.GAUGE, "Bytes that wait for it in the broker.", lambda m: m.queued),
    ("call_seconds", Kind.HISTOGRAM, "How long one call in 16 took.", lambda m: distribution(m.latency)),
)


class Metrics:
    """Gathers the figures, and has them published. A subscriber of the log and a timer of the supervisor's loop."""

    def __init__(self, publish: Publish, log: Log, processes: Children, measuring: Measuring) -> None:
        """Take where the figures go, and where they come from."""
        self._publish = publish
        self._log = log
        self._processes = processes
        self._measuring = measuring
        self._events: Counter[Labels] = Counter()
        self._starts: Counter[Labels] = Counter()
        self._unexpected: Counter[Labels] = Counter()
        self._epoch, self._sealed = 0, False
        self._forming_since = self._forming = 0.0
        self._failing = False
        self.due: float | None = 0.0
        """When the next set is due, by the monotonic clock."""

    def heard(self, line: Line) -> None:
        """Count a line of the log."""
        self._events[line.event,] += 1
        self._epoch = line.epoch
        match line.event:
            case "ring.forming":
                self._forming_since = line.time
            case "ring.sealed":
                self._sealed, self._forming = True, line.time - self._forming_since
            case "ring.dismantling":
                self._sealed = False
            case "process.started":
                self._starts[line.member, line.role] += 1
            case "process.ended" if not line.expected:
                self._unexpected[line.member, line.role] += 1
            case _:
                pass

    def tick(self, now: float) -> None:
        """Ask the broker what it has counted, if it is time; the figures are published once it has told."""
        if self.due is not None and now >= self.due:
            self.due = now + EVERY
            self._measuring.ask(self._measured)

    def close(self) -> None:
        """Publish the last figures: the application has ended."""
        self.due = None
        self._measured(None, up=False)

    def _measured(self, measures: control.Measures | None, *, up: bool = True) -> None:
        try:
            self._publish([*self._own(up=up), *self._of_processes(up=up), *_of_members(measures)])
        except OSError as error:
            if not self._failing:
                why = error.strerror or type(error).__name__
                self._log.line("metrics.failed", self._epoch, member=SUPERVISOR, why=why, next="the next set is tried")
            self._failing = True
        else:
            self._failing = False

    def _own(self, *, up: bool) -> list[Family]:
        members = ("member", "role")
        return [
            _gauge("up", "Whether the application runs.", up),
            _gauge("time_seconds", "When these figures were gathered, in seconds since 1970.", round(time.time(), 3)),
            _gauge("epoch", "The number of the ring.", self._epoch),
            _gauge("ring_sealed", "Whether there is a sealed ring.", self._sealed),
            _gauge("ring_forming_seconds", "How long the last ring took to form.", round(self._forming, 6)),
            _counts("events_total", "Lines of the log, by their event.", ("event",), self._events),
            _counts("process_starts_total", "Processes that were started.", members, self._starts),
            _counts("process_failures_total", "Processes that ended unexpectedly.", members, self._unexpected),
        ]

    def _of_processes(self, *, up: bool) -> list[Family]:
        found: dict[Labels, Facts] = {(SUPERVISOR, SUPERVISOR): facts(os.getpid())}
        if up:
            found |= {(each.member, each.role.value): facts(each.pid) for each in self._processes}
        memory = {labels: float(each.rss) for labels, each in found.items()}
        ticks = os.sysconf("SC_CLK_TCK")
        seconds = {labels: each.cpu / ticks for labels, each in found.items()}
        members = ("member", "role")
        return [
            Family("trollbridge_memory_bytes", Kind.GAUGE, "Memory that a process holds.", members, memory),
            _counts("cpu_seconds_total", "Processor time that a process has used.", members, seconds),
        ]


def _of_members(measures: control.Measures | None) -> list[Family]:
    found = () if measures is None else measures.measures
    return [
        Family(f"trollbridge_{name}", kind, means, ("member",), {(each.member,): figure(each) for each in found})
        for name, kind, means, figure in _OF_MEMBERS
    ]


def _gauge(name: str, means: str, value: float) -> Family:
    return Family(f"trollbridge_{name}", Kind.GAUGE, means, (), {(): float(value)})


def _counts(name: str, means: str, labels: Labels, counts: Mapping[Labels, float]) -> Family:
    samples = {values: float(count) for values, count in counts.items()}
    return Family(f"trollbridge_{name}", Kind.COUNTER, means, labels, samples)


def attach(
    publish: Publish | None, log: Log, reactor: Reactor, processes: Children, measuring: Measuring
) -> Callable[[], None]:
    """Have the figures published, if anywhere, for as long as the loop turns; return what ends it."""
    if publish is None:
        return lambda: None
    metrics = Metrics(publish, log, processes, measuring)
    log.subscribe(metrics.heard)
    reactor.timers.append(metrics)
    return metrics.close
