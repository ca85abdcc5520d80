"""What SPEC section 12 refuses, the shipped broker and the shipped enclave refuse; each notice is the one it names."""

from __future__ import annotations

import secrets
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from tests.spec.client import Client
from tests.spec.keys import Handshake, prologue
from tests.spec.packing import pack
from tests.spec.processes import FAILED
from tests.spec.ring import EPOCH, Ring, forming, sealed
from tests.spec.wire import (
    CALL,
    CREDIT,
    HANDSHAKE,
    LARGEST_RECORD,
    LEASE,
    LEFT,
    LONG,
    NO_UID,
    PART,
    PUBLISH,
    REFUSAL,
    REPLY,
    REQUEST,
    SESSION,
    WIDEST_GAP,
    WINDOW,
    Envelope,
    Session,
    last_piece,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.spec.packing import Value

ECHO: Final = "sample.echo"
OTHER: Final = secrets.token_bytes(16)


@pytest.fixture
def ring() -> Iterator[Ring]:
    """Return a sealed ring of the test's own: strikes are counted."""
    with sealed() as made:
        yield made


def session_of(ring: Ring) -> Session:
    """Return the client's session with the enclave."""
    return ring.client.peers["sample"].session


def a_call(ring: Ring, uid: bytes, handler: str = ECHO, deadline: int = 0) -> Envelope:
    """Seal a call of `handler` under any UID."""
    content = b"\x01" + ring.client.handlers[handler].code + pack([b"x"])
    return session_of(ring).seal(CALL, uid, content, deadline)


def refused(ring: Ring, item: Envelope) -> None:
    """Send an envelope, and see it refused."""
    ring.client.send(item)
    assert ring.client.next() == [REFUSAL, item.uid]


def still_works(ring: Ring) -> None:
    """See that the refusal harmed nothing else."""
    assert ring.client.call(ECHO, b"still here") == b"still here"


def leased(ring: Ring, handler: str = ECHO) -> bytes:
    """Return a fresh UID."""
    if handler not in ring.client.uids:
        ring.client.lease(handler)
    return ring.client.uids[handler].pop()


# The broker


def test_a_used_and_an_invented_uid_get_one_refusal(ring: Ring) -> None:
    """A27, F1, F5: nothing runs, and the member cannot tell which it was; the log can tell no difference either."""
    uid = ring.client.start(ECHO, b"once")
    assert ring.client.finish(uid) == b"once"
    for spent in (uid, OTHER):
        refused(ring, a_call(ring, spent))
        assert ring.broker.expect_notice() == ["uid.refused", "console", "never issued, used or void", ""]
    still_works(ring)


@pytest.mark.parametrize(
    ("change", "kind", "why"),
    [
        ({"sender": "sample"}, "sender.refused", "the header names another sender or a route"),
        ({"route": OTHER}, "sender.refused", "the header names another sender or a route"),
        ({"kind": REPLY}, "envelope.refused", "an envelope of a kind that this role does not send"),
        ({"kind": 6}, "envelope.refused", "an envelope of a kind that this role does not send"),
        ({"receiver": "console"}, "uid.refused", "leased for a handler of another enclave"),
    ],
)
def test_a_header_that_lies_is_refused(ring: Ring, change: dict[str, str], kind: str, why: str) -> None:
    """F4, I2, I3: sender and role are the spawn record's, the route is the broker's to fill."""
    refused(ring, replace(a_call(ring, leased(ring)), **change))  # type: ignore[arg-type]
    assert ring.broker.expect_notice() == [kind, "console", why, ""]
    still_works(ring)


def test_a_handler_without_a_grant_has_an_empty_lease(ring: Ring) -> None:
    """A22: withheld, unknown, or no handler's name at all."""
    for name in ("sample.withheld", "sample.nothing", "x"):
        assert ring.client.lease(name) == []
        assert ring.broker.expect_notice() == ["lease.refused", "console", "no grant", ""]
    still_works(ring)


def test_a_repeated_record_is_dropped_and_harms_nothing(ring: Ring) -> None:
    """F1, F9: the counter does not move for what does not open."""
    record = ring.client.send(a_call(ring, leased(ring)))
    ring.client.next_envelope(REPLY)
    for again in (record, record[:4] + bytes(len(record) - 4)):
        ring.client.end.send(again)
        assert ring.broker.expect_notice() == ["record.refused", "console", "AuthenticationFailed", ""]
    still_works(ring)


def test_a_packet_that_is_too_long_is_refused_whole(ring: Ring) -> None:
    """P3: a record with another byte would have counted."""
    ring.client.end.send(bytes(LARGEST_RECORD + 1))
    assert ring.broker.expect_notice() == ["record.refused", "console", "Malformed", ""]
    still_works(ring)


@pytest.mark.parametrize(
    "items",
    [
        [[REQUEST, ECHO, 0]],
        [[REQUEST]],
        [[REQUEST, b"sample.echo"]],
        [[9, ECHO]],
        [[REQUEST, ECHO], [REFUSAL, b"short"]],
        [7],
        [],
    ],
)
def test_a_malformed_record_uses_its_counter_up(ring: Ring, items: list[Value]) -> None:
    """P4: none of its items counts; the next record does. An empty record is none of them: it is allowed."""
    ring.client.send(*items)  # type: ignore[arg-type]
    if items:
        assert ring.broker.expect_notice() == ["record.refused", "console", "Malformed", ""]
    still_works(ring)


def test_a_body_that_is_not_the_headers_is_malformed(ring: Ring) -> None:
    """F3: the header names the body's tag and its length, to the byte."""
    call = a_call(ring, leased(ring))
    record = ring.client.link.seal(call)
    for wrong in (record[:-1] + bytes([record[-1] ^ 1]), ring.client.link.seal(call) + b"\0"):
        ring.client.end.send(wrong)
        assert ring.broker.expect_notice() == ["record.refused", "console", "Malformed", ""]
    still_works(ring)


@pytest.mark.parametrize("item", [[LEASE, ECHO, b"", ""], [CREDIT, "sample", 1], [LEFT, "sample"]])
def test_an_item_that_only_the_broker_sends_is_refused(ring: Ring, item: list[Value]) -> None:
    """I3: a client gives nobody a lease or credit."""
    ring.client.send(item)
    assert ring.broker.expect_notice() == ["record.refused", "console", "an item that only the broker sends", ""]
    still_works(ring)


def test_one_strike_too_many_costs_the_link(ring: Ring) -> None:
    """A27, F7: sixteen refusals are borne, the seventeenth is the last."""
    for _ in range(17):
        ring.client.send([REFUSAL, OTHER])
    kinds = [ring.broker.expect_notice()[0] for _ in range(18)]
    assert kinds == ["reply.dropped"] * 17 + ["member.removed"]
    assert ring.client.end.recv(1) == b""


def cut(ring: Ring, why: str) -> None:
    """See the link cut for a reason."""
    assert ring.broker.expect_notice() == ["member.removed", "console", why, ""]
    with pytest.raises((EOFError, ConnectionError)):
        for _ in iter(ring.client.next, None):
            pass


def test_a_client_that_publishes_is_cut_off(ring: Ring) -> None:
    """A17: nothing registers at run time."""
    ring.client.send([PUBLISH, []])
    cut(ring, "published out of turn")


def test_parts_beyond_the_window_cost_the_link(ring: Ring) -> None:
    """P3: all in one packet, so that no credit can come in between."""
    uid = leased(ring)
    ring.client.send(*[session_of(ring).seal(PART, uid, b"piece") for _ in range(WINDOW + 1)])
    cut(ring, "more long bodies than its credit")


def test_parts_of_two_contents_do_not_interleave(ring: Ring) -> None:
    """P6: the second content's part is refused, and its credit given back; the first goes on."""
    first, second = leased(ring), leased(ring)
    session = session_of(ring)
    content = b"\x01" + ring.client.handlers[ECHO].code + pack([b"whole"])
    began = session.sent
    ring.client.send(session.seal(PART, first, content[:9]), session.seal(PART, second, content[:9]))
    found = [ring.client.next() for _ in range(3)]
    assert [REFUSAL, second] in found
    assert found.count([CREDIT, "sample", 1]) == 2
    ring.client.send(session.seal(CALL, first, last_piece(content[9:], len(content), began)))
    reply = ring.client.next()
    assert isinstance(reply, Envelope)
    assert session.open(reply) == b"\x02" + pack(b"whole")


def test_a_content_that_came_in_pieces_counts_only_whole(ring: Ring) -> None:
    """F3: the last piece says how many bytes there are and with which PART they began; else nothing runs."""
    session = session_of(ring)
    content = b"\x01" + ring.client.handlers[ECHO].code + pack([b"whole"])
    size = len(content)
    for first, said, ago in (
        (content[:9], size + 1, 0),
        (content[:8], size, 0),
        (b"", size, 0),
        (content[:9], size, 1),
    ):
        uid, began = leased(ring), session.sent - ago
        if first:
            ring.client.send(session.seal(PART, uid, first))
            assert ring.client.next() == [CREDIT, "sample", 1]
        refused(ring, session.seal(CALL, uid, last_piece(content[9:], said, began)))
        assert ring.enclave.expect_notice() == ["envelope.refused", "console", "Malformed", ""]
    still_works(ring)


def test_a_part_that_does_not_open_ends_its_call(ring: Ring) -> None:
    """A14, F3: the enclave refuses the UID at once, and the next long content is taken."""
    part = session_of(ring).seal(PART, leased(ring), b"piece")
    ring.client.send(replace(part, body=bytes(len(part.body))))
    found = [ring.client.next() for _ in range(2)]
    assert sorted(found, key=str) == sorted([[CREDIT, "sample", 1], [REFUSAL, part.uid]], key=str)
    assert ring.enclave.expect_notice() == ["envelope.refused", "console", "AuthenticationFailed", ""]
    assert ring.broker.expect_notice()[:2] == ["envelope.refused", "console"]
    ring.client.send(session_of(ring).seal(CALL, part.uid, b"the end"))
    assert ring.client.next() == [REFUSAL, part.uid]
    data = secrets.token_bytes(300_000)
    assert ring.client.call(ECHO, data) == data


@pytest.mark.parametrize(("size", "credit"), [(LONG - 600, 0), (LONG + 1, 1)])
def test_a_long_call_is_given_its_credit_back(ring: Ring, size: int, credit: int) -> None:
    """P3: as a PART is, once the body has left for the enclave; a short one needs none."""
    content = b"\x01" + ring.client.handlers[ECHO].code + pack([bytes(size)])
    call = session_of(ring).seal(CALL, leased(ring), content)
    assert call.long is bool(credit)
    ring.client.send(call)
    found = [ring.client.next() for _ in range(1 + credit)]
    assert found.count([CREDIT, "sample", 1]) == credit
    assert sum(isinstance(each, Envelope) for each in found) == 1


def test_another_process_on_the_descriptor_is_not_heard(ring: Ring) -> None:
    """I1: the kernel names the sender of each packet; a record of the right key from the wrong process is dropped."""
    number = ring.client.end.fileno()
    record = ring.client.link.seal([REQUEST, ECHO])
    speak = f"import socket; socket.socket(fileno={number}).send(bytes.fromhex('{record.hex()}'))"
    subprocess.run([sys.executable, "-I", "-c", speak], check=True, pass_fds=[number], env={})
    why = "another process spoke on its descriptor"
    assert ring.broker.expect_notice() == ["sender.refused", "console", why, ""]
    ring.client.end.send(record)
    assert ring.client.next() != []


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope(HANDSHAKE, "console", "broker", NO_UID, 0, 0, bytes(48)),
        Envelope(SESSION, "console", "sample", OTHER, 0, 0, bytes(48)),
    ],
)
def test_a_session_that_is_not_foreseen_is_refused(ring: Ring, envelope: Envelope) -> None:
    """A43: with a stranger, or under a UID."""
    ring.client.send(envelope)
    why = "no session with that member is foreseen"
    assert ring.broker.expect_notice() == ["envelope.refused", "console", why, ""]
    still_works(ring)


# The enclave


def changed_body(ring: Ring) -> Envelope:
    """Return a call with one bit flipped in its body."""
    call = a_call(ring, leased(ring))
    return replace(call, body=bytes([call.body[0] ^ 1]) + call.body[1:])


def other_uid(ring: Ring) -> Envelope:
    """Return a call under another UID than the one that it was sealed with."""
    return replace(a_call(ring, OTHER), uid=leased(ring))


def other_deadline(ring: Ring) -> Envelope:
    """Return a call with another deadline than the one that it was sealed with."""
    return replace(a_call(ring, leased(ring)), deadline=1 << 62)


def other_handler(ring: Ring) -> Envelope:
    """Return a call with the session code of one handler under the UID of another."""
    return a_call(ring, leased(ring, "sample.secret"))


def unknown_code(ring: Ring) -> Envelope:
    """Return a call with a session code that is none."""
    return session_of(ring).seal(CALL, leased(ring), b"\x01" + OTHER + b"\x90")


def no_call(ring: Ring) -> Envelope:
    """Return a content that is no call."""
    return session_of(ring).seal(CALL, leased(ring), b"\x02" + OTHER + b"\x90")


def step_back(ring: Ring) -> Envelope:
    """Return a call with a sequence that was before."""
    return replace(a_call(ring, leased(ring)), sequence=0)


def too_far(ring: Ring) -> Envelope:
    """Return a call that is one message further ahead than allowed."""
    session_of(ring).pass_over(WIDEST_GAP + 1)
    return a_call(ring, leased(ring))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (changed_body, "AuthenticationFailed"),
        (other_uid, "AuthenticationFailed"),
        (other_deadline, "AuthenticationFailed"),
        (other_handler, "AuthenticationFailed"),
        (unknown_code, "AuthenticationFailed"),
        (no_call, "Malformed"),
        (step_back, "OutOfSequence"),
        (too_far, "OutOfSequence"),
    ],
)
def test_a_call_that_is_not_what_it_says_is_refused(ring: Ring, make: Callable[[Ring], Envelope], why: str) -> None:
    """F3, F4, F9, A46: one refusal for every cause, by way of the broker; the enclave's notice has the cause."""
    refused(ring, make(ring))
    assert ring.enclave.expect_notice() == ["envelope.refused", "console", why, ""]
    kind, about, _, handler = ring.broker.expect_notice()
    assert (kind, about) == ("envelope.refused", "console")
    assert handler in {ECHO, "sample.secret"}
    if make is not too_far:
        still_works(ring)


def test_a_gap_as_wide_as_allowed_is_no_fault(ring: Ring) -> None:
    """F9: messages may be missing, up to the limit."""
    session_of(ring).pass_over(WIDEST_GAP)
    still_works(ring)


def test_the_ring_key_is_taken_once(ring: Ring) -> None:
    """A43: a second offer changes nothing, with the same key or another."""
    for key in (ring.client.ring_key, secrets.token_bytes(32)):
        ring.client.send(session_of(ring).seal(SESSION, NO_UID, b"\x06" + pack([key])))
        assert ring.enclave.expect_notice() == ["envelope.refused", "console", "Malformed", ""]
    assert ring.client.call("sample.secret", 3) == "sss"


def test_a_second_session_is_not_founded(ring: Ring) -> None:
    """A38, A43: the ticket is used, whatever token the handshake proves."""
    names = ("console", "ui"), ("sample", "enclave")
    handshake = Handshake(secrets.token_bytes(32), prologue(EPOCH, *names), initiator=True)
    ring.client.send(Envelope(HANDSHAKE, "console", "sample", NO_UID, 0, 0, handshake.write()))
    assert ring.enclave.expect_notice() == ["join.refused", "console", "it did not prove its join token", ""]
    still_works(ring)


# Joining


def test_a_wrong_session_token_ends_the_boot() -> None:
    """A32, A36, R7: the enclave says so and ends; it is not swallowed."""
    with forming() as (ring, _):
        ring.client.send(
            Envelope(
                HANDSHAKE,
                "console",
                "sample",
                NO_UID,
                0,
                0,
                Handshake(bytes(32), prologue(EPOCH, ("console", "ui"), ("sample", "enclave")), initiator=True).write(),
            )
        )
        assert ring.enclave.expect(FAILED) == [3, "a client did not prove its join token", "", "", ""]
        assert ring.enclave.notices == [["join.refused", "console", "it did not prove its join token", ""]]
        assert ring.enclave.wait() == 1


@pytest.mark.parametrize("wrong", [{"token": bytes(32)}, {"epoch": EPOCH + 1}, {"role": "extension"}])
def test_a_wrong_token_epoch_or_role_founds_no_link(wrong: dict[str, object]) -> None:
    """A32, A36, F2: the broker cuts the link at the first packet."""

    def join(client: Client, token: bytes) -> None:
        stranger = Client(client.end, "console", str(wrong.get("role", "ui")), int(str(wrong.get("epoch", EPOCH))))
        with pytest.raises(EOFError):
            stranger.join(bytes(32) if "token" in wrong else token)

    with forming(join) as (ring, _):
        assert ring.broker.expect_notice()[:2] == ["join.refused", "console"]
        assert ring.broker.expect_notice()[:2] == ["member.removed", "console"]
        assert ring.client.end.recv(1) == b""
