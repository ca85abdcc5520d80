"""Long contents: cut on one side, put together on the other, never more under way than the window."""

from __future__ import annotations

from typing import Final

import pytest

from tests.messages.sessions import CLIENT, ENCLAVE, pair
from trollbridge.messages import payloads
from trollbridge.messages.envelope import Envelope, Kind
from trollbridge.messages.errors import Malformed, TooLarge
from trollbridge.messages.ids import HandlerUID, Microseconds
from trollbridge.messages.parts import LONG, PART_SIZE, WINDOW, Assembly, Outgoing, at_once, counts
from trollbridge.messages.session import LARGEST_CONTENT, Session

FIRST: Final = HandlerUID(b"1" * 16)
SECOND: Final = HandlerUID(b"2" * 16)
NEVER: Final = Microseconds(0)


def content(size: int, salt: int = 0) -> bytes:
    """Return `size` bytes in which no part is like another."""
    return b"".join((salt + each).to_bytes(8, "big") for each in range(size // 8 + 1))[:size]


def last(total: int, piece: bytes, first: int = 0) -> memoryview:
    """Return the last piece of a content that was cut, as it travels."""
    return memoryview(b"\0" + total.to_bytes(8, "big") + first.to_bytes(8, "big") + piece)


def put_together(session: Session, envelopes: list[Envelope], limit: int) -> list[bytes]:
    """Open and assemble what an `Outgoing` made, as a receiver does."""
    assembly = Assembly(limit)
    whole: list[bytes] = []
    for envelope in envelopes:
        opened = session.open(envelope)
        if envelope.kind == Kind.PART:
            assembly.add(envelope.uid, envelope.sequence, opened)
        else:
            whole.append(bytes(assembly.finish(envelope.uid, opened)))
    assert len(assembly) == 0
    return whole


EDGE: Final = LARGEST_CONTENT - 17


@pytest.mark.parametrize(
    "size",
    [
        0,
        1,
        LONG,
        EDGE - 1,
        EDGE,
        EDGE + 1,
        LARGEST_CONTENT,
        3 * PART_SIZE,
        3 * PART_SIZE + EDGE,
        3 * PART_SIZE + EDGE + 1,
    ],
)
def test_a_content_of_any_length_arrives_whole(size: int) -> None:
    """A9, P3: at and around every limit."""
    client, enclave = pair()
    outgoing = Outgoing(client)
    outgoing.put(Kind.CALL, FIRST, NEVER, content(size))
    envelopes = list(outgoing.drain())
    assert put_together(enclave, envelopes, 5 * PART_SIZE) == [content(size)]
    kinds = [each.kind for each in envelopes]
    assert (kinds[-1], set(kinds[:-1]) <= {Kind.PART}) == (Kind.CALL, True)
    assert {(each.uid, each.sender, each.receiver) for each in envelopes} == {(FIRST, CLIENT, ENCLAVE)}
    assert max(len(each.body) for each in envelopes) <= 128 * 1024 + 16


def test_a_long_body_needs_credit_and_a_short_one_none() -> None:
    """P3: what may lie about for one member is bounded in bytes, not only in number."""
    client, _ = pair()
    sizes = [at for at in range(0, LARGEST_CONTENT, 61) if at_once(at)]
    assert [counts(Kind.CALL, len(client.seal(Kind.CALL, FIRST, NEVER, bytes(at)).body)) for at in sizes[-3:]] == [
        False
    ] * 3
    longer = client.seal(Kind.CALL, FIRST, NEVER, bytes(sizes[-1] + 1_000))
    assert (at_once(sizes[-1] + 1_000), counts(Kind.CALL, len(longer.body))) == (False, True)
    assert (counts(Kind.PART, 1), counts(Kind.REPLY, LONG), counts(Kind.REPLY, LONG + 1)) == (True, False, True)
    assert (counts(Kind.SESSION, 10**6), counts(Kind.HANDSHAKE, 10**6)) == (False, False)


def test_long_bodies_wait_for_credit_like_parts() -> None:
    """P3: contents that fit one envelope, but are long."""
    client, enclave = pair()
    outgoing = Outgoing(client)
    for number in range(2 * WINDOW):
        outgoing.put(Kind.CALL, FIRST, NEVER, content(100_000, number))
    sent = list(outgoing.drain())
    assert len(sent) == WINDOW
    outgoing.credit(WINDOW)
    sent += list(outgoing.drain())
    assert put_together(enclave, sent, PART_SIZE) == [content(100_000, number) for number in range(2 * WINDOW)]


def test_no_more_parts_than_the_window_are_under_way() -> None:
    """P3: the rest waits for credit, one part for one; credit beyond the window counts for nothing."""
    client, enclave = pair()
    outgoing = Outgoing(client)
    whole = content(40 * PART_SIZE)
    outgoing.put(Kind.CALL, FIRST, NEVER, whole)
    sent = list(outgoing.drain())
    assert ([each.kind for each in sent], list(outgoing.drain())) == ([Kind.PART] * WINDOW, [])
    outgoing.credit(1)
    sent += (one := list(outgoing.drain()))
    assert len(one) == 1
    outgoing.credit(10 * WINDOW)
    sent += (some := list(outgoing.drain()))
    assert len(some) == WINDOW
    outgoing.credit(WINDOW)
    sent += list(outgoing.drain())
    assert put_together(enclave, sent, len(whole)) == [whole]


def test_parts_of_two_contents_never_interleave() -> None:
    """P3: one after the other, whatever their lengths; a short one waits its turn."""
    client, enclave = pair()
    outgoing = Outgoing(client)
    contents = [content(20 * PART_SIZE, 1), b"short", content(2 * PART_SIZE, 2)]
    for uid, each in zip((FIRST, SECOND, FIRST), contents, strict=True):
        outgoing.put(Kind.CALL, uid, NEVER, each)
    sent = list(outgoing.drain())
    assert {each.uid for each in sent} == {FIRST}
    outgoing.credit(WINDOW)
    sent += list(outgoing.drain())
    assert put_together(enclave, sent, 20 * PART_SIZE) == contents


def test_progress_is_told_in_bytes_and_reaches_the_whole() -> None:
    """A14: monotonic, one report for each envelope, the last one complete."""
    client, _ = pair()
    outgoing = Outgoing(client)
    told: list[tuple[int, int]] = []
    size = 2 * PART_SIZE + EDGE
    outgoing.put(Kind.CALL, FIRST, NEVER, content(size), lambda sent, total: told.append((sent, total)))
    list(outgoing.drain())
    assert told == [], "whoever seals holds a lock; he tells later"
    for progress, sent, total in outgoing.reports:
        progress(sent, total)
    assert told == [(PART_SIZE, size), (2 * PART_SIZE, size), (size, size)]


def test_a_content_over_the_limit_is_let_go_of_at_once() -> None:
    """P3: the receiver never holds more than its limit, and says `TooLarge` only when the whole has come."""
    assembly = Assembly(100)
    for _ in range(1_000):
        assembly.add(FIRST, 0, memoryview(bytes(60)))
        assert len(assembly) <= 100
    with pytest.raises(TooLarge):
        assembly.finish(FIRST, last(60_000, b""))
    assembly.add(SECOND, 0, memoryview(b"ab"))
    assert bytes(assembly.finish(SECOND, last(3, b"c"))) == b"abc"


@pytest.mark.parametrize(("parts", "rest", "fits"), [(90, 10, True), (90, 11, False), (0, 100, True), (0, 101, False)])
def test_the_limit_holds_for_the_last_piece_too(parts: int, rest: int, *, fits: bool) -> None:
    """P3: to the byte."""
    assembly = Assembly(100)
    if parts:
        assembly.add(FIRST, 0, memoryview(bytes(parts)))
    piece = last(parts + rest, bytes(rest)) if parts else memoryview(bytes(rest))
    if fits:
        assert len(assembly.finish(FIRST, piece)) == parts + rest
    else:
        with pytest.raises(TooLarge):
            assembly.finish(FIRST, piece)
    assert len(assembly) == 0


@pytest.mark.parametrize(
    "piece",
    [
        b"",
        b"c",
        b"\0" * 16,
        b"\1" + (3).to_bytes(8, "big") + bytes(8) + b"c",
        b"\0" + (4).to_bytes(8, "big") + bytes(8) + b"c",
        b"\0" + (3).to_bytes(8, "big") + bytes(7) + b"\1c",
        b"\0" * 17 + b"c",
    ],
)
def test_a_content_that_misses_a_piece_is_malformed(piece: bytes) -> None:
    """F9: the last piece names the whole; what does not add up to it counts as nothing."""
    assembly = Assembly(100)
    assembly.add(FIRST, 0, memoryview(b"ab"))
    with pytest.raises(Malformed):
        assembly.finish(FIRST, memoryview(piece))
    assert len(assembly) == 0


def test_a_part_of_another_content_ends_one_that_was_given_up() -> None:
    """A14: the session keeps the order, so the first was given up; nothing of it gets into the second."""
    assembly = Assembly(100)
    assembly.add(FIRST, 0, memoryview(bytes(90)))
    assembly.add(FIRST, 0, memoryview(bytes(90)))
    assembly.add(SECOND, 0, memoryview(b"ab"))
    assert (len(assembly), bytes(assembly.finish(SECOND, last(3, b"c")))) == (2, b"abc")
    assembly.add(FIRST, 0, memoryview(b"ab"))
    assembly.add(SECOND, 0, memoryview(b"XX"))
    remnant = bytes(assembly.finish(FIRST, last(3, b"c")))
    with pytest.raises(Malformed):
        payloads.decode(remnant)


def test_the_end_of_another_content_takes_none_of_the_parts() -> None:
    """F3: a short content in between is itself and nothing more."""
    assembly = Assembly(100)
    assembly.add(FIRST, 0, memoryview(b"ab"))
    assert bytes(assembly.finish(SECOND, memoryview(b"X"))) == b"X"
    assert bytes(assembly.finish(FIRST, last(3, b"c"))) == b"abc"


def test_a_piece_is_copied_when_it_is_taken() -> None:
    """A53: the buffer that it came in may be used again."""
    assembly, buffer = Assembly(100), bytearray(b"ab")
    assembly.add(FIRST, 0, memoryview(buffer))
    buffer[:] = b"XX"
    assert bytes(assembly.finish(FIRST, last(3, b"c"))) == b"abc"
