"""The table at the end of the demonstration counts as shown what was shown, and nothing else."""

from __future__ import annotations

import io

import pytest

from trollbridge.messages.errors import WrongPassword
from trollbridge.ui_adapter.demo_report import FAILED, LEFT_OUT, SHOWN, LeftOut, NotShown, Part, Report, expect
from trollbridge.ui_adapter.screen import Screen


def _raise(error: BaseException) -> str:
    raise error


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (NotShown("it did not lock"), Part("locks", FAILED, "it did not lock")),
        (WrongPassword(), Part("locks", FAILED, f"WrongPassword: {WrongPassword()}")),
        (ValueError("two\nlines"), Part("locks", FAILED, "ValueError: two lines")),
        (LeftOut("gpg is not installed"), Part("locks", LEFT_OUT, "gpg is not installed")),
    ],
)
def test_what_a_part_raises_is_its_verdict(error: Exception, part: Part) -> None:
    """The next part runs all the same."""
    report = Report(Screen(io.StringIO()))
    report.show("locks", lambda: _raise(error))
    report.show("opens", lambda: "opened")
    assert report.parts == [part, Part("opens", SHOWN, "opened")]


def test_one_failure_is_enough_for_the_exit_code() -> None:
    """What is left out is no failure."""
    report = Report(Screen(io.StringIO()))
    report.show("opens", lambda: "opened")
    report.show("gpg", lambda: _raise(LeftOut("no gpg")))
    assert report.conclude() == 0
    report.show("locks", lambda: _raise(NotShown("no")))
    assert report.conclude() == 1


def test_an_output_that_is_closed_ends_the_parts() -> None:
    """Nobody reads: going on would show it to nobody."""
    report = Report(Screen(io.StringIO()))
    with pytest.raises(BrokenPipeError):
        report.show("writes", lambda: _raise(BrokenPipeError()))


def test_an_expectation_that_holds_is_silent() -> None:
    """And one that does not says its sentence."""
    expect(condition=True, otherwise="never")
    with pytest.raises(NotShown, match="two of them are one"):
        expect(condition=False, otherwise="two of them are one")
