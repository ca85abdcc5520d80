"""What each role may tell the supervisor, how often, and that all else is refused."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

import pytest

from trollbridge.actors.supervision.permits import NOTICES, PERMITS, Permits
from trollbridge.messages.control import (
    CloseWindow,
    Dismantled,
    Drained,
    Errand,
    ErrandKind,
    Failed,
    FailureKind,
    FromChild,
    Hello,
    Measures,
    Notice,
    NoticeKind,
    Pong,
    Ready,
    Statement,
)
from trollbridge.messages.errors import Malformed
from trollbridge.messages.ids import Role
from trollbridge.messages.posture import TESTIFIED, Evidence, Mechanism, State

if TYPE_CHECKING:
    from collections.abc import Callable

NOTICE: Final = Notice(NoticeKind.RECORD_REFUSED, "vault", "because")
MESSAGES: Final[tuple[FromChild, ...]] = (
    Hello(),
    Ready(1, b""),
    Failed(FailureKind.JOIN_FAILED, "no"),
    Dismantled(1),
    Pong(1),
    NOTICE,
    Errand(ErrandKind.SCRIBE),
    Statement(()),
    CloseWindow(),
    Measures(1, ()),
    Drained(1),
)


def refused(permits: Permits, message: FromChild, epoch: int = 1) -> bool:
    """Return whether a message is refused in an epoch."""
    try:
        permits.check(message, epoch)
    except Malformed:
        return True
    return False


def test_the_table_has_every_message() -> None:
    """I3: nothing is permitted because nobody thought of it."""
    assert set(PERMITS) == set(get_args(FromChild)) == {type(each) for each in MESSAGES}


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_say_what_the_table_says(role: Role) -> None:
    """I3: notices from broker and enclaves, `Dismantled` from a UI, errands and statements from enclaves only."""
    permits = {type(each): Permits(role) for each in MESSAGES}
    if role is Role.ENCLAVE:
        permits[Errand].check(Hello((), (ErrandKind.SCRIBE,)), 1)
    denied = {type(each) for each in MESSAGES if refused(permits[type(each)], each)}
    expected: set[type] = set()
    if role is not Role.UI:
        expected |= {Dismantled, CloseWindow}
    if role not in (Role.BROKER, Role.ENCLAVE, Role.HOST):
        expected.add(Notice)
    if role is not Role.ENCLAVE:
        expected |= {Errand, Statement}
    if role is not Role.BROKER:
        expected.add(Measures)
    if role not in (Role.UI, Role.EXTENSION):
        expected.add(Drained)
    if role is Role.ERRAND:
        expected |= {Ready, Pong}
    assert denied == expected


def test_a_notice_is_of_a_kind_that_its_role_may_tell_of() -> None:
    """I2, I3: links, UIDs and senders are the broker's to notice, calls and their handlers a server's."""
    assert set(NOTICES) == set(NoticeKind)
    for kind in NoticeKind:
        may = {role for role in Role if not refused(Permits(role), Notice(kind, "vault", "because"))}
        assert may == NOTICES[kind] <= PERMITS[Notice][0]
    assert NOTICES[NoticeKind.MEMBER_REMOVED] == NOTICES[NoticeKind.LINK_LOST] == {Role.BROKER}
    assert NOTICES[NoticeKind.GRANT_USED] == {Role.BROKER}


def test_a_ui_that_loads_foreign_code_does_not_outlive_its_ring() -> None:
    """A42: it says so once; from then on it cannot say that it has let go of a ring, which is how it would stay."""
    permits = Permits(Role.UI)
    said: tuple[FromChild, ...] = (Dismantled(1), CloseWindow(), CloseWindow(), Dismantled(2))
    assert [refused(permits, each, 2) for each in said] == [False, False, True, True]


def test_a_hello_comes_once() -> None:
    """I8: whatever the epoch; a second process has permits of its own."""
    permits = Permits(Role.UI)
    assert [refused(permits, Hello()) for _ in range(3)] == [False, True, True]
    assert not refused(Permits(Role.UI), Hello())


def test_ready_and_dismantled_come_once_an_epoch() -> None:
    """I8: a UI keeps its process, so it says both again in the next."""
    permits = Permits(Role.UI)
    said: list[FromChild] = [
        Ready(1, b""),
        Ready(1, b"x"),
        Dismantled(1),
        Dismantled(1),
        Ready(2, b""),
        Dismantled(2),
        Ready(1, b""),
    ]
    assert [refused(permits, each, 2) for each in said] == [False, True, False, True, False, False, True]


def _ready(epoch: int) -> FromChild:
    return Ready(epoch, b"")


@pytest.mark.parametrize("kind", [_ready, Dismantled, Drained])
def test_an_epoch_is_the_present_or_the_last_and_no_other(kind: Callable[[int], FromChild]) -> None:
    """I3, P3: whoever names others is refused, so that no process makes the supervisor remember without end."""
    permits = Permits(Role.UI)

    def said(epoch: int, now: int) -> bool:
        return not refused(permits, kind(epoch), now)

    assert said(1, 1)
    assert {said(each, 5) for each in (-1, 1, 2, 3, *range(6, 2000), 1 << 62)} == {False}
    assert [said(each, now) for each, now in ((4, 5), (5, 5), (5, 5), (5, 6), (6, 6), (8, 9), (9, 9))] == [
        *(True, True, False, False, True, True, True),
    ]
    assert len(permits._said) == 2


def test_a_ui_that_was_not_let_in_before_the_first_ring_fell_knows_of_no_epoch() -> None:
    """I3: it says 0, once; not one that has joined, and nobody says so of anything else."""
    permits = Permits(Role.UI)
    assert [refused(permits, Dismantled(0), now) for now in (1, 1)] == [False, True]
    assert [refused(permits, each, 2) for each in (Ready(2, b""), Dismantled(0), Dismantled(2))] == [False, True, False]
    other = Permits(Role.UI)
    assert [refused(other, each) for each in (Ready(0, b""), Drained(0), Ready(1, b""), Dismantled(0))] == [
        *(True, True, False, True),
    ]


def test_what_may_come_always_may_come_again() -> None:
    """P3: pongs, and the notices of those who may give them."""
    permits = Permits(Role.ENCLAVE)
    for message in (Pong(1), NOTICE):
        assert [refused(permits, message) for _ in range(5)] == [False] * 5


@pytest.mark.parametrize("role", [Role.UI, Role.ENCLAVE, Role.HOST, Role.BROKER])
def test_whoever_is_of_the_ring_tells_of_its_failure_once_an_epoch(role: Role) -> None:
    """A55, P3: each is a line of the log; a UI that could not join keeps its process, and may fail in the next ring."""
    permits, failed = Permits(role), Failed(FailureKind.JOIN_FAILED, "no")
    assert [refused(permits, failed, epoch) for epoch in (1, 1, 2, 2, 3, 3)] == [False, True] * 3
    assert len(permits._said) == 2


@pytest.mark.parametrize("role", [Role.EXTENSION, Role.ERRAND])
def test_whoever_is_not_of_the_ring_tells_of_its_failure_once(role: Role) -> None:
    """P3: each of them is a line for a person, who is not to be flooded."""
    permits = Permits(role)
    assert [refused(permits, Failed(FailureKind.WORK_FAILED, "so")) for _ in range(3)] == [False, True, True]


def test_a_refused_message_is_not_noted() -> None:
    """I3: the same refusal, however often it is tried."""
    permits = Permits(Role.EXTENSION)
    assert [refused(permits, NOTICE) for _ in range(3)] == [True] * 3


def test_an_errand_is_asked_for_only_if_the_hello_declared_it() -> None:
    """I3: not before the hello, not of another kind; and nobody but an enclave declares any."""
    scribe, keychain = Errand(ErrandKind.SCRIBE), Errand(ErrandKind.KEYCHAIN)
    permits = Permits(Role.ENCLAVE)
    assert refused(permits, scribe)
    permits.check(Hello((), (ErrandKind.SCRIBE,)), 1)
    assert [refused(permits, each) for each in (scribe, keychain, scribe)] == [False, True, False]
    for role in set(Role) - {Role.ENCLAVE}:
        assert refused(Permits(role), Hello((), (ErrandKind.SCRIBE,)))


def test_an_enclave_makes_no_more_than_64_statements_a_minute() -> None:
    """P3: each is passed on to the UI; the next is fatal, as whatever else is not permitted."""
    permits = Permits(Role.ENCLAVE)
    assert [refused(permits, Statement(())) for _ in range(66)] == [False] * 64 + [True] * 2


def test_a_statement_is_about_what_only_the_actor_knows() -> None:
    """I3: never about what the kernel does, which the supervisor looks at itself."""
    permits = Permits(Role.ENCLAVE)
    for mechanism in Mechanism:
        statement = Statement((Evidence(mechanism, State.IN_FORCE, "as I say"),))
        assert refused(permits, statement) is (mechanism not in TESTIFIED)
