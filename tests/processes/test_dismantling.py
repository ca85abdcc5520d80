"""What is left of a ring that has fallen, and what must have happened before the next one may be formed."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

import pytest

from tests.harness import acts
from tests.harness.gate import Gate
from tests.harness.probe import SECRET
from tests.harness.puppeteer import perform
from tests.harness.stage import puppet_app
from tests.processes import ring_acts
from tests.processes.ring_order import assert_one_ring_after_the_other
from trollbridge.actors.supervision.supervisor import Supervisor
from trollbridge.actors.trust_ring.ring import RingState
from trollbridge.messages import control
from trollbridge.messages.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_kept_of_a_dismantled_ring_is_inert_and_the_new_ring_works() -> None:
    """A44, A45, R1: session, ring key, link and results of epoch 1 do nothing in epoch 2; the calls of epoch 2 do."""
    with perform() as puppet:
        puppet.act(ring_acts.sealed_twice)
        puppet.kill("probe")
        puppet.await_epoch(2)
        left = puppet.act(ring_acts.use_what_is_left, of=1)
        assert left == {
            "seal for the session": "UsageError",
            "open the old sealed result": "AuthenticationFailed",
            "seal under the ring key": "AuthenticationFailed",
            "reveal the ring key": "AuthenticationFailed",
            "seal for the link": "UsageError",
            "send on the old socket": "OSError",
            "call": "worked: False",
            "outstanding": "0",
        }
        assert puppet.act(ring_acts.open_the_old_with_the_new, of=2) == "AuthenticationFailed"
        assert puppet.result("probe.secret") == SECRET
        first, second = puppet.lines("ring.sealed")
        assert first.fingerprint != second.fingerprint
        assert puppet.leave() == 0


def test_two_sealed_results_of_one_plaintext_have_nothing_in_common() -> None:
    """R2, A19: salts and ciphertexts differ, lengths do not, and the key stream of one does not open the other."""
    with perform() as puppet:
        (salt, one), (other_salt, other) = puppet.act(ring_acts.sealed_twice)
        assert salt != other_salt
        assert len(one) == len(other)
        plaintext = len(SECRET).to_bytes(4, "big")
        stream = bytes(a ^ b for a, b in zip(one, plaintext, strict=False))
        assert bytes(a ^ b for a, b in zip(other, stream, strict=False)) != plaintext
        assert sum(a == b for a, b in zip(one, other, strict=True)) < len(one) // 4


def test_the_objects_of_the_ring_can_be_neither_copied_nor_pickled_nor_read() -> None:
    """A35, R11: in a real UI, with its real keys; what `repr` shows is no secret."""
    with perform() as puppet:
        found = puppet.act(ring_acts.one_object)
        secrets = puppet.act(acts.secrets, of=1)
        shown = " ".join(text for name, text in found.items() if name.startswith("repr"))
        assert {text for name, text in found.items() if not name.startswith("repr")} == {"UsageError"}
        for secret in (secrets["ring_key"], secrets["join_token"], *secrets["tickets"]):
            assert secret.hex() not in shown
            assert repr(secret) not in shown
        assert "epoch 1" in found["repr ring key"]


def test_a_second_ring_key_is_refused_and_the_first_stays() -> None:
    """A43, R3: the same key again and another one in one record: both are refused, and the ring works on."""
    with perform() as puppet:
        puppet.act(ring_acts.offer_ring_keys)
        assert puppet.result("probe.secret") == SECRET
        assert puppet.epoch == 1
        assert puppet.leave() == 0
        refused = puppet.lines("envelope.refused", member="puppet")
        assert [line.why for line in refused] == ["Malformed", "Malformed"]


def test_a_second_session_is_refused_and_the_first_stays() -> None:
    """A38, A43, I8: a session's token is dead after its use; its second handshake founds nothing."""
    with perform() as puppet:
        puppet.act(ring_acts.found_again)
        assert puppet.result("probe.echo", b"as before") == b"as before"
        assert puppet.wait_for("join.refused", member="puppet").epoch == 1


def test_a_ring_is_not_formed_over_another() -> None:
    """A45, R3: in each state but `dismantled`, forming raises."""
    supervisor = Supervisor(puppet_app())
    for state in RingState:
        if state is not RingState.DISMANTLED:
            supervisor.rings.ring.state = state
            with pytest.raises(UsageError, match="must be dismantled before the next is formed"):
                supervisor.rings.form()


def test_every_old_process_is_reaped_before_the_next_ring_is_formed() -> None:
    """A50: the kernel says so: the pidfds of enclave and broker are dead by the time the log forms epoch 2."""
    with perform() as puppet:
        watched = [os.pidfd_open(puppet.pid(member)) for member in ("probe", "broker")]
        try:
            puppet.kill("probe")
            puppet.wait_for("ring.forming", epoch=2)
            poll = select.poll()
            for descriptor in watched:
                poll.register(descriptor, select.POLLIN)
            assert {descriptor for descriptor, _ in poll.poll(0)} == set(watched)
        finally:
            for descriptor in watched:
                os.close(descriptor)
        puppet.await_epoch(2)
        assert puppet.leave() == 0
        assert_one_ring_after_the_other(puppet)


def test_a_member_that_does_not_let_go_is_killed_before_the_next_ring(tmp_path: Path) -> None:
    """A50, A52: an enclave that is stuck in a handler when its ring falls survives into no other ring."""
    with Gate(tmp_path) as gate, perform(enclaves=("probe", "second"), grace=1.0) as puppet:
        puppet.send("second.hold", gate.path)
        gate.await_one()
        puppet.kill("probe")
        puppet.await_epoch(2)
        assert puppet.wait_for("process.killed", member="second").why == "it did not end in time"
        assert puppet.wait_for("process.ended", member="second").signal == "SIGKILL"
        assert puppet.result("second.echo", b"new") == b"new"
        assert_one_ring_after_the_other(puppet)


def test_a_word_of_release_ends_no_trust() -> None:
    """A52: a UI that says `Dismantled` while the ring stands releases nobody; only ended processes do."""
    with perform() as puppet:
        puppet.act(acts.control_packet, packet=control.FROM_CHILD.encode(control.Dismantled(1)))
        assert puppet.result("probe.echo", b"still one ring") == b"still one ring"
        puppet.kill("broker")
        puppet.await_epoch(2)
        assert puppet.result("probe.echo", b"a new one") == b"a new one"
        assert_one_ring_after_the_other(puppet)


def test_a_member_that_closes_half_of_its_link_is_in_the_ring_until_it_is_gone() -> None:
    """R5, A52: the ring stands while the PID lives; then it falls, and a new process takes the place."""
    with perform(grace=1.0) as puppet:
        old = puppet.pid("puppet")
        puppet.act(ring_acts.half_close)
        puppet.wait_for("link.lost", member="puppet")
        puppet.await_epoch(2)
        events = [(line.event, line.pid, line.epoch) for line in puppet.lines()]
        ended = events.index(("process.ended", old, 1))
        assert [line.event for line in puppet.lines()[:ended]].count("ring.dismantling") == 0
        assert puppet.pid("puppet") != old
        assert puppet.result("probe.echo", b"a new interface") == b"a new interface"
        assert_one_ring_after_the_other(puppet)


def test_a_hang_up_is_no_way_around_dismantling() -> None:
    """R5: SIGHUP at any moment gives new keys by the one way there is: dismantled whole, formed anew."""
    with perform() as puppet:
        for epoch in (2, 3):
            puppet.interrupt(signal.SIGHUP)
            puppet.await_epoch(epoch)
        assert puppet.result("probe.secret") == SECRET
        assert_one_ring_after_the_other(puppet)
        assert len({line.fingerprint for line in puppet.lines("ring.sealed")}) == 3


def test_an_old_hello_on_a_new_link_is_refused_and_costs_the_process_its_place() -> None:
    """R4, R6: a UI that replays its hello of epoch 1 in epoch 2 spoils its own join only; a fresh one joins epoch 3."""
    with perform(capture=True) as puppet:
        [hello, *_], _ = puppet.act(acts.packets, of=1)
        puppet.act(ring_acts.greet_with, packet=hello)
        old = puppet.pid("puppet")
        puppet.kill("probe")
        assert puppet.wait_for("join.refused", epoch=2).member == "puppet"
        puppet.await_epoch(3)
        assert puppet.lines("ring.sealed", epoch=2) == []
        assert puppet.wait_for("process.ended", pid=old).epoch == 2
        assert puppet.result("probe.echo", b"fresh") == b"fresh"


def test_hammering_at_an_old_link_reaches_nobody() -> None:
    """R6: while rings fall and form, the link of a fallen ring answers no knock; the new ring stays clean."""
    with perform(capture=True) as puppet:
        [hello, *_], _ = puppet.act(acts.packets, of=1)
        puppet.act(ring_acts.knock, of=1, packet=hello)
        for epoch, member in ((2, "broker"), (3, "probe"), (4, "broker")):
            puppet.kill(member)
            puppet.await_epoch(epoch)
        assert puppet.act(ring_acts.answers) == ["BrokenPipeError"]
        assert puppet.result("probe.echo", b"clean") == b"clean"
        assert puppet.lines("join.refused") == []
        joined = [line.member for line in puppet.lines("member.joined", epoch=4)]
        assert sorted(joined) == ["broker", "probe", "puppet"]
