"""Much at once, from honest members to members that are slow: nobody is cut, nobody runs out of memory."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.attacks import hostile_acts
from tests.attacks.intruder import Honest, sealed_record
from tests.harness.gate import Gate
from tests.harness.lone_broker import LoneBroker, LoneMember
from tests.harness.puppeteer import Backstage, Puppeteer, perform
from trollbridge.messages import control

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE: Final = 100_000
EACH: Final = 256


def peak_mib(pid: int) -> float | None:
    """Return the largest resident size that a process has had, in MiB; None if only root may know."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii")
    except PermissionError:
        return None
    [line] = [each for each in status.splitlines() if each.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def settled(puppet: Puppeteer, enclaves: Sequence[str]) -> int:
    """Have the puppet ask for everything and wait for everything; return how many answers were right."""
    handlers = [f"{name}.echo" for name in enclaves]
    return int(puppet.act(hostile_acts.take_the_pile, handlers=handlers, size=SIZE, each=EACH))


def test_long_calls_to_enclaves_that_are_busy_cost_nobody_a_link(tmp_path: Path) -> None:
    """P3, F7: 75 MB of calls while every enclave is held in a handler; then each of them is answered rightly."""
    enclaves = ("one", "two", "three")
    with Gate(tmp_path) as gate, perform(enclaves=enclaves) as puppet:
        held = [puppet.send(f"{name}.hold", gate.path) for name in enclaves]
        for _ in enclaves:
            gate.await_one()
        handlers = [f"{name}.echo" for name in enclaves]
        puppet.act(hostile_acts.pile_up, handlers=handlers, size=SIZE, each=EACH)
        for _ in enclaves:
            gate.open("on")
        assert [each.get() for each in held] == ["on"] * 3
        assert settled(puppet, enclaves) == EACH * len(enclaves)
        peak = peak_mib(puppet.pid("broker"))
        assert peak is None or peak < 96
        assert puppet.leave() == 0
        assert puppet.lines("member.removed") == []


def test_long_replies_to_a_user_interface_that_does_not_read_cost_nobody_a_link() -> None:
    """P3: 75 MB of replies that nobody takes for a while; what waits, waits in the enclaves, not in the broker."""
    enclaves = ("one", "two", "three")
    with perform(enclaves=enclaves) as puppet:
        handlers = [f"{name}.echo" for name in enclaves]
        puppet.act(hostile_acts.pile_up, handlers=handlers, size=SIZE, each=EACH)
        assert settled(puppet, enclaves) == EACH * len(enclaves)
        peak = peak_mib(puppet.pid("broker"))
        assert peak is None or peak < 96
        assert puppet.leave() == 0
        assert puppet.lines("member.removed") == []


@pytest.mark.parametrize("calls", [40, 250])
def test_an_extension_that_sends_bad_calls_takes_nobody_with_it(calls: int, tmp_path: Path) -> None:
    """F7, P3: a burst of calls that the enclave cannot open, under good UIDs: the extension falls, the ring stands."""
    with Backstage(tmp_path) as backstage:
        grants = ("probe.mark",)
        with perform(extensions={"extra": backstage.path}, extension_grants=grants) as puppet:
            extra = backstage.next_hand()
            uids = extra.act(hostile_acts.lease, handler="probe.mark")
            body = os.urandom(144)
            headers = [
                {
                    "kind": 3, "sender": "extra", "receiver": "probe", "uid": uid, "sequence": 0, "deadline": 0,
                    "route": b"", "length": len(body), "tag": body[-16:],
                }
                for uid in uids[:calls]
            ]  # fmt: skip
            extra.tell(hostile_acts.say_many, headers=headers, body=body)
            puppet.wait_for("member.removed", member="extra", why="too many refusals")
            assert puppet.result("probe.mark", "still here") == 1
            assert puppet.leave() == 0
            assert [each.member for each in puppet.lines("member.removed")] == ["extra"]
            assert puppet.lines("ring.forming", epoch=2) == []


def flood(broker: LoneBroker, member: LoneMember) -> None:
    """Stop the broker's process, and send until a link takes no more; whoever goes on reading may never be full."""
    os.kill(broker.process.pid, signal.SIGSTOP)
    with suppress(BlockingIOError):
        while True:
            member.end.send(sealed_record(member, b"\x90"))


def test_a_flooded_broker_still_stops_when_it_is_told() -> None:
    """P3: the control channel comes through however much waits on a link."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        extra = honest.intruder()
        honest.converse()
        extra.end.setblocking(False)  # noqa: FBT003  # the standard library's signature
        flood(broker, extra)
        os.kill(broker.process.pid, signal.SIGCONT)
        assert broker.alive()
        flood(broker, extra)
        broker.tell(control.Stop())
        os.kill(broker.process.pid, signal.SIGCONT)
        assert broker.end() == 0
