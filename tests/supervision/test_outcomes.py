"""What the calls are told that were under way when a server died: always the truth, and no less than can be known."""

from __future__ import annotations

import random
import signal
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from tests.harness import acts, proc
from tests.harness.gate import Gate
from tests.harness.puppeteer import Backstage, Told, perform
from tests.supervision import outcome_acts
from trollbridge.actors.outcomes.call_ledger import SIZE

if TYPE_CHECKING:
    from pathlib import Path

CALLS: Final = 240
"""Fewer than there is credit for, so that all of them may be on their way."""
DEADLY: Final = int(signal.SIGSEGV)


def test_what_each_call_is_told_is_what_its_enclave_has_written(tmp_path: Path) -> None:
    """A58, K7: kills at random moments; the enclave's own file decides; one call at most is left open, if it ran."""
    journal, told, unknown = tmp_path / "journal", dict[str, str](), list[int]()
    dice = random.Random()  # any moment must do
    with perform(journal=str(journal), restarts=1, period=0.001) as puppet:
        for epoch, victim in enumerate(["probe", "broker", "probe", "probe"], 1):
            words = [f"word_{epoch}_{number}" for number in range(CALLS)]
            after = dice.randrange(CALLS // 2)
            ends = puppet.act(outcome_acts.strike, words=words, after=after, victim=victim)
            told |= ends
            unknown.append(Counter(ends.values())["unknown"])
            assert puppet.act(acts.wait_dismantled, of=epoch, seconds=20.0)
            puppet.await_epoch(epoch + 1)
        assert puppet.leave() == 0
    ran = Counter(journal.read_text("utf-8").split())
    assert len(told) == 4 * CALLS
    assert max(ran[word] for word in told) == 1
    assert [word for word, end in told.items() if end in {"answered", "done"} and not ran[word]] == []
    assert [word for word, end in told.items() if end == "not started" and ran[word]] == []
    assert max(unknown) <= 1
    assert set(told.values()) <= {"answered", "done", "not started", "unknown"}


def test_a_call_that_its_enclave_carries_out_while_the_ring_falls_is_done(tmp_path: Path) -> None:
    """A58, A59: the broker dies, the handler returns, only the reply is lost; and what the ledgers are in memory."""
    journal = tmp_path / "journal"
    with Gate(tmp_path) as gate, perform(journal=str(journal), enclaves=("probe", "other"), grace=600.0) as puppet:
        _check_memory(puppet.pid("probe"), puppet.supervisor)
        held = puppet.send("probe.hold", gate.path)
        gate.await_one()
        behind = puppet.send("probe.mark", "behind")
        puppet.kill("broker")
        puppet.wait_for("ring.dismantling", epoch=1)
        gate.open()
        assert held.outcome() == "RingDismantled: done"
        assert behind.outcome() in {"RingDismantled: not started", "RingDismantled: done"}
        ran = "behind" in journal.read_text("utf-8").split()
        assert behind.outcome() == f"RingDismantled: {'done' if ran else 'not started'}"
        puppet.await_epoch(2)
        assert puppet.result("other.pid") == puppet.pid("other", epoch=2)
        _check_memory(puppet.pid("probe", epoch=2), puppet.supervisor)
        assert puppet.lines("call.suspected") == []


def _check_memory(enclave: int, supervisor: int) -> None:
    """See that the enclave has its page mapped once, and no descriptor of it; that the supervisor has one for each."""
    found = proc.memory_map(enclave)
    if found is not None:  # the kernel shows it to root only
        [line] = [line for line in found.splitlines() if "memfd:ledger" in line]
        place, access = line.split()[:2]
        first, last = place.split("-")
        assert (int(last, 16) - int(first, 16), access) == (SIZE, "rw-s")
    kept = proc.descriptors(enclave)
    assert kept is None or not [each for each in kept.values() if "ledger" in each]
    pages = proc.descriptors(supervisor)
    assert pages is None or sum("ledger" in each for each in pages.values()) == 2


def test_an_extension_cannot_kill_an_enclave_a_third_time_by_the_same_message(tmp_path: Path) -> None:
    """K4, P5: nor can anybody else by then; its other calls are carried out, and the log names call and caller.

    By another message it can; then it is not started again.
    """
    granted = ("probe.die", "probe.echo")
    with (
        Backstage(tmp_path) as back,
        perform(extensions={"extra": back.path}, extension_grants=granted, restarts=9) as puppet,
    ):
        extra = back.next_hand()
        for epoch in (1, 2):
            extra.tell(acts.call, promise="deadly", handler="probe.die", positional=[DEADLY])
            puppet.wait_for("process.ended", epoch=epoch, member="probe")
            puppet.await_epoch(epoch + 1)
            extra = back.next_hand()
        for hand in (extra, puppet, extra):
            with pytest.raises(Told) as told:
                hand.result("probe.die", DEADLY)
            assert told.value.kind == "Quarantined"
        assert (extra.result("probe.echo", b"a"), puppet.result("probe.echo", b"b"), puppet.epoch) == (b"a", b"b", 3)
        extra.tell(acts.call, promise="another", handler="probe.die", positional=[int(signal.SIGBUS)])
        barred = puppet.wait_for("extension.barred", epoch=3)
        assert (barred.member, barred.told_by) == ("extra", "probe")
        puppet.await_epoch(4)
        assert puppet.result("probe.echo", b"c") == b"c"
        assert puppet.leave() == 0
        assert puppet.lines("process.started", epoch=4, member="extra") == []
        noted = [puppet.wait_for(event) for event in ("call.suspected", "call.quarantined")]
        assert [each.epoch for each in noted] == [1, 2]
        assert {each.detail.rpartition(" ")[0] for each in noted} == {"die, called by extra, digest"}
        assert {each.told_by for each in noted} == {"probe"}
        assert len({each.detail for each in noted}) == 1
