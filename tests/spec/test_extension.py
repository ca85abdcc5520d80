"""An extension made after SPEC.md joins a sealed ring, calls, and gets what it cannot open."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from cryptography.exceptions import InvalidTag

from tests.spec.client import Client
from tests.spec.keys import asked, open_result
from tests.spec.packing import Value, fields, pack
from tests.spec.processes import ADMIT, PING, PONG, pair
from tests.spec.ring import EPOCH, Ring, open_link, sealed, ticket
from tests.spec.wire import NO_UID, REPLY, SESSION

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def extended() -> Generator[tuple[Ring, Client]]:
    """Form a ring and let an extension into it, as SPEC section 14 says."""
    with sealed() as ring:
        link_token, session_token = secrets.token_bytes(32), secrets.token_bytes(32)
        ours, brokers = pair()
        open_link(ring.broker, brokers, link_token, ("extra", "extension"), os.getpid())
        ring.enclave.say(ADMIT, ticket("extra", "extension", session_token, ("echo", "secret")))
        ring.enclave.say(PING, 1)
        assert ring.enclave.expect(PONG) == [1]  # it has taken the ticket
        with ours:
            extra = Client(ours, "extra", "extension", EPOCH)
            extra.join(link_token)
            extra.found("sample", session_token)
            yield ring, extra


def test_an_extension_calls_what_it_is_granted_and_learns_of_nothing_else() -> None:
    """A33, A41: its manifest has the granted handlers, and no names of others."""
    with extended() as (ring, extra):
        assert sorted(extra.handlers) == ["sample.echo", "sample.secret"]
        assert extra.peers["sample"].withheld == []
        assert extra.call("sample.echo", b"hello") == b"hello"
        assert ring.client.call("sample.echo", b"hello") == b"hello"


def test_a_sensitive_result_comes_to_an_extension_as_ciphertext() -> None:
    """A41, A49: it can carry the value to the core UI, whose key opens it, and cannot open it itself."""
    with extended() as (ring, extra):
        extra.start("sample.secret", 10)
        reply = extra.next_envelope(REPLY)
        content = extra.peers["sample"].session.open(reply)
        assert content[0] == 3
        match fields(content[1:], int, str, bytes, bytes):
            case [int(epoch), str(name), bytes(salt), bytes(ciphertext)]:
                assert (epoch, name) == (EPOCH, "sample.secret")
                with pytest.raises(InvalidTag):
                    open_result(bytes(32), epoch, name, salt, ciphertext)
                opened = open_result(ring.client.ring_key, epoch, name, salt, ciphertext)
                assert opened == (asked(pack([10])), pack("s" * 10))
            case _:
                raise AssertionError


def test_an_extension_cannot_give_a_ring_key() -> None:
    """A42, I3: the role is the ticket's, and the key stays the core UI's."""
    with extended() as (ring, extra):
        offer: Value = [secrets.token_bytes(32)]
        extra.send(extra.peers["sample"].session.seal(SESSION, NO_UID, b"\x06" + pack(offer)))
        assert ring.enclave.expect_notice() == ["envelope.refused", "extra", "Malformed", ""]
        assert ring.client.call("sample.secret", 2) == "ss"


def test_a_uid_of_another_member_is_worth_nothing() -> None:
    """A27, F7: an extension that knows a UID of the core UI gets the one refusal; its holder still can use it."""
    with extended() as (ring, extra):
        ring.client.lease("sample.echo")
        extra.lease("sample.echo")
        stolen = ring.client.uids["sample.echo"][-1]
        extra.uids["sample.echo"].append(stolen)
        extra.start("sample.echo", b"mine")
        assert extra.next() == [4, stolen]
        assert ring.broker.expect_notice() == ["uid.refused", "extra", "leased to another member", ""]
        uid = ring.client.start("sample.echo", b"still mine")
        assert uid == stolen
        assert ring.client.finish(uid) == b"still mine"
