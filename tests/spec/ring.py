"""A whole ring: shipped broker and enclave, with the second client. After SPEC section 14."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.spec.client import Client
from tests.spec.packing import shaped
from tests.spec.processes import (
    BOOT,
    HELLO,
    JOIN,
    OPEN_LINK,
    READY,
    SAMPLE,
    SEAL,
    Child,
    children,
    give_credentials,
    pair,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator, Sequence

    from tests.spec.packing import Value

EPOCH: Final = 7
GRANTED: Final = ("broken", "declared", "echo", "numbers", "secret", "types", "whispers", "zeros")


def ticket(client: str, role: str, token: bytes, methods: Sequence[str] = GRANTED) -> list[Value]:
    """Return the ticket of a session with the sample, with grants that set no condition."""
    return [client, role, "sample", "enclave", token, [[each, [], 0, 0, False, 0] for each in methods], ""]


def granted(*methods: str) -> list[Value]:
    """Return what an enclave is told of who may call it."""
    return [["console", "ui", [[each, [], 0, 0, False, 0] for each in methods]]]


SETTINGS: Final[list[Value]] = [["greeting", "Dear"]]


@dataclass
class Ring:
    """The members of one epoch."""

    broker: Child
    enclave: Child
    client: Client
    tickets: list[Value]

    def seal(self) -> None:
        """Tell broker and enclave that the ring is sealed."""
        members: list[Value] = [["console", "ui", os.getpid()], ["sample", "enclave", self.enclave.pid]]
        for child in (self.broker, self.enclave):
            child.say(SEAL, members, [])


def greeted(child: Child) -> None:
    """Hear that a child has locked itself, and see that what it says of it has the shape that it must have."""
    evidence, _ = child.expect(HELLO)
    assert isinstance(evidence, list)
    assert evidence
    for each in evidence:
        shaped(each, str, str, str, str)


def boot_enclave(enclave: Child, end: socket.socket, *page: int) -> None:
    """Give an enclave its first message, its end of a link and perhaps its ledger; wait until it is locked."""
    boot: list[Value] = ["sample", "enclave", "spec_enclave:Sample", SETTINGS, [SAMPLE], None, "", "", 0, ""]
    enclave.say(BOOT, *boot, give=end, lend=page)
    greeted(enclave)


def open_link(broker: Child, end: socket.socket, token: bytes, member: tuple[str, str], pid: int) -> None:
    """Let a member, of an id and a role, join over the broker's `end` of its link."""
    give_credentials(end)
    handlers: list[Value] = [] if member[1] == "enclave" else [f"sample.{name}" for name in GRANTED]
    peers: list[Value] = ["console"] if member[1] == "enclave" else ["sample"]
    broker.say(OPEN_LINK, EPOCH, *member, pid, token, handlers, peers, "", give=end)


@contextmanager
def forming(join: Callable[[Client, bytes], None] = Client.join) -> Generator[tuple[Ring, bytes]]:
    """Start broker and enclave, and have the client `join` by its token: everything up to its first session."""
    with children("broker", "enclave") as (broker, enclave):
        link_token, enclave_token, session_token = (os.urandom(32) for _ in range(3))
        own = ticket("console", "ui", session_token)
        ours, brokers = pair()
        brokers_other, theirs = pair()
        broker.say(BOOT, "broker", "broker", "", [], [], None, "", "", 0, "")
        greeted(broker)
        boot_enclave(enclave, theirs)
        open_link(broker, brokers, link_token, ("console", "ui"), os.getpid())
        open_link(broker, brokers_other, enclave_token, ("sample", "enclave"), enclave.pid)
        broker.say(JOIN, EPOCH, bytes(32), [], [], b"", [])
        enclave.say(JOIN, EPOCH, enclave_token, [own], granted(*GRANTED), b"", [])
        with ours:
            client = Client(ours, "console", "ui", EPOCH)
            join(client, link_token)
            yield Ring(broker, enclave, client, [own]), session_token


@contextmanager
def sealed() -> Generator[Ring]:
    """Form a ring and seal it."""
    with forming() as (ring, token):
        ring.client.found("sample", token)
        assert ring.broker.expect(READY) == [EPOCH, b""]
        assert ring.enclave.expect(READY) == [EPOCH, ring.client.fingerprint]
        ring.seal()
        yield ring
