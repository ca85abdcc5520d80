"""Links over sockets: whole packets in their order, no blocking send, the kernel's word for the sender."""

from __future__ import annotations

import os
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.actors.memory_ring import Wire
from trollbridge.actors.processes import sockets
from trollbridge.actors.processes.channel import Channel, ParentChannel, child_channel
from trollbridge.actors.processes.endpoint import ITEM_COST, MOST_ITEMS
from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.messages import control
from trollbridge.messages.control import ErrandKind
from trollbridge.messages.errors import AuthenticationFailed, Malformed
from trollbridge.messages.ids import UID_SIZE
from trollbridge.messages.limits import LARGEST_RECORD
from trollbridge.messages.record import Item, Refusal, Request, Routed

if TYPE_CHECKING:
    from collections.abc import Iterator

    Control = Channel[control.FromChild, control.ToChild]

BUFFER: Final = bytearray(LARGEST_RECORD)
NOW: Final = 2**53
PATIENCE: Final = 20
"""Seconds for one send that does not block, however slow the machine."""
BLOCKED: Final = 2 * PATIENCE
"""Seconds after which one that blocks comes back."""


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Give both ends of a link."""
    made = Wire()
    yield made
    made.close()


def reply(number: int, size: int, name: str = "vault") -> tuple[Routed, bytes]:
    """Return a header with large numbers, and its body."""
    uid = number.to_bytes(UID_SIZE, "big")
    body = bytes(size - 16) + uid
    return Routed(4, name, name, uid, 2**20 + number, NOW, bytes(16), size, uid), body


def received(wire: Wire) -> list[tuple[Item, bytes]]:
    """Return every item that has arrived at the near end."""
    found: list[tuple[Item, bytes]] = []
    while True:
        try:
            found += wire.near.receive(BUFFER, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return found


def test_what_is_ready_goes_out_in_one_record(wire: Wire) -> None:
    """A53: with its bodies, in its order."""
    sent = [reply(number, 144) for number in range(40)]
    for item, body in sent:
        wire.far.put(item, body)
    assert (wire.far.ready, wire.far.idle, wire.far.flush(), wire.far.idle) == (40, False, True, True)
    assert wire.near.receive(BUFFER, socket.MSG_DONTWAIT) == sent


@pytest.mark.parametrize(("size", "count"), [(131_088, 300), (1_008, 6_000)])
def test_a_send_never_blocks_and_nothing_is_lost(wire: Wire, size: int, count: int) -> None:
    """P3: megabytes to somebody who does not read: they wait here, and arrive whole and in order when he does."""
    wire.far.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", BLOCKED, 0))
    sent = [reply(number, size) for number in range(count)]
    taken: list[Item] = []
    wire.far.on_sent = taken.extend
    for item, body in sent:
        wire.far.put(item, body)
        late = time.monotonic() + PATIENCE
        wire.far.flush()
        assert time.monotonic() < late
    assert (wire.far.flush(), wire.far.idle) == (False, False)
    assert 0 < wire.far.queued == (size + ITEM_COST) * (count - len(taken))
    found: list[tuple[Item, bytes]] = []
    while not wire.far.idle:
        found += received(wire)
        wire.far.flush()
    found += received(wire)
    assert (found == sent, wire.far.queued, len(taken)) == (True, 0, count)


@pytest.mark.parametrize("name", ["vault", "n" * 32])
@pytest.mark.parametrize("small", [0, 100, MOST_ITEMS - 1, MOST_ITEMS])
@pytest.mark.parametrize("size", [144, 176, 192])
def test_the_largest_record_that_can_come_about_is_taken(wire: Wire, name: str, small: int, size: int) -> None:
    """P3, A14: many short messages and then a long one, between members with long names: the packet fits the buffer."""
    sent = [reply(number, size, name) for number in range(small)]
    sent.append(reply(small, 131_088, name))
    for item, body in sent:
        wire.far.put(item, body)
    wire.far.flush()
    assert received(wire) == sent


def test_the_end_of_a_link_is_an_error_on_both_sides(wire: Wire) -> None:
    """A59: not an empty record."""
    wire.far.socket.close()
    with pytest.raises(LinkLost):
        wire.near.receive(BUFFER)
    wire.near.put(Request("vault.sign"))
    with pytest.raises(LinkLost):
        wire.near.flush()


def test_cutting_a_link_wakes_whoever_waits(wire: Wire) -> None:
    """A14: both ends, and twice does no harm."""
    sockets.cut(wire.near.socket)
    sockets.cut(wire.near.socket)
    for end in (wire.near, wire.far):
        with pytest.raises(LinkLost):
            end.receive(BUFFER)


def test_a_forged_packet_leaves_the_link_usable(wire: Wire) -> None:
    """F9: the next true record opens."""
    wire.far.socket.send(b"\0\0\0\x10" + bytes(16))
    with pytest.raises(AuthenticationFailed):
        wire.near.receive(BUFFER)
    wire.far.put(Refusal(bytes(16)))
    wire.far.flush()
    assert received(wire) == [(Refusal(bytes(16)), b"")]


# Sockets.


def test_a_pair_is_close_on_exec_and_has_no_name() -> None:
    """I1, I7: nothing to inherit, nothing to squat."""
    for end in sockets.pair():
        assert (os.get_inheritable(end.fileno()), end.getsockname()) == (False, "")
        assert (end.family, end.type & 0xF) == (socket.AF_UNIX, socket.SOCK_SEQPACKET)
        end.close()


def test_the_kernel_names_the_process_that_sent_a_packet() -> None:
    """I1: a fork's packet carries the fork's PID, however it came by the descriptor."""
    ours, theirs = sockets.pair()
    sockets.demand_credentials(ours)
    theirs.send(b"mine")
    child = os.fork()
    if child == 0:
        theirs.send(b"forked")
        os._exit(0)
    os.waitpid(child, 0)
    assert [sockets.receive_from(ours, BUFFER) for _ in range(2)] == [(4, os.getpid()), (6, child)]
    ours.close()
    theirs.close()


def test_a_packet_that_does_not_fit_is_malformed_and_the_next_is_taken() -> None:
    """P3: taken whole or refused."""
    ours, theirs = sockets.pair()
    sockets.demand_credentials(ours)
    theirs.send(bytes(LARGEST_RECORD + 1))
    theirs.send(b"next")
    with pytest.raises(Malformed):
        sockets.receive_from(ours, BUFFER)
    assert sockets.receive_from(ours, BUFFER)[0] == 4
    with pytest.raises(BlockingIOError):
        sockets.receive_from(ours, BUFFER)
    ours.close()
    theirs.close()


def copies(descriptor: int) -> int:
    """Return how many descriptors of this process are of one file, whatever else is opened or closed meanwhile."""
    wanted, found = os.fstat(descriptor), 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that the list itself was read through
            found += os.path.samestat(os.fstat(int(each.name)), wanted)
    return found


def test_descriptors_that_nobody_asked_for_are_not_taken() -> None:
    """P3: a member that sends them gets a refusal, and they do not pile up here."""
    ours, theirs = sockets.pair()
    sockets.demand_credentials(ours)
    for _ in range(20):
        socket.send_fds(theirs, [b"x"], [theirs.fileno()] * 3)
        with pytest.raises(Malformed):
            sockets.receive_from(ours, BUFFER)
    assert copies(theirs.fileno()) == 1
    ours.close()
    theirs.close()


def test_more_descriptors_than_foreseen_are_closed_again() -> None:
    """P3: on the control channel, which does take some."""
    ours, theirs = sockets.pair()
    socket.send_fds(theirs, [b"x"], [theirs.fileno()] * 40)
    with pytest.raises(Malformed):
        sockets.receive_with(ours, 100)
    assert copies(theirs.fileno()) == 1
    socket.send_fds(theirs, [b"x"], [theirs.fileno()])
    data, [descriptor] = sockets.receive_with(ours, 100)
    assert (data, os.get_inheritable(descriptor), copies(theirs.fileno())) == (b"x", False, 2)
    os.close(descriptor)
    ours.close()
    theirs.close()


# Control channels.


def test_each_end_of_a_control_channel_understands_the_other() -> None:
    """A11, A40: and descriptors go along, close-on-exec."""
    ours, theirs = sockets.pair()
    parent, child = ParentChannel(ours), child_channel(theirs.detach())
    parent.send(control.Ping(7), parent.fileno())
    message, [descriptor] = child.receive()
    assert (message, os.get_inheritable(descriptor)) == (control.Ping(7), False)
    os.close(descriptor)
    child.send(control.Pong(7))
    assert parent.take(os.getpid()) == control.Pong(7)
    with pytest.raises(BlockingIOError):
        parent.take(os.getpid())
    with pytest.raises(BlockingIOError):
        child.receive(wait=False)
    child.close()
    with pytest.raises(LinkLost):
        parent.take(os.getpid())
    with pytest.raises(LinkLost):
        parent.send(control.Stop())
    parent.close()


def test_the_supervisor_listens_to_the_process_that_it_spawned() -> None:
    """I1: a fork's word, or anybody else's, is malformed."""
    ours, theirs = sockets.pair()
    parent, child = ParentChannel(ours), child_channel(theirs.detach())
    child.send(control.Hello())
    with pytest.raises(Malformed):
        parent.take(os.getpid() + 1)
    for wrong in (b"", b"\x91\x01\x00", b"\x80", bytes(1000)):
        child.socket.send(wrong or b"\0")
        with pytest.raises(Malformed):
            parent.take(os.getpid())
    parent.close()
    child.close()


def test_a_supervisor_never_blocks_on_a_child_that_does_not_read() -> None:
    """K7, P3: the child counts as lost."""
    ours, theirs = sockets.pair()
    parent = ParentChannel(ours)

    def flood() -> None:
        for number in range(100_000):
            parent.send(control.Ping(number))

    with pytest.raises(LinkLost):
        flood()
    parent.close()
    theirs.close()


@pytest.fixture
def channels() -> Iterator[tuple[ParentChannel, Control]]:
    """Yield both ends of a control channel."""
    ours, theirs = sockets.pair()
    parent, child = ParentChannel(ours), child_channel(theirs.detach())
    yield parent, child
    parent.close()
    child.close()


@pytest.fixture
def gift() -> Iterator[int]:
    """Give a descriptor of a file that nobody else has open."""
    descriptor = os.memfd_create("gift")
    yield descriptor
    os.close(descriptor)


def test_descriptors_come_with_the_request_for_an_errand_only(
    channels: tuple[ParentChannel, Control], gift: int
) -> None:
    """I9: from who may have errands, up to the limit, close-on-exec; whoever does not take them lets them be closed."""
    parent, child = channels
    errand = control.Errand(ErrandKind.SCRIBE)
    parent.accept_descriptors()
    child.send(errand, gift, gift, gift)
    assert parent.take(os.getpid()) == errand
    given = parent.given()
    assert (len(given), [os.get_inheritable(each) for each in given], parent.given()) == (3, [False] * 3, [])
    assert copies(gift) == 4
    sockets.close_all(given)
    child.send(errand, *[gift] * (1 + control.MOST_GIVEN))
    child.send(control.Pong(1))
    assert [parent.take(os.getpid()) for _ in range(2)] == [errand, control.Pong(1)]
    assert copies(gift) == 1, "what nobody took is closed"
    for message, descriptors in (
        (errand, []),
        (control.Pong(1), [gift]),
        (errand, [gift] * (2 + control.MOST_GIVEN)),
        (errand, [gift] * 200),
    ):
        child.send(message, *descriptors)
        with pytest.raises(Malformed):
            parent.take(os.getpid())
    sockets.close_all(parent.given())
    assert copies(gift) == 1


def test_who_has_no_errands_sends_no_descriptor(channels: tuple[ParentChannel, Control], gift: int) -> None:
    """I9: the kernel closes it, and the message is malformed."""
    parent, child = channels
    child.send(control.Errand(ErrandKind.SCRIBE), gift)
    with pytest.raises(Malformed):
        parent.take(os.getpid())
    assert copies(gift) == 1
