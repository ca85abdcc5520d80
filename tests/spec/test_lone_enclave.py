"""The shipped enclave against a broker that does as it pleases: what SPEC section 12 says of the enclave."""

from __future__ import annotations

import os
import secrets
import signal
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from tests.spec.client import Client, FaultError
from tests.spec.keys import Handshake, prologue, ratchet
from tests.spec.packing import Value, pack
from tests.spec.processes import ADMIT, DISMANTLE, FAILED, JOIN, PING, PONG, READY, SEAL, Child, children, pair
from tests.spec.ring import EPOCH, GRANTED, boot_enclave
from tests.spec.wire import CALL, HANDSHAKE, LARGEST_RECORD, NO_UID, PUBLISH, REFUSAL, REPLY, Envelope, Item, Link

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator

BROKER: Final = "broker", "broker"


def answer_link(end: socket.socket, token: bytes) -> Link:
    """Be the broker at the founding of the enclave's link."""
    handshake = Handshake(token, prologue(EPOCH, ("sample", "enclave"), BROKER), initiator=False)
    handshake.read(end.recv(LARGEST_RECORD))
    end.send(handshake.write())
    return Link(handshake)


@contextmanager
def stopped(child: Child) -> Generator[None]:
    """Stop a process for a block: what it is sent there, it finds all at once."""
    os.kill(child.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    try:
        yield
    finally:
        os.kill(child.pid, signal.SIGCONT)


class Hostile(Client):
    """A client that is its own broker: it holds the enclave's link, and knows every address."""

    def __init__(self, end: socket.socket, token: bytes) -> None:
        """Answer the enclave's handshake and take its seeds."""
        super().__init__(end, "console", "ui", EPOCH)
        self.link = answer_link(end, token)
        self.seeds: dict[str, bytes] = {}
        match self.next():
            case [5, list(published)]:
                for each in published:
                    match each:
                        case [str(name), bytes(seed)]:
                            self.seeds[name] = seed
                        case other:
                            raise AssertionError(PUBLISH, other)
            case other:
                raise AssertionError(other)

    def address(self, name: str) -> bytes:
        """Return the next address of a handler, and step."""
        self.seeds[name], address = ratchet(self.seeds[name])
        return address

    def sealed_call(self, name: str, *arguments: Value, deadline: int = 0) -> Envelope:
        """Return a call under a UID that nobody issued, on its way to the handler."""
        content = b"\x01" + self.handlers[f"sample.{name}"].code + pack(list(arguments))
        call = self.peers["sample"].session.seal(CALL, secrets.token_bytes(16), content, deadline)
        return replace(call, route=self.address(name))

    def answer(self, call: Envelope) -> bytes | None:
        """Deliver a call; return the content of the reply, or None if it is refused."""
        self.send(call)
        match self.next():
            case Envelope(kind=4) as reply:
                assert (reply.kind, reply.uid, reply.route) == (REPLY, call.uid, b"")
                assert reply.deadline == call.sequence
                return self.peers["sample"].session.open(reply)
            case refusal:
                assert refusal == [REFUSAL, call.uid]
                return None


@contextmanager
def enclave(*, seal: bool = True) -> Generator[tuple[Child, Hostile]]:
    """Start the enclave alone and have it join us."""
    with children("enclave") as [child]:
        ours, theirs = pair()
        with ours:
            boot_enclave(child, theirs)
            token, session_token = secrets.token_bytes(32), secrets.token_bytes(32)
            child.say(JOIN, EPOCH, token, [["console", "ui", "sample", session_token, list(GRANTED)]], list(GRANTED))
            hostile = Hostile(ours, token)
            hostile.found("sample", session_token)
            assert child.expect(READY) == [EPOCH, hostile.fingerprint]
            if seal:
                child.say(SEAL, [], [])
            yield child, hostile


def test_an_address_is_good_for_one_call() -> None:
    """A6, A7: the next call needs the next address; an old one, another handler's and an invented one reach nothing."""
    with enclave() as (child, hostile):
        calls = [hostile.sealed_call("echo", b"%d" % number) for number in range(3)]
        assert [hostile.answer(call) for call in calls] == [b"\x02" + pack(b"%d" % number) for number in range(3)]
        for wrong in (calls[0].route, hostile.address("secret"), secrets.token_bytes(16), b""):
            call = replace(hostile.sealed_call("echo", b"never"), route=wrong)
            assert hostile.answer(call) is None
            assert child.expect_notice() == ["envelope.refused", "console", "AuthenticationFailed", ""]


def test_a_broker_cannot_redirect_a_call() -> None:
    """A54, F3, I2: a body at another handler's address is refused: the code in it is not that handler's."""
    with enclave() as (child, hostile):
        call = hostile.sealed_call("echo", b"for echo")
        assert hostile.answer(replace(call, route=hostile.address("zeros"))) is None
        assert child.expect_notice() == ["envelope.refused", "console", "AuthenticationFailed", ""]


def test_a_broker_cannot_replay_a_call() -> None:
    """F1, F2: the same body at a fresh address, and under a fresh UID."""
    with enclave() as (child, hostile):
        call = hostile.sealed_call("echo", b"once")
        assert hostile.answer(call) == b"\x02" + pack(b"once")
        for again in (call, replace(call, uid=secrets.token_bytes(16))):
            assert hostile.answer(replace(again, route=hostile.address("echo"))) is None
            assert child.expect_notice() == ["envelope.refused", "console", "OutOfSequence", ""]


def test_what_does_not_open_leaves_the_session_as_it_was() -> None:
    """F9: a forged envelope far ahead does not push the sequence on."""
    with enclave() as (child, hostile):
        call = hostile.sealed_call("echo", b"genuine")
        forged = replace(call, sequence=call.sequence + 9, route=hostile.address("secret"))
        assert hostile.answer(forged) is None
        assert child.expect_notice() == ["envelope.refused", "console", "AuthenticationFailed", ""]
        assert hostile.answer(call) == b"\x02" + pack(b"genuine")


def test_a_deadline_that_passed_on_the_way_is_a_fault() -> None:
    """The broker would have refused it; the enclave answers."""
    with enclave() as (_, hostile):
        past = time.monotonic_ns() // 1000 - 1
        content = hostile.answer(hostile.sealed_call("echo", b"late", deadline=past))
        assert content is not None
        with pytest.raises(FaultError) as caught:
            hostile.value(hostile.handlers["sample.echo"], content)
        assert caught.value.code == 6


def test_nothing_runs_before_the_seal() -> None:
    """A13, A26: a call that a broker lets through too early is refused."""
    with enclave(seal=False) as (child, hostile):
        assert hostile.answer(hostile.sealed_call("echo", b"early")) is None
        assert child.expect_notice() == ["envelope.refused", "console", "Malformed", ""]
        child.say(SEAL, [], [])
        child.say(PING, 1)
        assert child.expect(PONG) == [1]
        assert hostile.answer(hostile.sealed_call("echo", b"now")) == b"\x02" + pack(b"now")


def test_what_waits_on_the_control_channel_comes_before_any_record() -> None:
    """A26: the call was there first; the enclave still takes all that the supervisor has said before it."""
    with enclave(seal=False) as (child, hostile):
        with stopped(child):
            hostile.send(hostile.sealed_call("echo", b"at once"))
            for number in range(3):
                child.say(PING, number)
            child.say(SEAL, [], [])
        reply = hostile.next_envelope(REPLY)
        assert hostile.peers["sample"].session.open(reply) == b"\x02" + pack(b"at once")
        assert [child.expect(PONG) for _ in range(3)] == [[0], [1], [2]]


def test_an_enclave_knows_a_ticket_that_came_after_its_holders_first_words() -> None:
    """A33: ticket and handshake come over two sockets, in either order."""
    with enclave() as (child, hostile):
        token = secrets.token_bytes(32)
        names = ("extra", "extension"), ("sample", "enclave")
        handshake = Handshake(token, prologue(EPOCH, *names), initiator=True)
        with stopped(child):
            hostile.send(Envelope(HANDSHAKE, "extra", "sample", NO_UID, 0, 0, handshake.write()))
            child.say(ADMIT, ["extra", "extension", "sample", token, ["echo"]])
        handshake.read(hostile.next_envelope(HANDSHAKE).body)
        hostile.send(Envelope(HANDSHAKE, "nobody", "sample", NO_UID, 0, 0, bytes(48)))
        assert child.expect_notice() == ["join.refused", "nobody", "it did not prove its join token", ""]


MISSING: Final = (
    ([*GRANTED, "burn"], GRANTED, "burn"),
    (GRANTED, [*GRANTED, "burn"], "burn"),
    (["die"], GRANTED, "die"),
)


@pytest.mark.parametrize(("granted", "ticket", "name"), MISSING)
def test_an_enclave_does_not_join_if_a_grant_names_what_it_does_not_export(
    granted: list[str], ticket: list[str], name: str
) -> None:
    """A18: whoever was granted it; it says which handler is missing, and what there is."""
    with children("enclave") as [child]:
        ours, theirs = pair()
        with ours:
            boot_enclave(child, theirs)
            token = secrets.token_bytes(32)
            tickets: list[Value] = [["console", "ui", "sample", secrets.token_bytes(32), list(ticket)]]
            child.say(JOIN, EPOCH, token, tickets, list(granted))
            answer_link(ours, token)
            [kind, text] = child.expect(FAILED)
            assert kind == 4
            assert isinstance(text, str)
            assert text.startswith(f"grants name sample.{name}, but sample exports broken, ")
            assert child.wait() == 1


def test_a_join_without_its_fourth_element_ends_the_child() -> None:
    """P4: there are no optional fields."""
    with children("enclave") as [child]:
        ours, theirs = pair()
        with ours:
            boot_enclave(child, theirs)
            child.say(JOIN, EPOCH, secrets.token_bytes(32), [])
            assert child.expect(FAILED)[0] == 2
            assert child.wait() == 1


def test_a_record_of_the_broker_counts_once() -> None:
    """F1: the enclave's end of the link is as strict as the broker's."""
    with enclave() as (child, hostile):
        item: Item = hostile.sealed_call("echo", b"x")
        record = hostile.send(item)
        assert isinstance(hostile.next(), Envelope)
        hostile.end.send(record)
        assert child.expect_notice() == ["record.refused", "broker", "AuthenticationFailed", ""]
        assert hostile.answer(hostile.sealed_call("echo", b"y")) == b"\x02" + pack(b"y")


def test_an_enclave_ends_at_the_supervisors_word_with_its_link_and_without() -> None:
    """A39, A59: an enclave that has lost its link waits for the word that says who died first; with exit code 0."""
    with enclave() as (child, hostile):
        hostile.end.close()
        child.say(DISMANTLE, "the link is lost", "")
        assert child.wait() == 0
    with enclave() as (child, _):
        child.say(DISMANTLE, "the test is over", "")
        assert child.wait() == 0
