"""The tables of the recovery and re-formation benchmarks, and the roles that their contenders play."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from tests.benchmarks import crash_driver, reformation
from tests.benchmarks.recovery import NEEDS, ROSTER, Found, report
from tests.benchmarks.test_processes import PROGRAM
from tests.soak.soaking import Held, Soaked

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


class _Phoenix:
    """Somebody whose process is another one after the third call."""

    def __init__(self) -> None:
        self.answers: Iterator[int | None] = iter([7, 7, None, 8])

    def start(self) -> None:
        """Nothing."""

    def who(self) -> int:
        """Give the next answer."""
        answer = next(self.answers)
        if answer is None:
            raise ConnectionError
        return answer

    def stop(self) -> None:
        """Nothing."""


def test_a_crash_is_over_once_another_process_answers(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither an answer of the old process nor an error ends the measure."""
    sent: list[tuple[int, int]] = []
    crash_driver.crash(_Phoenix(), signal.SIGKILL, lambda pid, number: sent.append((pid, number)))
    assert sent == [(7, signal.SIGKILL)]
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [each["event"] for each in said] == ["sent", "back"]
    assert said[1]["calls"] == 3
    assert said[0]["at"] < said[1]["at"]


def test_the_table_says_what_was_not_noticed_and_what_calls_were_told() -> None:
    """One row each; who did not notice a stopped process is said to take longer than was waited."""
    rows = report(
        [
            Found("ours: x", [200.0, 300.0, 250.0], [2500.0], [2700.0], {"answered": 5, "not started": 59}),
            Found("theirs", [0.25], [], [None]),
            Found("absent", note="needs erlc"),
        ]
    ).splitlines()
    assert [row.split()[-4:] for row in rows[1:3]] == [["250", "300", "2500", "2700"], ["–", ">", "15", "s"]]
    assert rows[2].split()[1:3] == ["0.25", "0"]
    assert rows[3].endswith("needs erlc")
    assert rows[4] == "calls in flight at a SIGKILL, ours: 5 answered, 59 not started"


def test_every_contender_has_its_driver() -> None:
    """Each by its own name, and each driver is there."""
    assert len({entry.name for entry in ROSTER}) == len(ROSTER)
    assert all(PROGRAM.with_name(entry.driver.split("/")[0]).exists() for entry in ROSTER)
    assert set(NEEDS) <= {entry.driver for entry in ROSTER}


def test_the_table_of_re_formations_shows_first_and_last() -> None:
    """Descriptors, and memory at first, once caches are warm, and at last."""
    held = [Held(16, 1024 * mebibytes) for mebibytes in range(30, 43)]
    table = reformation.report(Soaked(120, 6, 6, 6.0, {"supervisor": held})).splitlines()
    assert table[0] == "12 re-formations in 6 s, 500 ms each"
    assert table[-1].split() == ["supervisor", "16", "16", "16", "30.0", "40.0", "42.0", "42.0"]
