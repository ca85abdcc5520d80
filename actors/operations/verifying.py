"""The offline verifier of a log: whether every line is there, as it was written, in its order, up to the end.

May import: `msgspec`, our messages, `chain`, the log. Pure. Invariants: a log is intact only if nothing at all is wrong
with it; the first wrong line is named, and those after it are judged by what they say themselves; every byte is judged;
what a line says is shown only as printable words.

With a key, all runs of the key must be there from the first, or from the oldest file that is kept, without a gap, and
each must prove that it has found the head with which the one before it ended. It does not show whether somebody who
held the key of a run has let go of more files in it than --log-keep says: how many are gone is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from trollbridge.actors.operations.chain import BEGINNING, UNMARKED, LineKey, next_key, proof, run_key, split
from trollbridge.actors.operations.log import Line
from trollbridge.actors.operations.rotation import LONGEST_LINE, NUMBERED, is_torn
from trollbridge.messages.vault import printable

if TYPE_CHECKING:
    from trollbridge.actors.operations.chain import Head

MOST_FLAWS: Final = 20
"""Flaws that are told; there may be more."""
MOST_RUNS: Final = 10_000_000
"""Runs that a key is moved on by, at most."""
MOST_LINES: Final = 20_000_000
"""Lines of the oldest file's first run that may have been turned away: each takes a step of its key."""
LONGEST_WHY: Final = 200
"""Characters of a line's own words that are shown."""
_STARTS: Final = "application.started"
_STOPS: Final = "application.stopped"
_TURNS: Final = "log.rotated"
_ALTERED: Final = "log.altered"


class Flaw(NamedTuple):
    """What is wrong, and where."""

    place: str
    """Such as `notary.log:12`; a file alone, if it is about its end."""
    what: str


class Verdict(NamedTuple):
    """What a verifier has found."""

    flaws: tuple[Flaw, ...]
    lines: int
    runs: int
    """Runs whose beginning is there."""
    closed: bool
    """Whether the last run has ended in good order; if not it still runs, or it was killed."""
    seq: int
    """The last line's number within its run."""
    chain: str
    """The last line's value, in hex."""
    dropped: int = 0
    """Files before the oldest that is kept: --log-keep let go of them."""
    torn: int = 0
    """Bytes behind the last line, of one that is not whole: nothing vouches for them."""
    unjudged: bool = False
    """Whether lines are under a key that was not given: without a flaw nothing is said of them, good or bad."""


class Verifier:
    """Takes the lines of one log, from the oldest file that is left to the end."""

    def __init__(self, key: bytes = b"", head: Head | None = None, noted: str = "") -> None:
        """Take the verification key of a log that has one, the head beside it, and a value that somebody has noted."""
        self._key, self._next_run = key, 1
        self._keyed: Final = bool(key)
        self._line_key = LineKey(b"")
        self._unjudged = False
        self._blind = self._keyed
        """Whether the key of the lines that come is unknown, as their run's first line is not there or names no key."""
        self._head, self._noted = head, noted
        self._marked: tuple[int, str] | None = None
        """Number and mark of the line that the head is about, once it has come."""
        self._value: bytes | None = None
        self._seq = self._lines = self._runs = self._torn = 0
        self._end_mark = ""
        """With a key: the mark that a head has which is about the last line that has come."""
        self._event = ""
        self._files = 1, 1
        """Which file of the log is the first that is left, and which was when the last file was begun."""
        self._flaws: list[Flaw] = []

    def take(self, raw: bytes, place: str) -> None:
        """Take a line, without its end."""
        self._lines += 1
        body, stated = split(raw)
        try:
            line = msgspec.json.decode(raw, type=Line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._flaw(place, "it is no line of a log: altered, cut off, or put in")
            return
        if not stated:
            self._flaw(place, "it has no chain value: put in, or written by an older version")
            return
        self._event = line.event
        if line.event == _TURNS:
            self._note_file(line)
        if self._in_place(line, place):
            self._check(body, stated, line, place)

    def rest(self, raw: bytes, place: str, *, last: bool) -> None:
        """Take what stands behind the last newline of a file. `last`: it is the one that is being written."""
        if not raw:
            return
        if last and _is_whole(raw):  # but for its end
            self.take(raw, place)
        elif last and is_torn(raw) and len(raw) <= LONGEST_LINE:
            self._torn = len(raw)
        else:
            self._flaw(place, f"{len(raw)} bytes without a line's end: put in, or cut off")

    def end(self, place: str) -> Verdict:
        """Judge the end; return what was found. `place`: the last file."""
        head = self._head
        if head is None and self._keyed:
            self._flaw(place, "its head is missing: nothing shows where it ended")
        elif head is not None and (self._marked is None or self._marked[0] != head.seq):
            self._flaw(place, f"its end is missing: the head tells of line {head.seq} of a run")
        elif not self._blind and head is not None and self._marked is not None and self._marked[1] != head.mark:
            self._flaw(place, "the head is not under the key: its end may be missing")
        if self._noted:
            self._flaw(place, "the noted value is not in it: its end is missing, or it is another log")
        first, kept = self._files
        if kept < first:
            self._flaw(place, f"file {kept} of the log is missing, and all up to file {first}")
        chain = "" if self._value is None else self._value.hex()
        closed = self._event == _STOPS and not self._torn
        flaws = tuple(self._flaws)
        return Verdict(flaws, self._lines, self._runs, closed, self._seq, chain, first - 1, self._torn, self._unjudged)

    def _flaw(self, place: str, what: str) -> None:
        if len(self._flaws) < MOST_FLAWS:
            self._flaws.append(Flaw(place, what))

    def _note_file(self, line: Line) -> None:
        found = NUMBERED.fullmatch(line.detail)
        if found:
            here, kept = int(found[1]), int(found[2])
            self._files = here if self._value is None else self._files[0], kept

    def _in_place(self, line: Line, place: str) -> bool:
        """Look whether a line comes where it says that it does; return whether the next goes on from it."""
        self._runs += line.event == _STARTS
        if line.event == _ALTERED:
            self._flaw(place, f"here the application found: {printable(line.why[:LONGEST_WHY])}")
        if line.seq == 1 or (self._value is None and line.event == _TURNS):
            self._begin(line, place)
            return True
        expected = self._seq + 1
        if self._value is None:
            self._flaw(place, f"what comes before it is missing: it is line {line.seq} of its run")
        elif line.seq > expected:
            missing = line.seq - expected
            self._flaw(
                place, f"{missing} lines are missing before it" if missing > 1 else "a line is missing before it"
            )
        elif line.seq < expected:
            self._flaw(place, f"it is not in its place: line {line.seq} of its run comes after line {self._seq}")
            return False
        if line.seq != expected:
            self._lose_key()
        self._seq = line.seq
        return True

    def _begin(self, line: Line, place: str) -> None:
        """Begin with a run, or with the oldest file that was kept of one."""
        after = bytes.fromhex(line.after) if _is_value(line.after) else BEGINNING
        first = self._value is None
        missing = line.run - self._next_run if self._keyed else 0
        if first and line.event == _TURNS:
            pass  # those before it were turned away; that they may be gone is for the end to say
        elif first and (line.after or missing > 0):
            self._flaw(place, "the runs before it are missing")
        elif not first and after != self._value:
            self._flaw(place, "it does not go on from the line before it: lines or runs are missing between them")
        elif missing > 0 and not self._blind:
            self._flaw(place, f"{missing} runs of the key are missing before it" if missing > 1 else _A_RUN)
        elif self._end_mark and line.proof != proof(self._end_mark):
            self._flaw(place, "its run found no proof that the one before it ended here: lines may be missing")
        self._value, self._seq = after, 0
        self._take_key(line, place)
        if self._line_key:
            self._pass_over(line.seq - 1, place)
        self._seq = line.seq

    def _take_key(self, line: Line, place: str) -> None:
        self._line_key, self._blind = LineKey(b""), True
        if not self._keyed:
            self._blind = line.run != 0
            self._unjudged = self._unjudged or self._blind
            return
        if not self._next_run <= line.run <= MOST_RUNS:
            self._flaw(place, "this run is not under the key" if not line.run else "its run is not the next of the key")
            return
        for _ in range(line.run - self._next_run):
            self._key = next_key(self._key)
        self._line_key, self._blind = LineKey(run_key(self._key)), False
        self._key, self._next_run = next_key(self._key), line.run + 1

    def _pass_over(self, lines: int, place: str) -> None:
        """Move the key on over lines of a run that were turned away: once at most, at the beginning of all."""
        if not 0 <= lines <= MOST_LINES:
            self._flaw(place, "its number makes no sense, or its run is too long to be judged")
            self._lose_key()
        else:
            for _ in range(lines):
                self._line_key.step()

    def _lose_key(self) -> None:
        """Judge the rest of a run without its key, as a line of it has not the number that comes next.

        What a number says is nobody's word yet: to move the key on by it may take any time.
        """
        if self._line_key:
            self._line_key, self._blind = LineKey(b""), True

    def _check(self, body: bytes, stated: str, line: Line, place: str) -> None:
        value = self._line_key.value(self._value or BEGINNING, body)
        if value.hex() != stated and not self._blind and not (self._flaws and self._flaws[-1].place == place):
            self._flaw(place, "it is not as it was written: altered or put in, or the line before it is")
        self._value = bytes.fromhex(stated)
        self._end_mark = self._line_key.mark(self._seq, self._value) if self._line_key else ""
        if self._head is not None and stated == self._head.chain:
            self._marked = line.seq, self._end_mark or UNMARKED
        if stated == self._noted:
            self._noted = ""
        self._line_key.step()


_A_RUN: Final = "a run of the key is missing before it"


def _is_whole(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _is_value(text: str) -> bool:
    return len(text) == len(UNMARKED) and all(each in "0123456789abcdef" for each in text)
