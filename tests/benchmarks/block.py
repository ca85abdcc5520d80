"""One block of the benchmark: a contender is started, measured from end to end and ended, in one setting.

Imports the conversation, the process tree and the statistics. Blocks never overlap, so nobody's idle processes take
time from somebody else's measure.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tests.benchmarks.contender import LARGE, Limit
from tests.benchmarks.conversation import ContenderFailedError, Conversation
from tests.benchmarks.environments import CACHE, LOGS
from tests.benchmarks.process_tree import children_of_all, descendants, weight_mib
from tests.benchmarks.sample_statistics import Metric, Setting, latency_figures, megabytes_per_second, per_second

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.benchmarks.conversation import Reply
    from tests.benchmarks.roster import Entry

HERE = Path(__file__).resolve().parent
IN_FLIGHT = 256
START_SECONDS = 30.0
ANSWER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each measure of a block lasts at most, and how many rounds there are."""

    rounds: int
    latency: Limit
    pipelined: Limit
    bulk: Limit
    total_seconds: float


FULL = Plan(4, Limit(1000, 0.5), Limit(20_000, 0.5), Limit(80, 0.4), 280.0)
QUICK = Plan(1, Limit(500, 0.3), Limit(8_000, 0.3), Limit(40, 0.2), 55.0)


@dataclass(frozen=True, slots=True)
class BlockResult:
    """The figures of a block and what must be said beside them."""

    figures: dict[Metric, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def processors(setting: Setting) -> set[int]:
    """Choose the processors of a setting: the last one that we may use, or all of them."""
    allowed = os.sched_getaffinity(0)
    return {max(allowed)} if setting is Setting.PINNED else allowed


def environment() -> dict[str, str]:
    """Give the drivers' environment: ours, the checkout to import from, no wish of ours to keep bytecode uncached."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return inherited | {
        "PYTHONPATH": str(HERE.parents[1]),
        "GIT_CEILING_DIRECTORIES": str(CACHE),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def start(entry: Entry, python: str, setting: Setting) -> Conversation:
    """Start the contender's driver."""
    return Conversation(
        [python, str(HERE / entry.driver), *entry.arguments],
        cpus=processors(setting),
        environment=environment(),
        log=LOGS / f"{entry.name}.txt",
    )


def milliseconds(later: Reply, earlier: int) -> float:
    """Give the time between the moment of a reply and an earlier one, both on the system's monotonic clock."""
    return (cast("int", later["at"]) - earlier) / 1e6


def trial(entry: Entry, python: str) -> None:
    """Start and end the contender once, unrecorded, so that caches are warm. Raises ContenderFailedError."""
    with start(entry, python, Setting.FREE) as contender:
        contender.expect({"answered"}, START_SECONDS)


def measure(entry: Entry, python: str, setting: Setting, plan: Plan) -> BlockResult:
    """Run one block. Raises ContenderFailedError if the contender does not even start."""
    result = BlockResult()
    with start(entry, python, setting) as contender:
        answered = contender.expect({"answered"}, START_SECONDS)
        result.figures[Metric.START] = milliseconds(answered, contender.began)
        try:
            measure_calls(contender, plan, result)
            measure_memory(contender, result)
            measure_recovery(contender, result)
        except ContenderFailedError as failure:
            result.notes.append(f"{failure} in the middle")
    return result


def measure_calls(contender: Conversation, plan: Plan, result: BlockResult) -> None:
    """Add the figures of latency, pipelined calls and bulk."""
    reply = ask(contender, "latency", plan.latency, result)
    if reply:
        result.figures.update(latency_figures(cast("list[int]", reply["samples"])))
    reply = ask(contender, "pipelined", plan.pipelined, result)
    if reply:
        result.figures[Metric.PIPELINED] = per_second(*rate_of(reply))
        if reply["in_flight"] != IN_FLIGHT:
            result.notes.append(
                "pipelined: loses calls with that many in flight, so the quickest smaller number counts"
            )
    reply = ask(contender, "bulk", plan.bulk, result)
    if reply:
        result.figures[Metric.BULK] = megabytes_per_second(*rate_of(reply), len(LARGE))


def ask(contender: Conversation, what: str, limit: Limit, result: BlockResult) -> Mapping[str, object] | None:
    """Ask for one measure; None, and a note, where the contender cannot do it. Raises ContenderFailedError."""
    reply = contender.ask(what, limit, in_flight=IN_FLIGHT, seconds=ANSWER_SECONDS)
    if reply["event"] == "measured":
        return reply
    result.notes.append(f"{what}: {reply['why']}")
    return None


def rate_of(reply: Mapping[str, object]) -> tuple[int, float]:
    """Read calls and seconds out of a reply."""
    return cast("int", reply["calls"]), cast("float", reply["seconds"])


def measure_memory(contender: Conversation, result: BlockResult) -> None:
    """Add the proportional set sizes of the broker and of every process of the contender."""
    reply = contender.ask("roles", Limit(1, 1.0), in_flight=1, seconds=ANSWER_SECONDS)
    roles = cast("dict[str, int]", reply["roles"])
    broker = roles.get("broker")
    if broker is None:
        others = set(children_of_all()[contender.pid]) - set(roles.values())
        broker = others.pop() if len(others) == 1 else None
    weights = {
        Metric.BROKER_MEMORY: weight_mib([broker]) if broker is not None else None,
        Metric.ALL_MEMORY: weight_mib(descendants(os.getpid())),
    }
    for metric, weight in weights.items():
        if weight is None:
            result.notes.append(f"{metric}: may not be read")
        else:
            result.figures[metric] = weight


def measure_recovery(contender: Conversation, result: BlockResult) -> None:
    """Add the time from SIGKILL of the enclave to the first answered call."""
    contender.tell({"ask": "recover"})
    reply = contender.expect({"killed", "cannot"}, ANSWER_SECONDS)
    if reply["event"] == "cannot":
        result.notes.append(f"recovery: {reply['why']}")
        return
    back = contender.expect({"measured", "answered"}, ANSWER_SECONDS)
    result.figures[Metric.RECOVERY] = milliseconds(back, cast("int", reply["at"]))
