"""The envelope is immutable and hashable, and everything but its body is bound by the body's tag."""

from __future__ import annotations

import struct
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.messages.envelope import Envelope, Kind, associated, context, prologue
from trollbridge.messages.ids import Epoch, HandlerUID, MemberId, Microseconds, Role

UI: Final = MemberId("console")
VAULT: Final = MemberId("vault")
UID: Final = HandlerUID(bytes(range(16)))
ENVELOPE: Final = Envelope(Kind.CALL, UI, VAULT, UID, 4, Microseconds(9), b"sealed")

MEMBERS = st.sampled_from([MemberId(name) for name in ("a", "ab", "abc", "b", "bc", "c")])
EPOCHS = st.integers(min_value=0, max_value=5).map(Epoch)
ROLES = st.sampled_from(list(Role))


@pytest.mark.parametrize("field", ["kind", "sender", "receiver", "uid", "sequence", "deadline", "body"])
def test_no_field_of_an_envelope_can_be_changed(field: str) -> None:
    """A53: frozen, in place and through `object` alike; deleting is changing."""
    with pytest.raises(AttributeError):
        setattr(ENVELOPE, field, getattr(ENVELOPE, field))
    with pytest.raises(AttributeError):
        delattr(ENVELOPE, field)
    assert type(ENVELOPE.body) is bytes


def test_an_envelope_is_hashable_and_equal_by_its_value() -> None:
    """A53: the same message is the same key of a dictionary."""
    same = Envelope(3, UI, VAULT, UID, 4, Microseconds(9), bytes(bytearray(b"sealed")))
    other = Envelope(3, UI, VAULT, UID, 5, Microseconds(9), b"sealed")
    assert (hash(same) == hash(ENVELOPE), {ENVELOPE, same, other}) == (True, {ENVELOPE, other})


def test_an_envelope_takes_no_further_attribute() -> None:
    """A53: nothing can be hung on it on the way."""
    with pytest.raises(AttributeError):
        ENVELOPE.note = "seen"  # type: ignore[attr-defined]


def test_the_repr_shows_the_header_and_no_body() -> None:
    """I6: not even ciphertext is worth a log line."""
    assert repr(ENVELOPE) == "<Envelope console to vault, kind 3, no. 4, 6 bytes>"


def test_the_kinds_are_seven() -> None:
    """A11: a closed set; an eighth is unknown to both sides."""
    assert {each.name: each.value for each in Kind} == {
        "HANDSHAKE": 1, "SESSION": 2, "CALL": 3, "REPLY": 4, "PART": 5, "ITEM": 6,
        "STEER": 7,
    }  # fmt: skip


HEADERS = st.tuples(
    st.integers(0, 255), st.binary(min_size=16, max_size=16), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)
)


@given(first=HEADERS, second=HEADERS)
def test_two_headers_never_share_their_associated_data(
    first: tuple[int, bytes, int, int], second: tuple[int, bytes, int, int]
) -> None:
    """I2: the layout is fixed in width, so no field can run into another."""
    one, other = associated(bytes(32), *first), associated(bytes(32), *second)
    assert (one == other) is (first == second)
    assert (len(one), one[32:]) == (65, struct.pack(">BQQ", first[0], first[2], first[3]) + first[1])


@given(
    first=st.tuples(EPOCHS, MEMBERS, MEMBERS, st.booleans()), second=st.tuples(EPOCHS, MEMBERS, MEMBERS, st.booleans())
)
def test_two_directions_never_share_their_context(
    first: tuple[Epoch, MemberId, MemberId, bool], second: tuple[Epoch, MemberId, MemberId, bool]
) -> None:
    """F9, I2: epoch, sender, receiver and direction; names of different lengths cannot be shifted."""
    same = context(*first[:3], forward=first[3]) == context(*second[:3], forward=second[3])
    assert same is (first == second)


@given(
    first=st.tuples(EPOCHS, MEMBERS, ROLES, MEMBERS, ROLES), second=st.tuples(EPOCHS, MEMBERS, ROLES, MEMBERS, ROLES)
)
def test_two_handshakes_never_share_their_prologue(
    first: tuple[Epoch, MemberId, Role, MemberId, Role], second: tuple[Epoch, MemberId, Role, MemberId, Role]
) -> None:
    """I3: who claims another role than its spawn record has, founds nothing."""
    assert (prologue(*first) == prologue(*second)) is (first == second)
