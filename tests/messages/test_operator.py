"""What operators ask and are answered: two closed unions, and what is none of them is not understood."""

from __future__ import annotations

from typing import Final, get_args

import msgspec
import pytest
from msgspec import structs

from trollbridge.messages.codec import encode
from trollbridge.messages.errors import DeclarationError, Malformed
from trollbridge.messages.measures import MemberMeasure
from trollbridge.messages.operator import (
    ANSWER,
    CHANGING,
    LARGEST_ANSWER,
    LARGEST_REQUEST,
    MOST_QUARANTINED,
    MOST_RECENT,
    REQUEST,
    Answer,
    Denied,
    Done,
    Follow,
    LogLine,
    Measure,
    Measures,
    ProcessState,
    QuarantinedCall,
    Recent,
    Rekey,
    Request,
    Restart,
    Snapshot,
    Status,
    Stop,
    application_name,
)

PROCESS: Final = ProcessState("vault", "enclave", "", 42, 1, "running", "full", 1.5, 0, 1 << 20, 7, "")
CALL: Final = QuarantinedCall("vault.sign", "console", 2.5)
REQUESTS: Final[tuple[Request, ...]] = (
    Status(),
    Recent(1),
    Follow(),
    Follow(MOST_RECENT),
    Measure(),
    Restart(),
    Restart("v" * 32),
    Rekey(),
    Stop(),
)
ANSWERS: Final[tuple[Answer, ...]] = (
    Snapshot("notary", 1, 0.5, "sealed", 2, 0.75, "", 0, 5, 30.0, "full", 9, "00ff", (PROCESS,), (CALL,)),
    LogLine('{"event":"ring.sealed"}'),
    Measures(2, (MemberMeasure("vault"),)),
    Done(),
    Denied("not now"),
)


def test_every_message_of_both_unions_is_looked_at() -> None:
    """A11: the corpus of these tests is whole."""
    assert {type(each) for each in REQUESTS} == set(get_args(Request))
    assert {type(each) for each in ANSWERS} == set(get_args(Answer))
    assert set(CHANGING) < set(get_args(Request))


def test_what_is_said_arrives_as_it_was() -> None:
    """P4: there and back, and a request has few bytes."""
    assert [REQUEST.decode(REQUEST.encode(each)) for each in REQUESTS] == list(REQUESTS)
    assert [ANSWER.decode(ANSWER.encode(each)) for each in ANSWERS] == list(ANSWERS)
    assert max(len(REQUEST.encode(each)) for each in REQUESTS) <= LARGEST_REQUEST


def test_tags_are_what_they_were() -> None:
    """A11: the number of a message is part of the protocol."""
    assert [encode(each)[1] for each in REQUESTS] == [1, 2, 3, 3, 4, 5, 5, 6, 7]
    tags = [msgspec.msgpack.decode(encode(each), type=list[object])[0] for each in ANSWERS]
    assert tags == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "value", [[0], [8], [2, 0], [2, MOST_RECENT + 1], [3, -1], [5, "v" * 33], [5, 7], [1, 1], [7, ""], {}, None, 1]
)
def test_what_is_no_request_is_refused(value: object) -> None:
    """I8, P3: another number, a limit beyond the limits, a field too many."""
    with pytest.raises(Malformed):
        REQUEST.decode(encode(value))


def test_the_answer_about_many_processes_fits() -> None:
    """P3: an application with three hundred of them, as many calls in quarantine as are told of, the longest names."""
    one = ProcessState(
        "m" * 32,
        "extension",
        "g" * 32,
        1 << 22,
        1 << 20,
        "starting",
        "process-only",
        1.8e9,
        99,
        1 << 40,
        1 << 40,
        "signal 1000",
    )
    many = Snapshot(
        "n" * 64, 1 << 22, 1.8e9, "dismantling", 1 << 40, 1.8e9, "r" * 400, 9, 9, 1e9, "full", 1, "f" * 64, (one,) * 300
    )
    most = (QuarantinedCall("h" * 97, "c" * 32, 1.8e9),) * MOST_QUARANTINED
    assert len(ANSWER.encode(structs.replace(many, quarantine=most))) < LARGEST_ANSWER


@pytest.mark.parametrize("text", ["", ".", "..", ".hidden", "-x", "a/b", "a b", "ä", "a\n", "a\0", "n" * 65])
def test_what_could_be_a_path_is_no_name(text: str) -> None:
    """I7: nothing but a plain name of a folder."""
    with pytest.raises(DeclarationError):
        application_name(text)


def test_a_plain_name_is_one() -> None:
    """The other half."""
    names = ["a", "notary.app-0a1b2c3d", "N_1", "9", "n" * 64]
    assert [application_name(each) for each in names] == names
