"""The log: one JSON line for each transition, of known fields, and nothing that can break it out of its line."""

from __future__ import annotations

import json
import logging

import msgspec
import pytest

from trollbridge.actors import exits
from trollbridge.actors.ends import describe
from trollbridge.actors.log import Line, Log
from trollbridge.actors.places import place


def test_a_line_has_what_it_was_given_and_the_time() -> None:
    """A55: defaults are left out, so that a person can read it."""
    written: list[str] = []
    Log(written.append).line("ring.sealed", 2, member="supervisor", fingerprint="ab", restart=0)
    [text] = written
    found = json.loads(text)
    assert (text.endswith("\n"), text.count("\n"), found.pop("time") > 1.6e9) == (True, 1, True)
    assert found == {"event": "ring.sealed", "epoch": 2, "member": "supervisor", "fingerprint": "ab"}


def test_a_line_break_in_a_value_stays_in_its_line() -> None:
    """I6: nobody forges a second line."""
    written: list[str] = []
    Log(written.append).line("x", 1, why='a\nb\r\n{"event":"ring.sealed"}\u2028')
    assert written[0].count("\n") == 1
    assert msgspec.json.decode(written[0], type=Line).why == 'a\nb\r\n{"event":"ring.sealed"}\u2028'


@pytest.mark.parametrize("fields", [{"pid": "7"}, {"why": 7}, {"expected": "yes"}, {"member": b"x"}, {"why": object()}])
def test_a_field_holds_its_type_only(fields: dict[str, object]) -> None:
    """I6: no object slips in by its repr."""
    with pytest.raises((msgspec.ValidationError, TypeError)):
        Log(str).line("x", 1, **fields)


def test_every_line_goes_to_the_logger_too(caplog: pytest.LogCaptureFixture) -> None:
    """A55: for who embeds the supervisor."""
    written: list[str] = []
    with caplog.at_level(logging.INFO, "trollbridge"):
        Log(written.append).line("x", 1)
    assert [record.getMessage() + "\n" for record in caplog.records] == written


@pytest.mark.parametrize("error", [OSError(28, "full"), ValueError("closed"), BrokenPipeError()])
def test_a_place_that_cannot_be_written_to_stops_nothing(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """A55: a full disk or a closed terminal."""

    def full(_text: str) -> None:
        raise error

    Log(full).line("x", 1)
    assert caplog.records[-1].getMessage() == "the log cannot be written"


def test_a_place_in_the_code_names_no_value() -> None:
    """I6: module and line of the innermost frame; nothing of the exception."""

    def fails(canary: str) -> None:
        raise ValueError(canary)

    with pytest.raises(ValueError, match="canary") as raised:
        fails("canary")
    where = place(raised.tb)
    assert (where.rpartition(":")[0], "canary" in where, place(None)) == (__name__, False, "")
    assert where.rpartition(":")[2] == str(fails.__code__.co_firstlineno + 1)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(0, (0, "")), (3, (3, "")), (-9, (None, "SIGKILL")), (-11, (None, "SIGSEGV")), (-63, (None, "signal 63"))],
)
def test_an_exit_status_is_a_code_or_a_signal(status: int, expected: tuple[int | None, str]) -> None:
    """A55: never both."""
    assert describe(status) == expected


def test_exit_codes_mean_one_thing_each() -> None:
    """K5: a person can look them up."""
    codes = {name: value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert len(set(codes.values())) == len(codes)
    assert (
        codes.items()
        >= {"RING_LOST": 69, "UI_CRASHED": 70, "BOOT_FAILED": 71, "OUTPUT_CLOSED": 74, "DECLARATION": 78}.items()
    )
