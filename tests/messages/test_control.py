"""What supervisor and children say: two closed unions, no token in any repr, nothing else is understood."""

from __future__ import annotations

from typing import Final, get_args

import pytest

from trollbridge.messages.codec import Codec, encode
from trollbridge.messages.control import (
    FROM_CHILD,
    NOTHING_KNOWN,
    TO_CHILD,
    Admit,
    Away,
    Begin,
    Boot,
    CloseWindow,
    Dismantle,
    Dismantled,
    Drain,
    Drained,
    Errand,
    ErrandKind,
    Failed,
    FailureKind,
    FromChild,
    Granted,
    Hello,
    Join,
    Kept,
    Measure,
    Measures,
    MemberRecord,
    Notice,
    NoticeKind,
    OpenLink,
    Ping,
    Pong,
    Quarantine,
    Ready,
    Renew,
    Seal,
    SessionTicket,
    Statement,
    Stop,
    ToChild,
    Verdict,
    WindowClosed,
    Withdrawn,
)
from trollbridge.messages.errors import Malformed, Outcome
from trollbridge.messages.grants import Grant
from trollbridge.messages.measures import BUCKETS, MemberMeasure
from trollbridge.messages.posture import Evidence, Level, Mechanism, Posture, State
from trollbridge.messages.sandbox import Sandbox

TOKEN: Final = b"t" * 32
TICKET: Final = SessionTicket("console", "ui", "vault", "enclave", TOKEN, (Grant("sign"),))
EVIDENCE: Final = (
    Evidence(Mechanism.SECCOMP, State.IN_FORCE, "Seccomp: 2"),
    Evidence(Mechanism.LANDLOCK, State.MISSING, "ABI 0", "a newer kernel"),
)
TO: Final[tuple[ToChild, ...]] = (
    Boot("vault", "enclave", "a.b:C", (("path", "x"),), ("lib",)),
    Boot(
        "vault",
        "enclave",
        "a.b:C",
        (),
        (),
        Sandbox(write=("{path}", "~/x"), network=("tcp:443",)),
        "/nowhere",
        "/there",
    ),
    Join(1, TOKEN, (TICKET,), ()),
    Join(1, TOKEN, (TICKET,), (Granted("console", "ui", (Grant("sign"), Grant("list"))),)),
    OpenLink(1, "console", "ui", 42, TOKEN, ("vault.sign",), ("vault",)),
    OpenLink(1, "vault_2", "enclave", 42, TOKEN, (), ("console",), "vault"),
    Admit(SessionTicket("extra", "extension", "vault_2", "enclave", TOKEN, (Grant("sign"),), "vault")),
    Seal((MemberRecord("console", "ui", 42),)),
    Seal((), (Posture("console", "ui", 42, Level.PARTIAL, EVIDENCE),)),
    Admit(TICKET),
    Dismantle("vault ended (SIGKILL)", "vault"),
    Ping(3),
    Stop(),
    Kept(Posture("extra", "extension", 43, Level.FULL, EVIDENCE)),
    Begin(),
    WindowClosed(),
    Measure(3),
    Away("files"),
    Renew(SessionTicket("console", "ui", "files", "host", TOKEN, (Grant("read"),))),
    Withdrawn("files"),
    Verdict("vault", 0, (3, 7), (1, 2)),
    Quarantine((bytes(16),)),
    Join(2, TOKEN, (), (), b"k" * 32, (bytes(16),)),
    Drain(4),
)
FROM: Final[tuple[FromChild, ...]] = (
    Hello(),
    Hello(EVIDENCE),
    Ready(1, b"12345678"),
    Failed(FailureKind.JOIN_FAILED, "no"),
    Dismantled(1),
    Pong(3),
    Notice(NoticeKind.UID_REFUSED, "console", "used", "vault.sign"),
    Hello(EVIDENCE, (ErrandKind.KEYCHAIN, ErrandKind.SCRIBE)),
    Errand(ErrandKind.KEYCHAIN),
    Statement(EVIDENCE),
    CloseWindow(),
    Drained(4),
    Measures(3, (MemberMeasure("console", 1, 2, latency=tuple(range(BUCKETS))),)),
)


def test_every_message_of_both_unions_is_looked_at() -> None:
    """A11: the corpus of these tests is whole."""
    assert {type(each) for each in TO} == set(get_args(ToChild))
    assert {type(each) for each in FROM} == set(get_args(FromChild))


@pytest.mark.parametrize("message", TO, ids=lambda message: type(message).__name__)
def test_what_a_child_is_told_arrives_as_it_was(message: ToChild) -> None:
    """P4: there and back."""
    assert TO_CHILD.decode(TO_CHILD.encode(message)) == message


@pytest.mark.parametrize("message", FROM, ids=lambda message: type(message).__name__)
def test_what_a_child_says_arrives_as_it_was(message: FromChild) -> None:
    """P4: there and back."""
    assert FROM_CHILD.decode(FROM_CHILD.encode(message)) == message


@pytest.mark.parametrize("message", TO, ids=lambda message: type(message).__name__)
def test_a_child_cannot_command(message: ToChild) -> None:
    """I3, A11: what only a supervisor says is unknown to a supervisor, whatever tags coincide."""
    data = TO_CHILD.encode(message)
    try:
        understood = FROM_CHILD.decode(data)
    except Malformed:
        return
    assert type(understood) in set(get_args(FromChild))
    assert (type(message), type(understood)) in {(Ping, Pong)} | {(Stop, type(understood))}


def test_tags_are_what_they_were() -> None:
    """A11: the number of a message is part of the protocol."""
    assert [encode(each)[1] for each in TO] == [
        *(1, 1, 2, 2, 3, 3, 5, 4, 4, 5, 6, 7, 8, 9, 10, 11),
        *(12, 13, 14, 15, 16, 17, 2, 18),
    ]
    assert [encode(each)[1] for each in FROM] == [1, 1, 2, 3, 4, 5, 6, 1, 7, 8, 9, 11, 10]


@pytest.mark.parametrize("message", [*TO, *FROM, TICKET], ids=lambda message: type(message).__name__)
def test_no_repr_shows_a_token(message: ToChild | FromChild | SessionTicket) -> None:
    """I6, A37: nor anything that looks like one."""
    assert "tttt" not in repr(message)
    assert repr(TOKEN)[2:-1] not in f"{message!s} {message!r}"


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_a_token_has_32_bytes(size: int) -> None:
    """R7: a short or long token is refused where it arrives."""
    for message in (Join(1, b"t" * size, ()), OpenLink(1, "a", "ui", 1, b"t" * size, (), ())):
        with pytest.raises(Malformed):
            TO_CHILD.decode(encode(message))
    short = SessionTicket("console", "ui", "vault", "enclave", b"t" * size, ())
    for carrying in (Join(1, TOKEN, (short,)), Admit(short)):
        with pytest.raises(Malformed):
            TO_CHILD.decode(encode(carrying))


def test_a_join_has_always_six_elements() -> None:
    """P4: one encoding for each value: without its last fields it is malformed, even where there is nothing to say."""
    whole = [2, 1, TOKEN, (), (), b"", ()]
    assert TO_CHILD.encode(Join(1, TOKEN, ())) == encode(whole)
    assert TO_CHILD.decode(encode(whole)) == Join(1, TOKEN, (), (), b"", ())
    for wrong in (whole[:-1], whole[:-2], [*whole, ()], [*whole[:4], (1,), b"", ()], [*whole[:6], None]):
        with pytest.raises(Malformed):
            TO_CHILD.decode(encode(wrong))


def test_a_verdict_says_what_became_of_each_call() -> None:
    """A58: by its sequence; of what is older than all that is known, it says nothing."""
    verdict = Verdict("vault", 5, (7,), (6, 9))
    assert [verdict.outcome(each) for each in (4, 5, 6, 7, 8, 9, 10)] == [
        *(Outcome.UNKNOWN, Outcome.NOT_STARTED, Outcome.DONE, Outcome.UNKNOWN),
        *(Outcome.NOT_STARTED, Outcome.DONE, Outcome.NOT_STARTED),
    ]
    assert Verdict("vault", NOTHING_KNOWN, (), ()).outcome(NOTHING_KNOWN - 1) is Outcome.UNKNOWN


NONE: Final[list[object]] = []
WHOLE: Final[tuple[tuple[Codec[ToChild] | Codec[FromChild], list[object]], ...]] = (
    (TO_CHILD, [1, "vault", "enclave", "a:B", NONE, NONE, None, "", "", 0, ""]),
    (TO_CHILD, [1, "vault", "enclave", "a:B", NONE, NONE, [NONE, NONE, NONE, NONE, False], "/nowhere", "", 0, ""]),
    (TO_CHILD, [4, NONE, NONE]),
    (FROM_CHILD, [1, NONE, NONE]),
)


@pytest.mark.parametrize(("codec", "whole"), WHOLE)
def test_a_default_is_sent_like_every_other_value(
    codec: Codec[ToChild] | Codec[FromChild], whole: list[object]
) -> None:
    """P4: one encoding for each value: what lies on its default stands there all the same, and nothing behind it."""
    assert encode(codec.decode(encode(whole))) == encode(whole)
    for wrong in (whole[:-1], [*whole, None], [*whole[:-1], 7]):
        with pytest.raises(Malformed):
            codec.decode(encode(wrong))


@pytest.mark.parametrize("part", [0, 1])
def test_evidence_names_what_is_known(part: int) -> None:
    """P4: no mechanism and no state that nobody has defined: a level rests on them."""
    right: list[object] = ["seccomp", "in force", "Seccomp: 2", ""]
    assert isinstance(FROM_CHILD.decode(encode([1, [right], []])), Hello)
    for wrong in ("", "something else", 1, None):
        with pytest.raises(Malformed):
            FROM_CHILD.decode(encode([1, [[*right[:part], wrong, *right[part + 1 :]]], []]))


@pytest.mark.parametrize("number", [0, 6, -1, 2**32])
def test_an_unknown_kind_of_failure_is_malformed(number: int) -> None:
    """P4, I3: nobody has to guess what it would mean; the known ones come back as themselves."""
    with pytest.raises(Malformed):
        FROM_CHILD.decode(encode([3, number, "no", "", "", ""]))
    for kind in FailureKind:
        assert FROM_CHILD.decode(encode([3, kind.value, "no", "", "", ""])) == Failed(kind, "no")


def test_a_notice_names_one_of_the_known_kinds() -> None:
    """P4: nothing invents an event of the log."""
    data = FROM_CHILD.encode(Notice(NoticeKind.UID_REFUSED, "console", "used"))
    with pytest.raises(Malformed):
        FROM_CHILD.decode(data.replace(b"uid.refused", b"uid.accepts"))


def test_the_names_of_notices_never_change() -> None:
    """A27: operators and tests search the log for them."""
    assert {each.value for each in NoticeKind} == {
        *("uid.refused", "lease.refused", "record.refused", "envelope.refused", "sender.refused"),
        *("reply.dropped", "join.refused", "link.lost", "member.removed", "handler.failed", "call.late"),
        *("sandbox.denied", "grant.used", "call.refused"),
    }
