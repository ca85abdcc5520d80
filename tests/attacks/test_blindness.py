"""What those in between see: ciphertext on every socket, and no plaintext and no key to it in the broker's memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from tests.attacks.intruder import memory, traces
from tests.harness import acts
from tests.harness.puppeteer import Backstage, Puppeteer, Told, perform

if TYPE_CHECKING:
    from pathlib import Path

ROOT: Final = os.geteuid() == 0
CANARIES: Final = {
    "a call": b"canary-in-a-call-7b1f",
    "a text": b"canary-in-a-text-90cc",
    "an error": b"canary-in-an-error-3e5a",
    "a failure": b"canary-in-a-failure-d218",
    "a long call": b"canary-in-a-long-call-41aa",
}
"""What each kind of message carries; the enclave sends it back but for the failure's, which must not leave it."""
LONG: Final = 1 << 20
SHORT: Final = 4096
"""Octets of a packet in which a word of four letters is looked for: in millions it stands by chance, one time in a
thousand. In the long ones it is looked for as it is encoded, behind its length.
"""


def converse(puppet: Puppeteer) -> None:
    """Send every canary through the ring, and see each come back as it should."""
    assert puppet.result("probe.echo", CANARIES["a call"]) == CANARIES["a call"]
    assert puppet.result("probe.mark", CANARIES["a text"].decode()) >= 1
    with pytest.raises(Told) as refused:
        puppet.result("probe.refuse", CANARIES["an error"].decode())
    assert (refused.value.kind, refused.value.text) == ("DeclaredError", CANARIES["an error"].decode())
    with pytest.raises(Told) as failed:
        puppet.result("probe.fail", CANARIES["a failure"].decode())
    assert failed.value.kind == "HandlerFailed"
    assert "canary" not in failed.value.text
    document = CANARIES["a long call"] * (LONG // len(CANARIES["a long call"]))
    assert puppet.result("probe.echo", document) == document
    assert puppet.result("probe.secret").startswith("the word")


def test_the_search_finds_what_is_there() -> None:
    """A9: the search itself: raw, as digits, as a literal, in the middle of something, in this process's memory."""
    for canary in CANARIES.values():
        for form in (canary, canary.hex().encode(), repr(canary).encode()):
            assert traces([b"before " + form + b" after"], CANARIES.values()) == [canary]
    marked = bytearray(b"canary-of-the-searcher " + os.urandom(16).hex().encode())
    assert traces(memory(os.getpid()), [bytes(marked)]) == [bytes(marked)]
    assert traces([b""], CANARIES.values()) == []


def test_a_link_carries_no_plaintext_in_either_direction() -> None:
    """A9, A54: calls, replies, errors, failures, pieces, as they stood on the UI's socket from its first packet on."""
    with perform(capture=True) as puppet:
        for _ in range(2):
            converse(puppet)
        sent, received = puppet.act(acts.packets, of=1)
        assert sum(map(len, sent)) > 2 * LONG
        assert sum(map(len, received)) > 2 * LONG
        found = puppet.act(acts.secrets, of=1)
        hidden = [*CANARIES.values(), b"the word that only", found["ring_key"], found["join_token"], *found["tickets"]]
        hidden += [b"probe.echo", b"\xa4echo", b"\xa6refuse", b"DeclaredError"]
        assert traces([*sent, *received], hidden) == []
        assert traces([b"".join(sent), b"".join(received)], hidden) == []
        few = [each for each in (*sent, *received) if len(each) < SHORT]
        assert len(few) > 20
        assert traces(few, [b"echo", b"refuse"]) == []
        assert puppet.leave() == 0


def test_the_links_of_an_extension_carry_no_plaintext_either(tmp_path: Path) -> None:
    """A9: what it says and what it is told; the core UI goes on beside it."""
    grants = ["probe.echo", "probe.refuse"]
    with (
        Backstage(tmp_path) as back,
        perform(extensions={"extra": back.path}, extension_grants=grants, capture=True) as puppet,
    ):
        extra = back.next_hand()
        assert extra.result("probe.echo", CANARIES["a call"]) == CANARIES["a call"]
        converse(puppet)
        sent, received = puppet.act(acts.packets, of=1)
        assert traces([*sent, *received], CANARIES.values()) == []
        if ROOT:
            assert traces(memory(puppet.pid("broker")), CANARIES.values()) == []
        assert puppet.leave() == 0


def test_the_brokers_memory_holds_no_plaintext_and_no_key_of_a_session() -> None:
    """A54, A9, A1: after every kind of call; the very same search finds them in the UI, which is meant to know.

    Without root the kernel refuses to open the broker's memory: that is asserted instead.
    """
    with perform() as puppet:
        for _ in range(3):
            converse(puppet)
        found = puppet.act(acts.secrets, of=1)
        keys = [found["ring_key"], *found["tickets"]]
        hidden = [*CANARIES.values(), b"the word that only", *keys]
        broker, interface = puppet.pid("broker"), puppet.pid("puppet")
        if ROOT:
            assert traces(memory(broker), hidden) == []
            assert found["ring_key"] in traces(memory(interface), keys)
            assert traces(memory(puppet.supervisor), [found["ring_key"], *CANARIES.values()]) == []
        else:
            for pid in (broker, puppet.pid("probe")):
                with pytest.raises(PermissionError):
                    next(memory(pid))
        converse(puppet)
        assert puppet.epoch == 1
        assert puppet.leave() == 0


def test_a_broker_knows_handlers_by_name_and_bodies_by_length_only() -> None:
    """A54: while calls are under way and bodies lie in its queues, what lies there is ciphertext."""
    with perform(capture=True) as puppet:
        waiting = [puppet.send("probe.echo", CANARIES["a call"] * 1000) for _ in range(20)]
        if ROOT:
            assert traces(memory(puppet.pid("broker")), CANARIES.values()) == []
        assert [each.get() for each in waiting] == [CANARIES["a call"] * 1000] * 20
        assert puppet.leave() == 0
