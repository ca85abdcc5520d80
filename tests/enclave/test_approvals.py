"""Approvals: one for each use, for what was shown and nothing else; refusals stick; nobody displaces another's."""

from __future__ import annotations

import hashlib
from typing import Final

import pytest

from trollbridge.enclave.approvals import (
    APPROVAL_SECONDS,
    MOST_WAITING,
    MOST_WAITING_OF_ONE,
    Approvals,
    Request,
    shown,
)
from trollbridge.messages.errors import ApprovalNeeded, ApprovalRefused, NotAllowed
from trollbridge.messages.vault_secrets import Approval

CONTENT: Final = b"content"
REQUEST: Final = Request("console", "key:ab", "sign", hashlib.sha256(CONTENT).digest())
OTHERS: Final = (
    REQUEST._replace(member="other"),
    REQUEST._replace(subject="key:cd"),
    REQUEST._replace(operation="decrypt"),
    REQUEST._replace(digest=hashlib.sha256(b"other").digest()),
)


def ask(approvals: Approvals, request: Request = REQUEST, now: float = 0.0) -> bytes:
    """Ask for a use that has not been approved; return its ticket."""
    with pytest.raises(ApprovalNeeded):
        approvals.check(request, now)
    approvals.wait(request, len(CONTENT), CONTENT, 5)
    (found,) = [each for each in approvals.waiting() if bound(each) == request]
    return found.ticket


def bound(approval: Approval) -> Request:
    """Return what an approval is bound to."""
    return Request(approval.member, approval.subject, approval.operation, approval.digest)


def test_an_approval_lets_one_use_pass() -> None:
    """The second one within its time needs its own (K2)."""
    approvals = Approvals()
    approvals.approve(ask(approvals), 10.0)
    assert approvals.waiting() == ()
    approvals.check(REQUEST, 11.0)
    approvals.spend(REQUEST)
    again = ask(approvals, now=11.0)
    approvals.approve(again, 12.0)
    approvals.check(REQUEST, 13.0)


@pytest.mark.parametrize("other", OTHERS)
def test_an_approval_is_for_what_was_shown_alone(other: Request) -> None:
    """Another member, key, operation or content has none of it (K2)."""
    approvals = Approvals()
    approvals.approve(ask(approvals), 0.0)
    with pytest.raises(ApprovalNeeded):
        approvals.check(other, 1.0)
    approvals.check(REQUEST, 1.0)


def test_an_approval_ends_after_two_minutes() -> None:
    """At that second it is gone, and a new one is needed (K2)."""
    approvals = Approvals()
    approvals.approve(ask(approvals), 10.0)
    approvals.check(REQUEST, 10.0 + APPROVAL_SECONDS - 0.1)
    with pytest.raises(ApprovalNeeded):
        approvals.check(REQUEST, 10.0 + APPROVAL_SECONDS)
    with pytest.raises(ApprovalNeeded):
        approvals.check(REQUEST, 10.0)


def test_a_refusal_sticks_to_the_like_of_it() -> None:
    """It does not wait again, however often it is asked; something else may still be asked."""
    approvals = Approvals()
    approvals.refuse(ask(approvals))
    for _ in range(3):
        with pytest.raises(ApprovalRefused):
            approvals.check(REQUEST, 0.0)
    assert approvals.waiting() == ()
    for other in OTHERS:
        with pytest.raises(ApprovalNeeded):
            approvals.check(other, 0.0)


def test_a_ticket_is_used_once_and_never_guessed() -> None:
    """Neither twice, nor a foreign one; the same request keeps its ticket while it waits."""
    approvals = Approvals()
    ticket = ask(approvals)
    assert ask(approvals) == ticket
    assert len(ticket) == 16
    for wrong in (b"", bytes(16), ticket[:-1], ticket + b"\0"):
        with pytest.raises(NotAllowed):
            approvals.approve(wrong, 0.0)
        with pytest.raises(NotAllowed):
            approvals.refuse(wrong)
    approvals.approve(ticket, 0.0)
    with pytest.raises(NotAllowed):
        approvals.approve(ticket, 0.0)
    with pytest.raises(NotAllowed):
        approvals.refuse(ticket)
    assert ask(Approvals()) != ticket


def test_what_waits_is_shown_as_it_is_bound() -> None:
    """Who asks, what for, since when, the digest, the size and the first lines; the oldest first."""
    approvals = Approvals()
    tickets = [ask(approvals), ask(approvals, OTHERS[3])]
    first, second = approvals.waiting()
    assert first == Approval(tickets[0], "key:ab", "sign", REQUEST.digest, 7, "content", "console", 5)
    assert second.ticket == tickets[1]


def numbered(member: str, number: int) -> Request:
    """Return one of many requests of a member."""
    return Request(member, "key:ab", "sign", number.to_bytes(32, "big"))


def test_a_flood_of_one_member_displaces_its_own_requests_alone() -> None:
    """At most eight of one wait, and sixty-four of all; who comes last is told so (P3)."""
    approvals = Approvals()
    kept = ask(approvals)
    for number in range(1000):
        ask(approvals, numbered("flooder", number))
    waiting = approvals.waiting()
    assert [each.member for each in waiting] == ["console", *["flooder"] * MOST_WAITING_OF_ONE]
    assert waiting[0].ticket == kept
    assert waiting[-1].digest == numbered("flooder", 999).digest
    members = 0
    while len(approvals.waiting()) < MOST_WAITING:
        members += 1
        ask(approvals, numbered(f"member{members}", 0))
    with pytest.raises(ApprovalNeeded, match="Too many"):
        approvals.wait(numbered("late", 0), 1, b"", 0)
    assert len(approvals.waiting()) == MOST_WAITING
    assert approvals.waiting()[0].ticket == kept


def test_what_waits_for_a_deleted_key_is_gone_and_refusals_go_along_with_a_name() -> None:
    """An approval of the old key is none for another one of its name; a refusal outlives a new name."""
    approvals = Approvals()
    ask(approvals)
    approvals.approve(ask(approvals, OTHERS[2]), 0.0)
    approvals.refuse(ask(approvals, OTHERS[3]))
    approvals.renamed("key:ab", "key:ef")
    assert approvals.waiting() == ()
    for request in (REQUEST, OTHERS[2]):
        with pytest.raises(ApprovalNeeded):
            approvals.check(request, 0.0)
    for subject in ("key:ab", "key:ef"):
        with pytest.raises(ApprovalRefused):
            approvals.check(OTHERS[3]._replace(subject=subject), 0.0)


@pytest.mark.parametrize(
    ("head", "size", "expected"),
    [
        (b"", 0, ""),
        (b"plain", 5, "plain"),
        (b"a\r\nb\n", 5, "a\nb\n"),
        (b"\tindented", 9, "    indented"),
        ("Zo\u00eb \u2603".encode(), 8, "Zo\u00eb \u2603"),
        ("a\u202eb".encode(), 5, "a\ufffdb"),
        (b"\x1b[2Jgone", 8, ""),
        (b"a\x00b", 3, ""),
        (b"a\rb", 3, ""),
        (b"\x89PNG", 4, ""),
        ("x\u2603".encode()[:-1], 3, ""),
        ("x\u2603".encode()[:-1], 4, "x"),
        ("x\u2603".encode()[:-2], 4, "x"),
        ("x\U0001f600".encode()[:-1], 5, "x"),
        (b"x\xff\xff\xff\xff", 99, ""),
    ],
)
def test_only_text_is_shown_and_only_what_is_fit_to_be(head: bytes, size: int, expected: str) -> None:
    """A character that the head cuts is left out; one that is broken makes it no text (I6)."""
    assert shown(head, size) == expected
