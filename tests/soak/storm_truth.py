"""What the storm compares: how the calls ended as their caller was told, and what the servers had noted durably.

Imports the console's words. It owns one rule: whatever happened, each call has an end in time, no call was executed
twice, and what was told of it is so; else it raises `AssertionError`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.soak.storm_actors import GUEST
from tests.soak.storm_console import ANSWERED, DEADLINE, HANGING, KINDS, SLACK

if TYPE_CHECKING:
    from pathlib import Path

DONE: Final = "done"
NOT_STARTED: Final = "not-started"


class Ended(NamedTuple):
    """How one call ended."""

    word: str
    kind: str
    end: str
    seconds: float

    @property
    def outcome(self) -> str:
        """What is known of it."""
        return self.end.partition(":")[0]


class _Tail:
    """A file that grows, read by lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def read(self) -> list[str]:
        with self._path.open("rb") as file:
            file.seek(self._at)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._at += len(whole + newline)
        return whole.decode().splitlines()


class Truth:
    """Everything that was told and noted so far."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of the report and the journals."""
        self._report = _Tail(folder / "report")
        self._journals: Final = {name: _Tail(folder / f"{name}.journal") for name in ("keeper", "porter")}
        self._noted: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        """How many calls ended in which way."""
        self.slowest = 0.0
        """Seconds of the call that took longest."""

    def check(self, console: str, made: int) -> None:
        """Compare what is new; `made` calls has this incarnation of the console made, and none is in flight."""
        reported = [_parsed(line) for line in self._report.read()]
        for journal in self._journals.values():
            self._noted.update(journal.read())
        for each in reported:
            self._check_one(each)
            self._reported[each.word.partition("-")[0]] += 1
        assert self._reported[console] == made, f"lost silently: {made - self._reported[console]} calls"
        often = [f"{word}: {count} times" for word, count in self._noted.items() if count > _most(word)]
        assert not often, f"executed too often: {often[:3]}"

    def _check_one(self, each: Ended) -> None:
        count = self._noted[each.word]
        self.ends[each.end] += 1
        self.slowest = max(self.slowest, each.seconds)
        assert each.end != HANGING, each
        assert each.seconds <= DEADLINE + SLACK, each
        assert count <= _most(each.word), f"executed {count} times: {each}"
        if each.outcome in (ANSWERED, DONE):
            assert count, f"told that it was executed, and it was not: {each}"
        elif each.outcome == NOT_STARTED:
            assert not count, f"told that it was not executed, and it was: {each}"


def _most(word: str) -> int:
    """Return how often a word may have been executed: an idempotent call may have been sent again, once."""
    again = not word.startswith(GUEST) and KINDS[int(word.partition("-")[2]) % len(KINDS)] == "keeper.repeat"
    return 2 if again else 1


def _parsed(line: str) -> Ended:
    word, kind, end, seconds = line.split()
    return Ended(word, kind, end, float(seconds))
