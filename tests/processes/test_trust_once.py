"""Trust is established once: what a real broker process makes of members that join twice, late, as others, or by force.

The test is the supervisor here, and every member; so it can do what no honest one would.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING, Final

import pytest

from tests.harness.lone_broker import EPOCH, LoneBroker, LoneMember, call_header, ring_of_two
from trollbridge.actors.processes import sockets
from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.messages import control
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.envelope import Kind, prologue
from trollbridge.messages.errors import HandshakeFailed
from trollbridge.messages.ids import BROKER, NO_UID, Role
from trollbridge.messages.noise import Initiator
from trollbridge.messages.record import Lease, Refusal, Request, Routed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BODY: Final = bytes(range(64))
ENDED_BY_AN_ERROR: Final = 1


@pytest.fixture
def broker() -> Iterator[LoneBroker]:
    """Yield a broker process that has no members yet."""
    with LoneBroker() as running:
        yield running


def first_message(member: LoneMember) -> bytes:
    """Return a fresh first message of a member's handshake."""
    words = prologue(EPOCH, member.name, member.role, BROKER, Role.BROKER)
    return Initiator(member.token, words).message_1()[0]


def lease(member: LoneMember, handler: str = "vault.echo") -> list[bytes]:
    """Ask for UIDs; return them."""
    member.say(Request(handler))
    item, _ = member.hear()
    assert isinstance(item, Lease)
    return [item.uids[start : start + 16] for start in range(0, len(item.uids), 16)]


def exchange(client: LoneMember, enclave: LoneMember, sequence: int) -> bytes:
    """Let one call and its reply pass; return the fresh UID."""
    [uid, *_] = lease(client) if sequence == 0 else [client.token]
    client.say(call_header(client.name, uid, sequence=sequence, body=BODY), BODY)
    call, body = enclave.hear()
    assert isinstance(call, Routed)
    assert (call.uid, body, len(call.route)) == (uid, BODY, 16)
    enclave.say(reply_header(enclave.name, client.name, uid), BODY)
    reply, _ = client.hear()
    assert isinstance(reply, Routed)
    return reply.route


def reply_header(enclave: str, client: str, uid: bytes) -> Routed:
    """Return the header of a reply with the usual body."""
    return Routed(Kind.REPLY, enclave, client, uid, 0, 0, b"", len(BODY), BODY[-16:])


def test_members_with_their_tokens_join_and_talk(broker: LoneBroker) -> None:
    """A32, A36, A38: the honest half of everything below."""
    ui, vault = ring_of_two(broker)
    fresh = exchange(ui, vault, 0)
    assert (len(fresh), broker.notices) == (16, [])


@pytest.mark.parametrize("token", [bytes(32), b"\xff" * 32])
def test_a_member_without_its_token_is_refused_and_cut_off(broker: LoneBroker, token: bytes) -> None:
    """A32, A36: neither side gets a link, the refusal is reported, the broker lives on and lets others in."""
    stranger = broker.open("ui", Role.UI, handlers=("vault.echo",), peers=("vault",))
    vault = broker.open("vault", Role.ENCLAVE, peers=("ui",))
    broker.begin()
    with pytest.raises(HandshakeFailed):
        stranger.join(token)
    assert broker.notice(NoticeKind.JOIN_REFUSED, "ui").why == "it did not prove its join token"
    vault.join().publish(echo=bytes(32))
    assert broker.alive()


@pytest.mark.parametrize("wrong", ["epoch", "role", "name", "foreign token"])
def test_a_token_opens_one_place_only(broker: LoneBroker, wrong: str) -> None:
    """A32, I3: the right token in another epoch, role or name proves nothing, nor does another member's token."""
    ui = broker.open("ui", Role.UI, peers=("vault",))
    vault = broker.open("vault", Role.ENCLAVE, peers=("ui",))
    broker.begin()
    attempts: dict[str, Callable[[], LoneMember]] = {
        "epoch": lambda: ui.join(epoch=EPOCH + 1),
        "role": lambda: ui.join(role=Role.ENCLAVE),
        "name": lambda: LoneMember("vault", Role.UI, ui.end, ui.token).join(),
        "foreign token": lambda: ui.join(vault.token),
    }
    with pytest.raises(HandshakeFailed):
        attempts[wrong]()
    assert broker.notice(NoticeKind.JOIN_REFUSED).about == "ui"


def test_a_join_token_is_dead_after_its_use(broker: LoneBroker) -> None:
    """A38, A43, I8, P6: a second hello is fatal for the member, with a fresh message under the same token too."""
    ui, _ = ring_of_two(broker)
    ui.end.send(first_message(ui))
    assert broker.notice(NoticeKind.RECORD_REFUSED, "ui").why in {"AuthenticationFailed", "Malformed"}
    ui.say(Request("vault.echo"))
    item, _ = ui.hear()
    assert isinstance(item, Lease)  # the stored identity wins: the link that there is goes on


def test_two_hellos_at_once_found_at_most_one_link(broker: LoneBroker) -> None:
    """A43, R3: two threads race with one token; the broker answers one of them and refuses the other."""
    ui = broker.open("ui", Role.UI)
    broker.begin()
    started = threading.Barrier(2)

    def hello() -> None:
        message = first_message(ui)
        started.wait()
        ui.end.send(message)

    threads = [threading.Thread(target=hello) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ui.end.settimeout(10)
    assert len(ui.end.recv(4096)) == 48
    assert broker.notice(NoticeKind.RECORD_REFUSED, "ui").why
    assert broker.alive()


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("token", ["same", "other"])
def test_a_member_is_let_in_once(broker: LoneBroker, token: str, *, sealed: bool) -> None:
    """A43, R3, R4: a second link for a member ends the broker, and so the ring: same key or other, sealed or not."""
    if sealed:
        ui, _ = ring_of_two(broker)
    else:
        ui = broker.open("ui", Role.UI, peers=("vault",))
        broker.begin()
        ui.join()
    broker.open("ui", Role.UI, peers=("vault",), token=ui.token if token == "same" else b"")
    assert broker.end() == ENDED_BY_AN_ERROR
    assert ui.cut_off()


@pytest.mark.parametrize("role", [Role.UI, Role.ENCLAVE, Role.BROKER])
def test_nobody_joins_a_sealed_ring(broker: LoneBroker, role: Role) -> None:
    """A26, A43, R4: even the supervisor's own word for a new member ends the ring once it is sealed."""
    ui, _ = ring_of_two(broker)
    broker.open("latecomer", role)
    assert broker.end() == ENDED_BY_AN_ERROR
    assert ui.cut_off()


def test_an_extension_joins_only_a_sealed_ring(broker: LoneBroker) -> None:
    """A33: before the seal it ends the broker; after it, it may call what it is granted and nothing else."""
    ring_of_two(broker)
    extra = broker.open("extra", Role.EXTENSION, handlers=("vault.echo",), peers=("vault",)).join()
    assert len(lease(extra)) > 0
    assert lease(extra, "vault.other") == []
    with LoneBroker() as forming:
        forming.open("extra", Role.EXTENSION)
        assert forming.end() == ENDED_BY_AN_ERROR


def test_a_member_that_half_closes_its_link_changes_nothing_but_its_own(broker: LoneBroker) -> None:
    """R5: the broker reports the loss, lets nobody in its place, and goes on with the others."""
    ui, vault = ring_of_two(broker)
    extra = broker.open("extra", Role.EXTENSION, handlers=("vault.echo",), peers=("vault",)).join()
    extra.end.shutdown(socket.SHUT_WR)
    assert broker.notice(NoticeKind.LINK_LOST, "extra").why == "its end of the link is closed"
    with pytest.raises(LinkLost):
        extra.hear()
    fresh = exchange(ui, vault, 0)
    assert len(fresh) == 16


def test_another_process_on_a_members_descriptor_gets_nothing(broker: LoneBroker) -> None:
    """R4, I1: the kernel's word counts: a link that was opened for another PID takes no hello, even with the token."""
    child = os.posix_spawn("/bin/cat", ["cat"], {}, file_actions=[])
    try:
        ui = broker.open("ui", Role.UI, pid=child)
        broker.begin()
        ui.end.send(first_message(ui))
        assert broker.notice(NoticeKind.SENDER_REFUSED, "ui").why == "another process spoke on its descriptor"
        assert broker.alive()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_hammering_at_the_join_opens_no_window(broker: LoneBroker) -> None:
    """R6: hellos of every wrong kind on every link, from many threads while the ring forms: nobody is let in."""
    with socket.socket(socket.AF_UNIX) as nowhere:
        replayed = first_message(LoneMember("ui", Role.UI, nowhere, os.urandom(32)))
    links = [broker.open(f"m{number}", Role.ENCLAVE) for number in range(8)]
    broker.begin()

    def hammer(member: LoneMember) -> None:
        for packet in (
            replayed,
            os.urandom(48),
            b"",
            first_message(LoneMember("ui", Role.UI, member.end, member.token)),
        ):
            try:
                member.end.send(packet)
            except OSError:
                return

    threads = [threading.Thread(target=hammer, args=(member,)) for member in links]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(member.cut_off() for member in links)
    assert broker.alive()
    refused = {each.about for each in broker.notices if each.kind is NoticeKind.JOIN_REFUSED}
    assert refused == {member.name for member in links}


def test_a_reply_counts_only_from_the_enclave_that_was_called(broker: LoneBroker) -> None:
    """I5, F8: another enclave's reply and a second reply are dropped and reported; the right one arrives."""
    ui = broker.open("ui", Role.UI, handlers=("vault.echo",), peers=("vault", "other"))
    vault = broker.open("vault", Role.ENCLAVE, peers=("ui",))
    other = broker.open("other", Role.ENCLAVE, peers=("ui",))
    broker.begin()
    ui.join()
    vault.join().publish(echo=bytes(32))
    other.join().publish(echo=bytes(32))
    broker.seal()
    [uid, *_] = lease(ui)
    ui.say(call_header("ui", uid, body=BODY), BODY)
    assert vault.hear()[1] == BODY
    other.say(reply_header("other", "ui", uid), BODY)
    assert broker.notice(NoticeKind.REPLY_DROPPED, "other").why
    vault.say(reply_header("vault", "ui", uid), BODY)
    reply, _ = ui.hear()
    assert isinstance(reply, Routed)
    assert reply.sender == "vault"
    vault.say(reply_header("vault", "ui", uid), BODY)
    assert broker.notice(NoticeKind.REPLY_DROPPED, "vault").why
    assert lease(ui, "vault.nothing") == []  # the next that it hears: nothing came in between


def test_a_uid_of_another_ring_is_worth_nothing(broker: LoneBroker) -> None:
    """A45, I5, R1: what one broker issued, the next has never heard of; its own UIDs work."""
    with LoneBroker() as last:
        old_ui, _ = ring_of_two(last)
        [old, *_] = lease(old_ui)
    ui, vault = ring_of_two(broker)
    ui.say(call_header("ui", old, body=BODY), BODY)
    item, _ = ui.hear()
    assert isinstance(item, Refusal)
    assert broker.notice(NoticeKind.UID_REFUSED, "ui").why
    assert exchange(ui, vault, 0)


def test_a_flipped_bit_anywhere_in_a_record_is_refused(broker: LoneBroker) -> None:
    """A46, F9: in the length and the sealed headers; each is reported, and the untouched record still opens."""
    ui, vault = ring_of_two(broker)
    [uid, *_] = lease(ui)
    endpoint = ui.endpoint
    head = endpoint._link.seal([call_header("ui", uid, body=BODY)])
    record = head + BODY
    positions = [*range(0, len(head), 11), len(head) - 1]
    for position in positions:
        altered = bytearray(record)
        altered[position] ^= 1 << (position % 8)
        ui.end.send(altered)
    ui.end.send(record)
    assert vault.hear()[1] == BODY
    assert broker.kinds(len(positions)) == [NoticeKind.RECORD_REFUSED] * len(positions)


def test_a_body_whose_tag_is_not_the_one_in_its_header_is_refused(broker: LoneBroker) -> None:
    """A46, F3: the sealed header names the tag and the length of its body; with any other body it is refused."""
    ui, vault = ring_of_two(broker)
    uids = lease(ui)
    for uid, bad in ((uids[0], BODY[:-1] + b"\0"), (uids[1], bytes(64)), (uids[2], BODY[:-1]), (uids[3], BODY + b"\0")):
        ui.end.send(ui.endpoint._link.seal([call_header("ui", uid, body=BODY)]) + bad)
    ui.say(call_header("ui", uids[4], body=BODY), BODY)
    item, _ = vault.hear()
    assert isinstance(item, Routed)
    assert item.uid == uids[4]
    assert broker.kinds(4) == [NoticeKind.RECORD_REFUSED] * 4


def test_an_unknown_message_on_the_control_channel_ends_the_broker(broker: LoneBroker) -> None:
    """A40, P2: it takes its own union of messages and no other."""
    broker.process.channel.socket.send(control.FROM_CHILD.encode(control.Hello()))
    assert broker.end() == ENDED_BY_AN_ERROR


def test_no_handshake_passes_where_none_is_foreseen(broker: LoneBroker) -> None:
    """A36, F4: a session message to a stranger, or with a UID, is refused and reported."""
    ui, _ = ring_of_two(broker)
    for receiver, uid in (("nobody", NO_UID), ("vault", b"\1" * 16)):
        ui.say(Routed(Kind.HANDSHAKE, "ui", receiver, uid, 0, 0, b"", len(BODY), BODY[-16:]), BODY)
    assert broker.kinds(2) == [NoticeKind.ENVELOPE_REFUSED] * 2


def test_the_pairs_of_a_link_are_unnamed_and_close_on_exec() -> None:
    """A40, I1: nothing has a name in any name space, and nothing is inherited by accident."""
    for end in sockets.pair():
        with end:
            assert (end.getsockname(), end.get_inheritable()) == ("", False)
