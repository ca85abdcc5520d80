"""A shipped host ends in a sealed ring and comes back, for a client made after SPEC.md (section 14)."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.spec.client import Client
from tests.spec.keys import Handshake, prologue
from tests.spec.packing import Value, pack
from tests.spec.processes import (
    ADMIT,
    BOOT,
    FAILED,
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
from tests.spec.ring import EPOCH, greeted
from tests.spec.wire import CALL, HANDSHAKE, LEFT, NO_UID, REFUSAL, REQUEST, Envelope

if TYPE_CHECKING:
    from collections.abc import Generator

ECHO: Final = "carrier.echo"
WITHDRAWN: Final = 15
START_FAILED: Final = 2


def ticket(token: bytes) -> list[Value]:
    """Return the ticket of the client's session with the host."""
    return ["console", "ui", "carrier", "host", token, [["echo", [], 0, 0, False, 0]], ""]


@dataclass
class Ring:
    """A sealed ring of a broker, a host and a client."""

    broker: Child
    host: Child
    client: Client
    stack: ExitStack

    def open_link(self, end: socket.socket, token: bytes, role: str, pid: int) -> None:
        """Let a carrier join as this role."""
        give_credentials(end)
        self.broker.say(OPEN_LINK, EPOCH, "carrier", role, pid, token, [], ["console"], "", give=end)

    def boot(self, host: Child) -> bytes:
        """Bring a host up to its Hello, and have the broker expect it; return the token of its link."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        host.say(BOOT, "carrier", "host", "spec_host:Carrier", [], [SAMPLE], None, "", "", 0, "", give=theirs)
        greeted(host)
        token = secrets.token_bytes(32)
        self.open_link(ours, token, "host", host.pid)
        self.host = host
        return token

    def end(self) -> None:
        """Have the host end, and see that both are told of it."""
        self.host.control.close()
        self.host.wait()
        assert self.broker.expect_notice()[:2] == ["link.lost", "carrier"]
        assert self.client.next() == [LEFT, "carrier"]

    def come(self) -> bytes:
        """Have the next process join the sealed ring; return the token of the session with it."""
        link = self.boot(self.stack.enter_context(Child("host")))
        granted: list[Value] = [["console", "ui", [["echo", [], 0, 0, False, 0]]]]
        self.host.say(JOIN, EPOCH, link, [], granted, b"", [])
        assert self.host.expect(READY) == [EPOCH, b""]
        self.host.say(SEAL, [], [])
        session = secrets.token_bytes(32)
        self.host.say(ADMIT, ticket(session))
        return session


@contextmanager
def sealed() -> Generator[Ring]:
    """Form a ring with a host, and seal it."""
    with children("broker", "host") as (broker, host), ExitStack() as stack:
        broker.say(BOOT, "broker", "broker", "", [], [], None, "", "", 0, "")
        greeted(broker)
        ours, brokers = pair()
        with ours:
            ring = Ring(broker, host, Client(ours, "console", "ui", EPOCH), stack)
            link = ring.boot(host)
            token, session = secrets.token_bytes(32), secrets.token_bytes(32)
            give_credentials(brokers)
            broker.say(OPEN_LINK, EPOCH, "console", "ui", os.getpid(), token, [ECHO], ["carrier"], "", give=brokers)
            broker.say(JOIN, EPOCH, bytes(32), [], [], b"", [])
            granted: list[Value] = [["console", "ui", [["echo", [], 0, 0, False, 0]]]]
            host.say(JOIN, EPOCH, link, [ticket(session)], granted, b"", [])
            ring.client.join(token)
            ring.client.found("carrier", session, "host")
            assert host.expect(READY) == [EPOCH, b""]
            assert broker.expect(READY) == [EPOCH, b""]
            for child in (broker, host):
                child.say(SEAL, [], [])
            yield ring


def a_call(client: Client, uid: bytes) -> Envelope:
    """Seal a call under any UID in the present session."""
    content = b"\x01" + client.handlers[ECHO].code + pack([b"x"])
    return client.peers["carrier"].session.seal(CALL, uid, content)


def test_a_host_comes_back_and_what_was_for_the_old_one_goes_nowhere() -> None:
    """R4, F8, A4, A27: another session, other codes, other UIDs; the client's `Left` is where the one ends."""
    with sealed() as ring:
        client = ring.client
        assert client.call(ECHO, b"first") == b"first"
        old, code = client.uids[ECHO][-1], client.handlers[ECHO].code
        late = a_call(client, old)
        ring.end()
        session = ring.come()
        stray = Handshake(
            secrets.token_bytes(32), prologue(EPOCH, ("console", "ui"), ("carrier", "host")), initiator=True
        )
        client.send(late)
        client.send([REQUEST, ECHO])
        client.send(Envelope(HANDSHAKE, "console", "carrier", NO_UID, 0, 0, stray.write()))
        client.send([LEFT, "carrier"])
        client.uids.clear()
        client.found("carrier", session, "host")
        assert client.call(ECHO, b"second") == b"second"
        assert client.call(ECHO, b"x" * 400_000) == b"x" * 400_000
        assert client.handlers[ECHO].code != code
        assert old not in client.uids[ECHO]
        client.send(a_call(client, old))
        assert client.next() == [REFUSAL, old]
        assert ring.broker.expect_notice() == ["uid.refused", "console", "never issued, used or void", ""]
        client.send([LEFT, "carrier"])
        assert ring.broker.expect_notice()[:2] == ["record.refused", "console"]
        assert client.call(ECHO, b"third") == b"third"
        assert ring.host.notices == []


def test_a_host_that_does_not_come_back_is_cut_off() -> None:
    """R4, R7: by a `Withdrawn`, whatever still holds its link; nobody else can come in its place, as whatever role."""
    with sealed() as ring:
        assert ring.client.call(ECHO, b"first") == b"first"
        ring.broker.say(WITHDRAWN, "carrier")
        assert ring.client.next() == [LEFT, "carrier"]
        ours, theirs = pair()
        with ours:
            ring.open_link(theirs, secrets.token_bytes(32), "enclave", os.getpid())
            assert ring.broker.hear()[:2] == [FAILED, START_FAILED]
        assert ring.broker.wait() != 0
