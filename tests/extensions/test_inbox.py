"""The order in which the waiting calls of several clients are taken."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.actors.serving.inbox import FairInbox


def test_whoever_sends_many_waits_for_itself() -> None:
    """A56: one call among a hundred is the second to be taken."""
    inbox: FairInbox[tuple[str, int]] = FairInbox()
    for number in range(100):
        inbox.append(("flooder", number), "flooder")
    inbox.append(("ui", 0), "ui")
    assert [inbox.popleft() for _ in range(3)] == [("flooder", 0), ("ui", 0), ("flooder", 1)]
    assert len(inbox) == 98


def test_what_is_no_clients_comes_first() -> None:
    """The process's own stop waits for no call."""
    inbox: FairInbox[str] = FairInbox()
    inbox.append("call", "ui")
    inbox.append("stop")
    assert [inbox.popleft(), inbox.popleft()] == ["stop", "call"]


def test_an_empty_inbox_is_false_and_gives_nothing() -> None:
    """As the queue that it stands for."""
    inbox: FairInbox[str] = FairInbox()
    assert not inbox
    with pytest.raises(IndexError):
        inbox.popleft()


def test_what_a_client_that_left_has_waiting_is_dropped() -> None:
    """Nobody else's calls are; one that comes back under its name starts anew."""
    inbox: FairInbox[str] = FairInbox()
    for each in ("a1", "b1", "a2"):
        inbox.append(each, each[0])
    assert (inbox.forget("a"), inbox.forget("a"), inbox.forget("nobody")) == (2, 0, 0)
    inbox.append("a3", "a")
    assert [inbox.popleft() for _ in range(len(inbox))] == ["b1", "a3"]
    inbox.append("b2", "b")
    inbox.append("stop")
    inbox.clear()
    assert not inbox


def test_who_is_held_waits_and_keeps_its_order() -> None:
    """P3: others' calls and the process's own stop go on; an inbox with nothing else is empty to whoever asks."""
    held: set[str] = set()
    inbox: FairInbox[str] = FairInbox(held)
    for each in ("a1", "a2", "b1", "a3", "b2"):
        inbox.append(each, each[0])
    held.add("a")
    inbox.append("stop")
    assert [inbox.popleft() for _ in range(3)] == ["stop", "b1", "b2"]
    assert (bool(inbox), len(inbox)) == (False, 3)
    with pytest.raises(IndexError):
        inbox.popleft()
    inbox.append("b3", "b")
    assert (bool(inbox), inbox.popleft(), bool(inbox)) == (True, "b3", False)
    held.clear()
    assert [inbox.popleft() for _ in range(len(inbox))] == ["a1", "a2", "a3"]
    assert not inbox


@given(st.lists(st.tuples(st.sampled_from(["take", "a", "b", "c"]), st.integers(0, 9)), max_size=60))
def test_nothing_is_lost_each_client_keeps_its_order_and_turns_are_fair(acts: list[tuple[str, int]]) -> None:
    """A56: while a client waits, no other is served twice before it."""
    inbox: FairInbox[tuple[str, int]] = FairInbox()
    waiting: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    passed: dict[str, Counter[str]] = {name: Counter() for name in waiting}
    for act, number in acts:
        if act != "take":
            inbox.append((act, number), act)
            waiting[act].append(number)
        elif inbox:
            name, found = inbox.popleft()
            assert found == waiting[name].pop(0)
            passed[name].clear()
            for other, of in waiting.items():
                if other != name and of:
                    passed[other][name] += 1
                    assert passed[other][name] <= 1
        assert len(inbox) == sum(map(len, waiting.values()))
