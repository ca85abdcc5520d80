"""The shipped enclave against a broker that does as it pleases: what SPEC section 12 says of the enclave."""

from __future__ import annotations

import hashlib
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
from tests.spec.packing import Value, pack, shaped, unpack
from tests.spec.processes import ADMIT, DISMANTLE, FAILED, JOIN, PING, PONG, READY, SEAL, Child, children, pair
from tests.spec.ring import EPOCH, GRANTED, boot_enclave, granted, ticket
from tests.spec.wire import CALL, HANDSHAKE, LARGEST_RECORD, NO_UID, PUBLISH, REFUSAL, REPLY, Envelope, Item, Link

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator, Sequence

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
def enclave(
    *,
    seal: bool = True,
    grants: list[Value] | None = None,
    page: Sequence[int] = (),
    key: bytes = b"",
    quarantined: Sequence[bytes] = (),
) -> Generator[tuple[Child, Hostile]]:
    """Start the enclave alone and have it join us; `grants`: what the client may call, and how.

    `page` is its ledger's descriptor; under `key` are the digests of calls, of which those in quarantine do not run.
    """
    with children("enclave") as [child]:
        ours, theirs = pair()
        with ours:
            boot_enclave(child, theirs, *page)
            token, session_token = secrets.token_bytes(32), secrets.token_bytes(32)
            own = ticket("console", "ui", session_token)
            everybody: list[Value] = granted(*GRANTED) if grants is None else [["console", "ui", grants]]
            if grants is not None:
                own[5] = grants
            child.say(JOIN, EPOCH, token, [own], everybody, key, list(quarantined))
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


def test_a_grant_decides_on_arguments_and_on_how_often() -> None:
    """A18, S4: of two grants the first whose conditions hold, with its rate; the fault is one and the same."""
    short: Value = ["echo", [["data", [5, [[4, 3], [1, pack(b"longer")]]]]], 2, 3600, False, 1]
    small: Value = ["zeros", [["size", [3, 0, 5]]], 0, 0, False, 2]
    with enclave(grants=[short, small]) as (child, hostile):
        assert hostile.answer(hostile.sealed_call("echo", b"abc")) == b"\x02" + pack(b"abc")
        refusals: list[tuple[str, Value, str, str]] = [
            ("echo", b"abcd", "argument data is nothing of what the grant allows", "echo rule 1"),
            ("zeros", 6, "argument size lies outside the grant's range", "zeros rule 2"),
        ]
        told: set[bytes | None] = set()
        for name, argument, why, detail in refusals:
            told.add(hostile.answer(hostile.sealed_call(name, argument)))
            assert child.expect_notice() == ["call.refused", "console", why, detail]
        assert hostile.answer(hostile.sealed_call("zeros", 5)) == b"\x02" + pack(bytes(5))
        assert hostile.answer(hostile.sealed_call("echo", b"longer")) == b"\x02" + pack(b"longer")
        told.add(hostile.answer(hostile.sealed_call("echo", b"abc")))
        assert child.expect_notice()[2:] == ["more calls than the grant allows in its time", "echo rule 1"]
        assert told == {b"\x04" + pack([55, "NotAllowed", "No grant allows this call."])}


def test_a_call_that_needs_approval_passes_once_it_has_it() -> None:
    """K2: the UI reads what waits, and decides, by three handlers that are there for that."""
    needing: list[Value] = [["echo", [], 0, 0, True, 1]]
    desk: list[Value] = [[name, [], 0, 0, False, 0] for name in ("call_approvals", "approve_call", "refuse_call")]
    with enclave(grants=needing + desk) as (_, hostile):

        def answer(name: str, *arguments: Value) -> Value:
            """Make a call; return what its answer holds, whichever kind of answer it is."""
            content = hostile.answer(hostile.sealed_call(name, *arguments))
            return None if content is None else unpack(content[1:])

        def waiting() -> list[Value]:
            """Return the one request that waits."""
            match answer("call_approvals"):
                case [[bytes(ticket), *rest]]:
                    return [ticket, *rest]
                case other:
                    raise AssertionError(other)

        assert answer("call_approvals") == []
        assert shaped(answer("echo", b"a"), int, str, str)[0] == 56
        ticket, *rest, asked = waiting()
        argument: Value = ["data", f"1 bytes, SHA-256 {hashlib.sha256(b'a').hexdigest()}"]
        assert rest == ["sample", "echo", "console", 1, [argument], hashlib.sha256(pack([b"a"])).digest()]
        assert isinstance(asked, int)
        assert answer("approve_call", ticket) is None
        assert shaped(answer("echo", b"b"), int, str, str)[0] == 56
        assert answer("echo", b"a") == b"a"
        assert shaped(answer("echo", b"a"), int, str, str)[0] == 56


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
            child.say(ADMIT, ticket("extra", "extension", token, ("echo",)))
        handshake.read(hostile.next_envelope(HANDSHAKE).body)
        hostile.send(Envelope(HANDSHAKE, "nobody", "sample", NO_UID, 0, 0, bytes(48)))
        assert child.expect_notice() == ["join.refused", "nobody", "it did not prove its join token", ""]
        child.say(ADMIT, ticket("another", "ui", token, ("echo",)))  # R7: nobody becomes the core of a sealed ring
        assert child.expect(FAILED)[0] == 2
        assert child.wait() != 0


MISSING: Final = (
    ([*GRANTED, "burn"], GRANTED, "burn"),
    (GRANTED, [*GRANTED, "burn"], "burn"),
    (["die"], GRANTED, "die"),
)


@pytest.mark.parametrize(("everybody", "methods", "name"), MISSING)
def test_an_enclave_does_not_join_if_a_grant_names_what_it_does_not_export(
    everybody: list[str], methods: list[str], name: str
) -> None:
    """A18: whoever was granted it; it says which handler is missing, and what there is."""
    with children("enclave") as [child]:
        ours, theirs = pair()
        with ours:
            boot_enclave(child, theirs)
            token = secrets.token_bytes(32)
            tickets: list[Value] = [ticket("console", "ui", secrets.token_bytes(32), methods)]
            child.say(JOIN, EPOCH, token, tickets, granted(*everybody), b"", [])
            answer_link(ours, token)
            [kind, text, error, where, missing] = child.expect(FAILED)
            assert (kind, error, missing) == (4, "DeclarationError", "")
            assert isinstance(where, str)
            assert where.rpartition(":")[2].isdecimal()
            assert isinstance(text, str)
            assert text.startswith(f"grants name sample.{name}, but sample exports broken, ")
            assert child.wait() == 1


def test_a_join_without_its_last_elements_ends_the_child() -> None:
    """P4: there are no optional fields."""
    with children("enclave") as [child]:
        ours, theirs = pair()
        with ours:
            boot_enclave(child, theirs)
            child.say(JOIN, EPOCH, secrets.token_bytes(32), [], [])
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
