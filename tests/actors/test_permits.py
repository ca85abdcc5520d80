"""What each role may tell the supervisor, how often, and that all else is refused."""

from __future__ import annotations

from typing import Final, get_args

import pytest

from trollbridge.actors.permits import NOTICES, PERMITS, Permits
from trollbridge.messages.control import (
    CloseWindow,
    Dismantled,
    Errand,
    ErrandKind,
    Failed,
    FailureKind,
    FromChild,
    Hello,
    Notice,
    NoticeKind,
    Pong,
    Ready,
    Statement,
)
from trollbridge.messages.errors import Malformed
from trollbridge.messages.ids import Role
from trollbridge.messages.posture import TESTIFIED, Evidence, Mechanism, State

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
)


def refused(permits: Permits, message: FromChild) -> bool:
    """Return whether a message is refused."""
    try:
        permits.check(message)
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
        permits[Errand].check(Hello((), (ErrandKind.SCRIBE,)))
    denied = {type(each) for each in MESSAGES if refused(permits[type(each)], each)}
    expected: set[type] = set()
    if role is not Role.UI:
        expected |= {Dismantled, CloseWindow}
    if role not in (Role.BROKER, Role.ENCLAVE, Role.HOST):
        expected.add(Notice)
    if role is not Role.ENCLAVE:
        expected |= {Errand, Statement}
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
    assert [refused(permits, each) for each in said] == [False, False, True, True]


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
    assert [refused(permits, each) for each in said] == [False, True, False, True, False, False, True]


def test_what_may_come_always_may_come_again() -> None:
    """P3: pongs, failures, and the notices of those who may give them."""
    permits = Permits(Role.ENCLAVE)
    for message in (Pong(1), Failed(FailureKind.JOIN_FAILED, ""), NOTICE):
        assert [refused(permits, message) for _ in range(5)] == [False] * 5


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
    permits.check(Hello((), (ErrandKind.SCRIBE,)))
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
