"""The log's chain: whatever is done to a log afterwards shows, and with a key it shows whoever does it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.messages.blake2b_reference import blake2b
from trollbridge.actors.operations import verifying
from trollbridge.actors.operations.chain import (
    BEGINNING,
    UNMARKED,
    Chain,
    Head,
    LineKey,
    next_key,
    run_key,
    split,
)
from trollbridge.actors.operations.log import Log
from trollbridge.actors.operations.verifying import MOST_LINES, Verdict, Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KEY: Final = bytes(range(32))


class Written(NamedTuple):
    """A log, and the head after each of its lines."""

    lines: list[bytes]
    heads: list[Head]


def taken(run: int, key: bytes) -> Callable[[], tuple[int, bytes]] | None:
    """Return how a run takes its key."""
    return (lambda: (run, run_key(key))) if key else None


def written(runs: Sequence[Sequence[str]], key: bytes = b"") -> Written:
    """Write a log of so many runs, each with these events."""
    found = Written([], [])
    after = mark = ""
    for number, events in enumerate(runs, 1):
        chain = Chain(after, mark, taken(number, key))
        log = Log(lambda text: found.lines.append(text.encode().rstrip(b"\n")), chain)
        for event in events:
            log.line(event, 1, member="supervisor")
            found.heads.append(chain.head)
        after, mark = chain.head.chain, chain.head.mark
        key = next_key(key) if key else b""
    return found


def verdict(lines: Sequence[bytes], head: Head | None = None, key: bytes = b"", noted: str = "") -> Verdict:
    """Verify lines."""
    verifier = Verifier(key, head, noted)
    for number, line in enumerate(lines, 1):
        verifier.take(line, f"log:{number}")
    return verifier.end("log")


def places(found: Verdict) -> list[str]:
    """Return where something is wrong."""
    return [each.place for each in found.flaws]


RUN: Final = ("application.started", "ring.forming", "ring.sealed", "process.ended", "application.stopped")
LOGS: Final = {key: written([RUN, RUN, RUN], key) for key in (b"", KEY)}
KEYS: Final = pytest.mark.parametrize("key", LOGS, ids=["without a key", "with a key"])


@KEYS
def test_a_log_that_nobody_touched_is_intact(key: bytes) -> None:
    """A55: three runs, each in good order; also as it was after each line, with the head of that moment."""
    log = LOGS[key]
    found = verdict(log.lines, log.heads[-1], key)
    assert found == ((), 15, 3, True, 5, log.heads[-1].chain, 0, 0, False)
    for number, head in enumerate(log.heads, 1):
        part = verdict(log.lines[:number], head, key)
        assert (part.flaws, part.closed, part.seq) == ((), number % 5 == 0, head.seq)


def test_a_value_is_what_the_description_says() -> None:
    """A46: computed again by another implementation of BLAKE2b, from the bytes of the line."""

    def derived(label: bytes, secret: bytes, *parts: bytes) -> bytes:
        bound = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return blake2b(bound, key=secret, person=label, size=32)

    for secret, log in LOGS.items():
        value, mark = BEGINNING, b""
        proofs: list[bool] = []
        run_secret = line_secret = secret
        for line, head in zip(log.lines, log.heads, strict=True):
            if b'"seq":1,' in line and secret:
                line_secret = derived(b"tb1 log run", run_secret)
                run_secret = derived(b"tb1 log key", run_secret)
            body, stated = split(line)
            if b'"seq":1,' in line and mark:
                proofs.append(b'"proof":"%s"' % derived(b"tb1 log end", mark).hex().encode() in line)
            value = derived(b"tb1 log chain", line_secret, value, body)
            assert (stated, msgspec.json.decode(body)["seq"]) == (value.hex(), head.seq)
            if secret:
                mark = derived(b"tb1 log head", line_secret, head.seq.to_bytes(8, "big"), value)
                line_secret = derived(b"tb1 log key", line_secret)
            assert head.mark == (mark.hex() if secret else UNMARKED)
        assert proofs == [True] * 2 * bool(secret)


@KEYS
@given(data=st.data())
def test_a_changed_byte_shows_where_it_is(key: bytes, data: st.DataObject) -> None:
    """A55: any byte of any line, to any other value."""
    log = LOGS[key]
    number = data.draw(st.integers(0, len(log.lines) - 1))
    line = bytearray(log.lines[number])
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= data.draw(st.integers(1, 255))
    found = verdict([*log.lines[:number], bytes(line), *log.lines[number + 1 :]], log.heads[-1], key)
    assert places(found)[0] in {f"log:{number + 1}", f"log:{number + 2}", "log"}


@KEYS
@given(data=st.data())
def test_lines_that_are_missing_moved_or_put_in_show(key: bytes, data: st.DataObject) -> None:
    """A55: any run of lines removed, any two lines exchanged, any line repeated anywhere or taken from another log."""
    log = LOGS[key]
    numbers = st.integers(0, len(log.lines) - 1)
    first, last = sorted((data.draw(numbers), data.draw(numbers)))
    lines = [*log.lines]
    match data.draw(st.sampled_from(("removed", "exchanged", "repeated", "put in"))):
        case "removed":
            del lines[first : last + 1]
        case "exchanged":
            lines[first], lines[last] = lines[last], lines[first]
        case "repeated":
            lines.insert(last, lines[first])
        case _:
            other = written([RUN], key)
            lines.insert(last, other.lines[first % 5])
    found = verdict(lines, log.heads[-1], key)
    assert bool(found.flaws) == (lines != log.lines)


@KEYS
def test_what_is_wrong_is_said_and_where(key: bytes) -> None:
    """A55: a person is led to the line; what comes after it and is right is not blamed."""
    lines, head = LOGS[key].lines, LOGS[key].heads[-1]
    altered = lines[2].replace(b"ring.sealed", b"ring.spoilt")
    cases: list[tuple[list[bytes], list[str]]] = [
        ([*lines[:2], altered, *lines[3:]], ["log:3: it is not as it was written"]),
        ([*lines[:2], *lines[3:]], ["log:3: a line is missing before it"]),
        ([*lines[:1], *lines[4:]], ["log:2: 3 lines are missing before it"]),
        ([*lines[:3], lines[1], *lines[3:]], ["log:4: it is not in its place: line 2 of its run comes after line 3"]),
        ([*lines[:5], *lines[10:]], ["log:6: it does not go on from the line before it"]),
        ([*lines[5:]], ["log:1: the runs before it are missing"]),
        ([*lines[2:]], ["log:1: what comes before it is missing: it is line 3 of its run"]),
        ([*lines[:-2]], ["log: its end is missing: the head tells of line 5 of a run"]),
        ([*lines[:3], b"trollbridge: words", *lines[3:]], ["log:4: it is no line of a log"]),
        ([*lines[:3], split(lines[3])[0], *lines[4:]], ["log:4: it has no chain value", "log:5: a line is missing"]),
        ([], ["log: its end is missing"]),
    ]
    for changed, expected in cases:
        found = verdict(changed, head, key)
        said = [f"{each.place}: {each.what}" for each in found.flaws]
        assert len(said) == len(expected), said
        assert all(one.startswith(other) for one, other in zip(said, expected, strict=True)), said


def test_a_value_that_was_noted_shows_a_missing_end_without_a_head() -> None:
    """A55: what a person has written down, or another machine has."""
    log = LOGS[b""]
    noted = log.heads[9].chain
    assert verdict(log.lines, noted=noted).flaws == ()
    assert verdict(log.lines[:10], noted=noted).flaws == ()
    assert places(verdict(log.lines[:9], noted=noted)) == ["log"]


def test_without_a_key_who_knows_how_can_write_it_all_anew() -> None:
    """The limit, told in the command's help: only a value that lies elsewhere helps then."""
    forged = written([RUN[:1], RUN])
    assert verdict(forged.lines, forged.heads[-1]).flaws == ()
    assert verdict(forged.lines, noted=LOGS[b""].heads[-1].chain).flaws


def seized(at: int) -> tuple[Written, int, bytes]:
    """Return what lies on a machine that is taken over after line `at` of run 2: its log, and the next line's key."""
    log = LOGS[KEY]
    key = run_key(next_key(KEY))
    for _ in range(at):
        key = next_key(key)
    return Written(log.lines[: 5 + at], log.heads[: 5 + at]), at, key


def forge(log: Written, keep: int, key: bytes, events: Sequence[str]) -> Written:
    """Rewrite a log from line `keep` on, with the only key there is."""
    chain = Chain(log.heads[keep - 1].chain, "", lambda: (2, key))
    chain.head = log.heads[keep - 1]
    found = Written(log.lines[:keep], [])
    for event in events:
        line = b'{"time":1.0,"event":"%s","epoch":1,"member":"supervisor"}' % event.encode()
        found.lines.append(chain.stamp(line, first=False))
        found.heads.append(chain.head)
    return found


def test_with_a_key_the_past_of_a_machine_that_was_taken_over_stays_as_it_was() -> None:
    """A55: its key forges what comes; lines from before, altered or cut off, show, with any head that it can make."""
    log, at, key = seized(3)
    onwards = forge(log, len(log.lines), key, ["process.ended"])
    assert verdict(onwards.lines, onwards.heads[-1], KEY).flaws == ()
    for keep in range(1, 5 + at):
        forged = forge(log, keep, key, [*RUN[2:], *RUN[2:]])
        assert verdict(forged.lines, forged.heads[-1], KEY).flaws
        cut = log.lines[:keep]
        for head in (None, log.heads[-1], log.heads[keep - 1]._replace(mark=onwards.heads[0].mark)):
            assert verdict(cut, head, KEY).flaws
    unkeyed = written([RUN[:3]])
    assert verdict(unkeyed.lines, unkeyed.heads[-1], KEY).flaws
    judged = verdict(log.lines, log.heads[-1])  # without the key: neither intact nor altered
    assert (judged.flaws, judged.unjudged) == ((), True)


def test_a_run_that_is_missing_shows_however_the_next_one_was_told() -> None:
    """A55: the run after it names the value that it found."""
    for key in LOGS:
        lines, head = LOGS[key].lines, LOGS[key].heads[-1]
        for first, last in itertools.combinations((0, 5, 10, 15), 2):
            kept = [*lines[:first], *lines[last:]]
            assert verdict(kept, head, key).flaws, (first, last)


def test_what_a_run_says_of_the_one_before_it_makes_no_head_for_a_log_that_is_cut_off_there() -> None:
    """A55: whoever comes after run 3 finds its proof of run 2's end in it, and cuts run 3 off whole."""
    log = LOGS[KEY]
    shown: str = msgspec.json.decode(log.lines[10])["proof"]
    assert len(shown) == 64
    assert all(shown != each.mark for each in log.heads)
    for head in (log.heads[9]._replace(mark=shown), None, log.heads[9]._replace(mark=UNMARKED)):
        assert verdict(log.lines[:10], head, KEY).flaws
    assert verdict(log.lines[:10], log.heads[9], KEY).flaws == ()


def test_what_a_line_says_reaches_no_terminal() -> None:
    """A56: the words of a line that somebody has put in are printable, and short."""
    why = "\\u001b]0;owned\\u0007\\u001b[2J\\u009b31m" + "x" * 1000
    body = b'{"time":1.0,"event":"log.altered","epoch":0,"why":"%s","seq":1,"chain":"%s"}' % (why.encode(), b"0" * 64)
    said = verdict([body]).flaws[0].what
    assert said.startswith("here the application found: \ufffd]0;owned")
    assert (said.isprintable(), len(said) < 300) == (True, True)


def test_numbers_that_were_made_up_cost_the_verifier_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A56: the key is moved on by one for each line that is there; further only where the oldest file may begin."""
    steps: list[int] = []
    step = LineKey.step

    def counted(key: LineKey) -> None:
        steps.append(1)
        step(key)

    monkeypatch.setattr(LineKey, "step", counted)
    monkeypatch.setattr(verifying, "MOST_LINES", 1000)
    name = b"this is file 1 of the log; the oldest that is kept is file 1"
    line = b'{"time":1.0,"event":"%s","epoch":0,"detail":"' + name + b'","run":1,"seq":%d,"chain":"%s"}'
    lines = [line % (event, 900 * number, b"0" * 64) for number in (1, 2, 3) for event in (b"log.rotated", b"a")]
    found = verdict([*LOGS[KEY].lines[:5], *lines], key=KEY)
    assert (len(steps), places(found)[0]) == (8, "log:6")
    steps.clear()
    found = verdict(lines, key=KEY)
    assert (len(steps), places(found)[0]) == (899 + 3, "log:1")
    steps.clear()
    found = verdict([line % (b"log.rotated", 1002, b"0" * 64), *lines], key=KEY)
    assert (len(steps), found.flaws[0].what) == (3, "its number makes no sense, or its run is too long to be judged")


def test_what_follows_a_gap_in_a_run_is_told_by_its_links_and_the_next_run_by_its_key() -> None:
    """A55: the gap is the finding; the key of what follows in that run is not known, that of the next run is."""
    log = LOGS[KEY]
    altered = log.lines[6].replace(b"ring", b"rang")
    found = verdict([log.lines[0], *log.lines[2:6], altered, *log.lines[7:]], log.heads[-1], KEY)
    assert places(found) == ["log:2", "log:6"]


SPOILS: Final[tuple[Callable[[bytes], bytes], ...]] = (
    lambda line: line.replace(b'"seq":3', b'"seq":%d' % (10 * MOST_LINES)),
    lambda line: line.replace(b'"seq":3', b'"seq":-9'),
    lambda line: line.replace(b'"seq":3', b'"seq":"3"'),
    lambda line: line.replace(b'"seq":3', b'"run":99999999999,"seq":1'),
    lambda line: line.replace(b'"event"', b'"after":"zz","event"'),
    lambda line: b"[" * 100_000 + line,
    lambda line: line + b"\0",
    lambda line: b"\xff" + line,
    lambda _: b"",
    lambda _: b"{}",
    lambda _: b"null",
)


@pytest.mark.parametrize("spoil", SPOILS)
@KEYS
def test_rubbish_is_a_flaw_and_no_more(key: bytes, spoil: Callable[[bytes], bytes]) -> None:
    """A56: a hostile file costs neither time nor an exception."""
    lines = [*LOGS[key].lines]
    lines[2] = spoil(lines[2])
    assert places(verdict(lines, LOGS[key].heads[-1], key))[0] == "log:3"
