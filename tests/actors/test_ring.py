"""The ring's life is the table: every pair of state and event is looked at, those that are not in it too."""

from __future__ import annotations

import copy
import itertools
import pickle
from typing import Final

import pytest

from trollbridge.actors.trust_ring.ring import TRANSITIONS, Ring, RingEvent, RingState, diagram
from trollbridge.messages.errors import UsageError
from trollbridge.messages.ids import Epoch, MemberId

UI: Final = MemberId("console")
VAULT: Final = MemberId("vault")
BROKER: Final = MemberId("broker")
EVERYONE: Final = frozenset({UI, VAULT, BROKER})
TABLE: Final = {
    ("forming", "ALL_READY"): "sealed",
    ("forming", "DISMANTLE"): "dismantling",
    ("sealed", "DISMANTLE"): "dismantling",
    ("dismantling", "DISMANTLE"): "dismantling",
    ("dismantling", "ALL_REAPED"): "dismantled",
}


def forming() -> Ring:
    """Return a ring that three must join."""
    return Ring(Epoch(3), EVERYONE)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(RingState, RingEvent)), ids=str)
def test_every_pair_of_state_and_event_does_what_the_table_says(state: RingState, event: RingEvent) -> None:
    """A45, A50, R1: a step of the table, or an error that changes nothing; nothing leaves `dismantled`."""
    ring = forming()
    ring.state = state
    new = TABLE.get((state.value, event.name))
    if new is None:
        with pytest.raises(UsageError) as refusal:
            ring.move(event)
        assert str(refusal.value) == f"a ring that is {state.value} cannot go on by: {event.value}"
        assert ring.state is state
    else:
        assert (ring.move(event).value, ring.state.value) == (new, new)


def test_the_table_is_what_the_diagram_shows_and_cannot_be_changed() -> None:
    """A45: the documents' picture is made of the table."""
    assert {(state.value, event.name): new.value for (state, event), new in TRANSITIONS.items()} == TABLE
    lines = diagram().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> forming"]
    assert lines[-1] == "    dismantled --> [*]"
    assert set(lines[2:-1]) == {f"    {state} --> {new}: {event.lower()}" for (state, event), new in TABLE.items()}
    with pytest.raises(TypeError):
        TRANSITIONS[RingState.DISMANTLED, RingEvent.ALL_READY] = RingState.SEALED  # type: ignore[index]


def test_a_ring_is_whole_when_everyone_has_joined_with_one_key() -> None:
    """A36: in any order; the broker holds no key."""
    for order in itertools.permutations(EVERYONE):
        ring = forming()
        joined = [ring.joined(each, b"" if each == BROKER else b"12345678") for each in order]
        assert joined == [False, False, True]
        assert ring.fingerprint == b"12345678".hex()


def test_who_joins_twice_is_refused() -> None:
    """A43, R3: with the same key and with another; it does not count as another member."""
    ring = forming()
    ring.joined(UI, b"12345678")
    for key in (b"12345678", b"other", b""):
        with pytest.raises(UsageError) as refusal:
            ring.joined(UI, key)
        assert str(refusal.value) == "console cannot join epoch 3 now"
    assert not ring.joined(VAULT, b"12345678")


def test_a_stranger_is_refused() -> None:
    """A32, I4: exact names only."""
    ring = forming()
    for stranger in ("nobody", "Console", "console ", "consol", ""):
        with pytest.raises(UsageError):
            ring.joined(MemberId(stranger), b"")


@pytest.mark.parametrize("state", [RingState.SEALED, RingState.DISMANTLING, RingState.DISMANTLED])
def test_nobody_joins_a_ring_that_is_not_forming(state: RingState) -> None:
    """A40, R6: there is no window."""
    ring = forming()
    ring.state = state
    with pytest.raises(UsageError):
        ring.joined(UI, b"12345678")


def test_who_holds_another_key_is_refused() -> None:
    """A36, R3: the ring is not whole while two keys are about."""
    ring = forming()
    ring.joined(UI, b"12345678")
    with pytest.raises(UsageError) as refusal:
        ring.joined(VAULT, b"87654321")
    assert str(refusal.value) == "vault holds another ring key"


def test_there_is_one_ring_object() -> None:
    """A35: not copied, not pickled; its repr shows epoch and state, and it has no fingerprint before anybody joins."""
    ring = forming()
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(UsageError):
            way(ring)
    assert (repr(ring), ring.fingerprint) == ("<Ring, epoch 3, forming>", "")
    assert not hasattr(ring, "__dict__")
