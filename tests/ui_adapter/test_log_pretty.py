"""A line of the log in words, and which lines a person asked for."""

from __future__ import annotations

import pytest
from msgspec import structs

from trollbridge.actors.operations.log import Line
from trollbridge.ui_adapter.log_pretty import LONGEST, Gathering, told
from trollbridge.ui_adapter.log_wanted import Found, Wanted, moment

LINE = Line(time=1.25, event="process.ended", epoch=2, member="vault", role="enclave", pid=42)


def test_a_line_says_when_what_who_why_and_what_next() -> None:
    """In the order in which a person asks; what a line does not say is left out."""
    full = structs.replace(
        LINE,
        incarnation=3,
        expected=False,
        signal="SIGKILL",
        why="it did not end in time",
        detail="sign",
        level="full",
        told_by="broker",
        restart=2,
        delay=0.25,
        next="the ring falls",
    )
    assert told(full).text == (
        "00:00:01.250  process.ended         vault (enclave, 42, process 3), says broker  SIGKILL; unexpected; "
        "it did not end in time; sign; kept full; restart 2; in 0.25 s; next: the ring falls"
    )
    assert told(LINE).text == "00:00:01.250  process.ended         vault (enclave, 42)"
    assert told(structs.replace(LINE, event="log.resumed", delay=2.291)).what == "after 2.29 s"
    assert (told(LINE).day, told(LINE).epoch) == ("1970-01-01 UTC", 2)
    assert told(structs.replace(LINE, expected=True, exit_code=0)).what == "exit code 0; expected"


@pytest.mark.parametrize("field", [each.name for each in structs.fields(Line)])
def test_every_field_that_says_something_is_shown(field: str) -> None:
    """Also one that this page does not know; but for the chain, which only `log verify` reads."""
    kind = next(each.type for each in structs.fields(Line) if each.name == field)
    value: object = "mark" if kind is str else 1234567 if kind is int else 1234567.0 if kind is float else None
    if value is None or field in {"seq", "chain", "proof"}:
        return
    found = told(structs.replace(LINE, **{field: value}))
    assert (
        field == "time" or "mark" in found.text or "1234567" in f"{found.epoch} {found.text}" or "1.23e" in found.text
    )


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\u202ereversed", "x" * 5000])
def test_what_a_line_holds_is_data(text: str) -> None:
    """Whoever wrote it: printable, one line, cut where it is too long."""
    for name in ("event", "member", "role", "why", "detail", "signal", "level", "told_by", "fingerprint", "next"):
        found = told(structs.replace(LINE, **{name: text})).text
        assert found.isprintable()
        assert len(found) < LONGEST + 200
    assert told(structs.replace(LINE, time=1e300)).clock == "?"


def test_a_person_gets_the_lines_that_were_asked_for() -> None:
    """By epoch, member, event and time; a member's own words count as its lines."""
    about = structs.replace(LINE, told_by="broker")
    for wanted in (
        *(Wanted(), Wanted(epoch=2), Wanted(members=("a", "vault")), Wanted(members=("broker",))),
        *(Wanted(events=("process",)), Wanted(events=("process.ended",)), Wanted(since=1.25)),
        Wanted(2, ("vault",), ("ring", "process"), 1.0),
    ):
        assert wanted.fits(about), wanted
    for wanted in (
        *(Wanted(epoch=1), Wanted(members=("console",)), Wanted(events=("ring",)), Wanted(since=1.3)),
        *(Wanted(events=("process.end",)), Wanted(2, ("vault",), ("ring",), 1.0)),
    ):
        assert not wanted.fits(about), wanted


def test_whoever_gets_no_line_is_told_why() -> None:
    """A55: a name with a slip in it, a member of whom there is nothing; whoever gets a line is told nothing more."""
    found = Found(Wanted(members=("nobody", "x\x1b[2J"), events=("process.endet", "process", "ring.sealed")))
    [unknown] = found.unknown()
    assert unknown.startswith("there is no event 'process.endet'; did you mean process.ended")
    assert not found.take(LINE)
    assert not found.take(structs.replace(LINE, member="console", told_by="broker"))
    assert [*found.missing(2)] == [
        "none of the 2 lines there is as asked for",
        "the lines there are of broker, console, vault",
    ]
    late = Found(Wanted(members=("vault",), since=99.0))
    assert not late.take(LINE)
    assert [*late.unknown(), *late.missing(1)] == ["none of the 1 lines there is as asked for"]
    for wanted in (Wanted(), Wanted(members=("vault", "nobody")), Wanted(events=("process",))):
        content = Found(wanted)
        assert content.take(LINE)
        assert [*content.unknown(), *content.missing(1)] == []
    assert [*Found(Wanted()).missing(0)] == []


def test_what_is_said_of_each_process_of_a_ring_is_told_once() -> None:
    """A55: one line for those that are locked alike and one for those that have joined; who is not kept stands out."""
    gathering = Gathering()
    locked = structs.replace(LINE, event="process.locked", level="full")
    joined = structs.replace(LINE, event="member.joined", time=1.75)
    lines = [
        locked,
        structs.replace(joined, time=1.5),
        structs.replace(locked, member="broker", role="broker", pid=41, time=1.5),
        structs.replace(joined, member="console", role="ui", pid=43),
        structs.replace(locked, member="guest", pid=44, level="partial", why="the machine lacks it", time=1.625),
    ]
    assert [gathering.take(each) for each in lines] == [[]] * 5
    sealed = structs.replace(LINE, event="ring.sealed", time=2.0)
    told_now = gathering.take(sealed)
    assert [f"{each.clock[-6:]} {each.event} {each.who}: {each.what}" for each in told_now] == [
        "01.500 process.locked vault (enclave, 42), broker (41): kept full",
        "01.625 process.locked guest (enclave, 44): the machine lacks it; kept partial",
        "01.750 member.joined vault (enclave, 42), console (ui, 43): ",
        "02.000 ring.sealed vault (enclave, 42): ",
    ]
    assert gathering.take(joined) == []
    assert [each.epoch for each in gathering.take(structs.replace(joined, epoch=3))] == [2]
    assert [each.epoch for each in gathering.rest()] == [3]
    assert gathering.rest() == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90s", 999_910), ("10m", 999_400), ("2h", 992_800), ("1d", 913_600), ("1970-01-01", 0)),
        *(("1970-01-01T00:01", 60), ("1970-01-01T00:01:00+01:00", -3540)),
    ],
)
def test_a_time_is_so_long_ago_or_a_date(text: str, seconds: float) -> None:
    """Without a zone it is UTC, as the log is told."""
    assert moment(text, 1_000_000.0) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-5m", "10 m", "yesterday", "1970-13-01", "9" * 40 + "d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """Instead of telling everything, or nothing."""
    with pytest.raises(ValueError, match=r"."):
        moment(text, 1_000_000.0)
