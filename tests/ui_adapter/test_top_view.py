"""What `top` makes of two looks at an application: rates, times, histories, and lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import structs

from trollbridge.messages.measures import BUCKETS, MemberMeasure, bucket
from trollbridge.messages.operator import Measures, ProcessState, Snapshot
from trollbridge.ui_adapter.top_rates import TIMED, Look, Top, compared
from trollbridge.ui_adapter.top_view import PLOT, SHORTEST, View, aligned, fitted

if TYPE_CHECKING:
    from collections.abc import Sequence

TICKS: Final = 100
NOTHING: Final = (0,) * BUCKETS


def _process(member: str, role: str, pid: int, *, cpu: int = 0, level: str = "full") -> ProcessState:
    return ProcessState(member, role, "", pid, 1, "running", level, 0.0, 0, 32 << 20, cpu, "")


PROCESSES: Final = (
    _process("supervisor", "supervisor", 1, level=""),
    _process("broker", "broker", 2),
    _process("vault", "enclave", 3, cpu=50),
    _process("console", "ui", 4),
)


def _times(microseconds: int, count: int) -> tuple[int, ...]:
    found = [*NOTHING]
    found[bucket(microseconds)] = count
    return tuple(found)


def _look(  # noqa: PLR0913  # each test sets a few of them by name
    time: float,
    calls: int,
    *,
    latency: tuple[int, ...] = NOTHING,
    epoch: int = 1,
    processes: Sequence[ProcessState] = PROCESSES,
    fell: str = "",
) -> Look:
    console = MemberMeasure("console", calls, calls, 0, 2, 0, 254, 3, 10 * calls, 20 * calls, 0, latency)
    vault = MemberMeasure("vault", 0, 0, calls, 0, 2, 0, 0, 20 * calls, 10 * calls, 0, latency)
    snapshot = Snapshot(
        *("notary", 1, 0.0, "sealed", epoch, 900.0, fell, 1, 5, 30.0, "full", 7, "ab"),
        processes=tuple(processes),
    )
    return Look(time, snapshot, Measures(epoch, (console, vault)))


def _member(top: Top, name: str) -> dict[str, object]:
    return structs.asdict(next(each for each in top.members if each.member == name))


def test_rates_are_what_was_counted_between_two_looks() -> None:
    """Calls, bytes and processor time for each second; what tells how it stands is that of the last look."""
    busy = [structs.replace(each, cpu=each.cpu + 100) if each.member == "vault" else each for each in PROCESSES]
    top = compared([_look(10.0, 100), _look(12.0, 500, processes=busy)], TICKS)
    vault, console = _member(top, "vault"), _member(top, "console")
    assert (top.seconds, top.calls) == (2.0, 200.0)
    assert (console["calls"], console["served"], console["bytes_in"], console["bytes_out"]) == (
        200.0,
        0.0,
        2000.0,
        4000.0,
    )
    assert (vault["served"], vault["load"], vault["cpu"], vault["rss"]) == (200.0, 2, 0.5, 32 << 20)
    assert (console["in_flight"], console["credit_held"], console["refusals"], console["cpu"]) == (2, 254, 3, 0.0)


def test_times_are_those_of_the_last_ten_looks() -> None:
    """One call in sixteen is timed, so one look may have none; what is longer ago does not count any more."""
    looks = [_look(float(number), 10 * number, latency=_times(900, 50)) for number in range(TIMED + 2)]
    assert compared(looks, TICKS).p99 is None
    looks[-1] = _look(99.0, 999, latency=tuple(map(sum, zip(_times(900, 50), _times(4000, 5), strict=True))))
    top = compared(looks, TICKS)
    assert top.p50 is not None
    assert 0.0035 < top.p50 < 0.0045
    assert (_member(top, "vault")["p99"], _member(top, "broker")["p99"]) == (top.p99, None)


def test_one_look_has_times_and_no_rates() -> None:
    """Nothing is told that was not measured."""
    top = compared([_look(5.0, 100, latency=_times(900, 3))], TICKS)
    assert (top.seconds, top.calls, _member(top, "console")["calls"]) == (0.0, 0.0, 0.0)
    assert top.p50 is not None


def test_a_new_ring_and_a_new_process_count_from_zero() -> None:
    """No rate is negative, and none is that of what another ring has done."""
    new = [structs.replace(each, pid=each.pid + 100, cpu=1) for each in PROCESSES]
    top = compared([_look(10.0, 5000), _look(11.0, 30, epoch=2, processes=new)], TICKS)
    assert (top.epoch, top.calls, _member(top, "vault")["cpu"]) == (2, 30.0, 0.0)


def test_without_a_broker_there_is_nothing_to_count() -> None:
    """While the ring forms, or falls, the processes are told all the same."""
    top = compared([_look(10.0, 5), _look(11.0, 9)._replace(measures=None)], TICKS)
    assert (top.calls, top.p50, len(top.members)) == (0.0, None, 4)


def test_a_person_sees_the_ring_its_processes_and_how_the_calls_have_gone() -> None:
    """Columns are aligned; a process that does not run stands out; no line holds what could steer a terminal."""
    view = View(TICKS)
    gone = [*PROCESSES[:3], structs.replace(PROCESSES[3], pid=0, state="away", level="\x1b[2J")]
    counts = enumerate((0, 100, 300, 300))
    *_, top = [view.take(_look(float(n), calls, processes=gone, fell="vault ended\x1b[2J")) for n, calls in counts]
    lines = view.lines(top, 942.0)
    texts = [text for text, _ in lines]
    assert texts[0] == "notary (1): ring 1 sealed for 42 s, kept full"
    assert texts[1].startswith("1 of 5 restarts; the last ring fell: vault ended")
    assert texts[2].strip() == "▅█▁  0 calls/s, p50 –, p99 –"
    assert texts[4].replace("IN FLIGHT", "FLIGHT").split()[6:] == [
        *("CALLS/S", "SERVED/S", "P50", "P99", "FLIGHT", "QUEUE", "CREDIT", "REFUSED", "RESTARTS", "HISTORY"),
    ]
    assert [style for _, style in lines[5:]] == ["", "", "", "bad"]
    assert texts[7].split()[-1] == "▅█▁"
    assert all(each.isprintable() for each in texts)


def test_a_picture_that_is_old_says_so() -> None:
    """Of an application that does not answer: for how long, and how it was then."""
    view = View(TICKS)
    top = view.take(_look(1.0, 1))
    assert view.lines(top, 942.0, silent=8.2)[0] == (
        "NO ANSWER for 8 s; before: notary (1): ring 1 sealed for 33 s, kept full",
        "bad",
    )
    assert view.lines(top, 942.0)[0] == ("notary (1): ring 1 sealed for 42 s, kept full", "heading")


def test_a_plot_never_outgrows_its_column() -> None:
    """However long somebody looks."""
    view = View(TICKS)
    *_, top = [view.take(_look(float(number), number * number)) for number in range(3 * PLOT)]
    widths = {len(text) for text in aligned(view.rows(top))[3:]}
    assert len(widths) == 1
    assert len(view.rows(top)[3][-1]) == PLOT


def test_a_narrow_terminal_gets_the_columns_that_are_asked_for_most() -> None:
    """No line is wider than there is room; plots are cut at their older end first; names and rates stay."""
    view = View(TICKS)
    *_, top = [view.take(_look(float(n), n * n, latency=_times(900, n))) for n in range(3 * PLOT)]
    whole = view.rows(top)
    assert fitted(whole, None) == fitted(whole, 500) == whole
    full = max(map(len, aligned(whole)))
    cut = fitted(whole, full - 5)
    assert cut[0] == whole[0]
    assert cut[3] == [*whole[3][:-1], whole[3][-1][5:]]
    for width in range(40, full):
        rows = fitted(whole, width)
        assert max(map(len, aligned(rows))) <= width
        assert {"NAME", "STATE", "CALLS/S", "SERVED/S"} <= {*rows[0]}
        assert rows[0][-1] != "HISTORY" or len(rows[3][-1]) >= SHORTEST
    assert fitted(whole, 80)[0][-1] == "HISTORY"
    assert len(fitted(whole, 1)[0]) == 4


def test_what_is_told_as_json_has_all_of_it() -> None:
    """For scripts: the names are the keys."""
    top = compared([_look(10.0, 100), _look(12.0, 500)], TICKS)
    assert msgspec.json.decode(msgspec.json.encode(top), type=Top) == top
