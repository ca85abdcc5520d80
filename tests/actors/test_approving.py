"""Approvals of calls: bound to caller, handler and arguments, once, within their time; bounded; shown in words."""

from __future__ import annotations

from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.actors.serving.approving import (
    APPROVAL_SECONDS,
    MOST_REFUSED,
    WAITING_SECONDS,
    Approvals,
    Asked,
    Details,
    details_of,
    digest,
    shown,
)
from trollbridge.messages.errors import ApprovalNeeded, ApprovalRefused, NotAllowed
from trollbridge.messages.grants import LONGEST_SHOWN, MOST_SHOWN, MOST_WAITING

SECOND: Final = 1_000_000
ASKED: Final = Asked("plugin", "sign", digest(("a",)))


def _details() -> Details:
    return details_of("vault", 1, ("text",), ("a",), 0)


def _waiting(now: int = 0) -> tuple[Approvals, bytes]:
    approvals = Approvals()
    approvals.wait(ASKED, now, _details)
    return approvals, approvals.waiting(now)[0].ticket


@pytest.mark.parametrize(
    "other",
    [
        ASKED._replace(caller="other"),
        ASKED._replace(handler="stamp"),
        ASKED._replace(digest=digest(("b",))),
        ASKED._replace(digest=digest(())),
    ],
)
def test_an_approval_is_for_one_caller_handler_and_content(other: Asked) -> None:
    """K2: anybody else's, or anything else, needs its own."""
    approvals, ticket = _waiting()
    approvals.approve(ticket, 0)
    with pytest.raises(ApprovalNeeded):
        approvals.check(other, 1)
    approvals.check(ASKED, 1)
    approvals.spend(ASKED)
    with pytest.raises(ApprovalNeeded):
        approvals.check(ASKED, 1)


def test_an_approval_ends_with_its_time() -> None:
    """K2: to the microsecond."""
    for late, fits in ((APPROVAL_SECONDS * SECOND - 1, True), (APPROVAL_SECONDS * SECOND, False)):
        approvals, ticket = _waiting()
        approvals.approve(ticket, 0)
        if fits:
            approvals.check(ASKED, late)
        else:
            with pytest.raises(ApprovalNeeded):
                approvals.check(ASKED, late)


def test_what_waits_is_forgotten_in_its_time_and_asked_for_anew() -> None:
    """K2: a decision that comes later finds nothing."""
    approvals, ticket = _waiting()
    late = WAITING_SECONDS * SECOND
    assert len(approvals.waiting(late - 1)) == 1
    for decide in (approvals.approve, approvals.refuse):
        with pytest.raises(NotAllowed):
            decide(ticket, late)
    assert approvals.waiting(late) == ()
    approvals.wait(ASKED, late, _details)
    [again] = approvals.waiting(late)
    assert again.ticket != ticket


def test_asking_again_makes_no_second_request() -> None:
    """K2: the ticket stays the same."""
    approvals, ticket = _waiting()
    for now in range(10):
        approvals.wait(ASKED, now, _details)
    assert [each.ticket for each in approvals.waiting(10)] == [ticket]


def test_a_refusal_stays() -> None:
    """K2: whatever time has passed."""
    approvals, ticket = _waiting()
    approvals.refuse(ticket, 0)
    for now in (0, WAITING_SECONDS * SECOND, 1 << 60):
        with pytest.raises(ApprovalRefused):
            approvals.check(ASKED, now)
    with pytest.raises(ApprovalNeeded):
        approvals.check(ASKED._replace(digest=digest(("b",))), 0)


def test_all_that_is_kept_is_bounded() -> None:
    """F3: requests, approvals and refusals, whoever asks however much."""
    approvals = Approvals()
    for number in range(3 * MOST_WAITING):
        approvals.wait(Asked(f"plugin{number}", "sign", digest(())), 0, _details)
    assert len(approvals.waiting(0)) == MOST_WAITING
    for number in range(MOST_REFUSED + 10):
        approvals.forget("busy")
        asked = Asked("plugin0", "sign", digest((number,)))
        approvals.wait(asked, 0, _details)
        approvals.refuse(next(each.ticket for each in approvals.waiting(0) if each.caller == "plugin0"), 0)
    assert len(approvals._refused) <= MOST_REFUSED  # pyright: ignore[reportPrivateUsage]
    assert len(approvals.waiting(0)) <= MOST_WAITING


Wide = msgspec.defstruct("Wide", [(f"f{each}", int) for each in range(17)], frozen=True, array_like=True)
"""Has one more field than is shown."""


class Deep(msgspec.Struct, frozen=True, array_like=True):
    """Holds another."""

    inner: object


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a\x1b[2J\u202eb", "'a\\x1b[2J\\u202eb'"),
        ("x" * 200, f"200 characters: '{'x' * 142}…"),
        (b"", "0 bytes, SHA-256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ((1, "a", None, True, 0.5), "(1, 'a', None, True, 0.5)"),
        ({"a": (1,)}, "{'a': (1)}"),
        (Deep(Deep(1)), "Deep(inner=Deep(inner=1))"),
        (Deep(Deep(Deep(Deep(Deep(1))))), "Deep(inner=Deep(inner=Deep(inner=Deep(inner=…))))"),
        (tuple(range(100)), f"({', '.join(map(str, range(MOST_SHOWN)))}, … and 84 more)"),
        (
            {str(each): 0 for each in range(17)},
            f"{{{', '.join(f'{str(each)!r}: 0' for each in range(16))}, … and 1 more}}",
        ),
        (Wide(*range(17)), f"Wide({', '.join(f'f{each}={each}' for each in range(16))}, … and 1 more)"),
        (1 << 64, "a number beyond 64 bits"),
    ],
)
def test_arguments_are_shown_in_words(value: object, words: str) -> None:
    """I6, K2: printable and short, whatever they are."""
    assert shown(value) == words


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()),
    lambda inner: st.one_of(st.lists(inner).map(tuple), st.dictionaries(st.text(), inner)),
)


@given(VALUES)
def test_whatever_is_shown_can_be_shown(value: object) -> None:
    """I6: it fits a line, and steers no terminal."""
    words = shown(value)
    assert len(words) <= LONGEST_SHOWN
    assert words.isprintable()


def test_of_many_arguments_the_first_are_shown_and_how_many_more_there_are() -> None:
    """F3, K2: so many; nobody approves what is not shown without being told that there is more."""
    names = tuple(f"n{each}" for each in range(100))
    for number, more in ((MOST_SHOWN, []), (MOST_SHOWN + 1, ["and 1 more"]), (100, ["and 84 more"])):
        told = details_of("vault", 1, names[:number], tuple(range(number)), 0).arguments
        assert [each.name for each in told] == [*names[:MOST_SHOWN], *["…"] * len(more)]
        assert [each.text for each in told[MOST_SHOWN:]] == more
