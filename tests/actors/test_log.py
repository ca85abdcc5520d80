"""The log: one JSON line for each transition, of known fields, and nothing that can break it out of its line."""

from __future__ import annotations

import json
import logging
import re

import msgspec
import pytest

from trollbridge.actors import exits
from trollbridge.actors.operations.log import Line, Log
from trollbridge.actors.processes.places import place
from trollbridge.actors.reference import ActorRef
from trollbridge.actors.supervision.ends import describe
from trollbridge.messages.errors import DeclarationError


def test_a_line_has_what_it_was_given_and_the_time() -> None:
    """A55: defaults are left out, so that a person can read it."""
    written: list[str] = []
    Log(written.append).line("ring.sealed", 2, member="supervisor", fingerprint="ab", restart=0)
    [text] = written
    found = json.loads(text)
    assert (text.endswith("\n"), text.count("\n"), found.pop("time") > 1.6e9) == (True, 1, True)
    assert (found.pop("seq"), len(bytes.fromhex(found.pop("chain")))) == (1, 32)
    assert found == {"event": "ring.sealed", "epoch": 2, "member": "supervisor", "fingerprint": "ab"}


def test_a_line_break_in_a_value_stays_in_its_line() -> None:
    """I6: nobody forges a second line."""
    written: list[str] = []
    Log(written.append).line("ring.sealed", 1, why='a\nb\r\n{"event":"ring.sealed"}\u2028')
    assert written[0].count("\n") == 1
    assert msgspec.json.decode(written[0], type=Line).why == 'a\nb\r\n{"event":"ring.sealed"}\u2028'


@pytest.mark.parametrize("fields", [{"pid": "7"}, {"why": 7}, {"expected": "yes"}, {"member": b"x"}, {"why": object()}])
def test_a_field_holds_its_type_only(fields: dict[str, object]) -> None:
    """I6: no object slips in by its repr."""
    with pytest.raises((msgspec.ValidationError, TypeError)):
        Log(str).line("ring.sealed", 1, **fields)


def test_what_cannot_be_written_as_text_is_refused_and_stands_in_nobodys_way() -> None:
    """I6: such a line would come back for ever."""
    written: list[str] = []
    log = Log(written.append)
    with pytest.raises(UnicodeEncodeError):
        log.line("ring.sealed", 1, why="\ud800")
    log.line("ring.sealed", 2)
    assert (len(written), log.head[0]) == (1, 1)


def test_every_line_goes_to_the_logger_too(caplog: pytest.LogCaptureFixture) -> None:
    """A55: for who embeds the supervisor."""
    written: list[str] = []
    with caplog.at_level(logging.INFO, "trollbridge"):
        Log(written.append).line("ring.sealed", 1)
    assert [record.getMessage() + "\n" for record in caplog.records] == written


@pytest.mark.parametrize("error", [OSError(28, "full"), ValueError("closed"), BrokenPipeError()])
def test_a_place_that_cannot_be_written_to_stops_nothing(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """A55: a full disk or a closed terminal; it is said once, and again when it comes again."""
    fails = True

    def full(_text: str) -> None:
        if fails:
            raise error

    log = Log(full)
    for fails in (True, True, False, True, True):  # noqa: B007  # `full` looks at it
        log.line("ring.sealed", 1)
    why = getattr(error, "strerror", None) or type(error).__name__
    assert [each.getMessage() for each in caplog.records] == [f"the log cannot be written: {why}"] * 2


def test_a_place_in_the_code_names_no_value() -> None:
    """I6: file and line of the application's innermost frame; nothing of the exception."""

    def fails(canary: str) -> None:
        raise ValueError(canary)

    def in_the_library(text: str) -> None:
        json.loads(text)

    def in_ours(text: str) -> None:
        ActorRef.parse(text)

    def made(text: str) -> None:
        exec(compile(f"raise ValueError({text!r})", "canary.txt", "exec"))  # noqa: S102  # what a template does

    for act in (fails, in_the_library, in_ours, made):
        with pytest.raises((ValueError, DeclarationError)) as raised:
            act("canary")
        assert place(raised.tb) == f"test_log.py:{act.__code__.co_firstlineno + 1}"
    assert place(None) == ""


def test_a_place_is_a_modules_where_no_code_is_the_applications() -> None:
    """I6: nothing but names and numbers, then too."""
    with pytest.raises(DeclarationError) as raised:
        ActorRef.parse("canary")
    ours = raised.tb.tb_next
    assert re.fullmatch(r"trollbridge\.actors\.reference:\d+", place(ours))


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
