"""What children say on their control channels: a supervisor believes nobody more than a role allows, and lives on."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.harness import acts
from tests.harness.puppeteer import Backstage, Hand, Told, perform
from tests.harness.streams import NothingCame
from trollbridge.messages import control
from trollbridge.messages.control import NoticeKind

if TYPE_CHECKING:
    from pathlib import Path

ENCODE = control.FROM_CHILD.encode


def _failed(kind: control.FailureKind) -> bytes:
    return ENCODE(control.Failed(kind, "the extension says so"))


NONSENSE = {
    "an empty message": b"",
    "no message at all": b"\xc1",
    "a message of the other direction": control.TO_CHILD.encode(control.Stop()),
    "a failure of no known kind": msgspec.msgpack.encode([3, 99, "of no known kind", "", "", ""]),
    "a second hello": ENCODE(control.Hello()),
    "a join of another epoch": ENCODE(control.Ready(99, b"")),
    "a second join": ENCODE(control.Ready(1, b"")),
    "a join with a ring key": ENCODE(control.Ready(1, b"12345678")),
    "a failure to load": _failed(control.FailureKind.NOT_LOADABLE),
    "a failed boot": _failed(control.FailureKind.START_FAILED),
    "an answer to no ping": ENCODE(control.Pong(77)),
    "a release": ENCODE(control.Dismantled(1)),
    "a long message": b"\x00" * 100_000,
    "too long a message": b"\x00" * 300_000,
    "an extra field": msgspec.msgpack.encode([5, 1, "more"]),
}


def _extensions(back: Backstage, count: int) -> dict[str, str]:
    return {f"extra{number}": back.path for number in range(count)}


def say(hand: Hand, packet: bytes) -> None:
    """Have an extension say something three times, or until that has cost it its process, or it cannot be sent."""
    hand.tell(acts.control_packet, packet=packet, times=3)
    with contextlib.suppress(NothingCame, Told):
        hand.answer()


@pytest.mark.parametrize("first", range(5))
def test_extensions_say_what_they_like_and_the_ring_goes_on(first: int, tmp_path: Path) -> None:
    """P2, P4, A42: whatever an extension sends to the supervisor costs at most itself; the ring stays as it is."""
    said = list(NONSENSE)[first::5]
    with Backstage(tmp_path) as back, perform(extensions=_extensions(back, len(said))) as puppet:
        for each in said:
            say(back.next_hand(), NONSENSE[each])
            assert puppet.result("probe.echo", each.encode()) == each.encode()
        for member in _extensions(back, len(said)):
            with contextlib.suppress(ProcessLookupError):
                puppet.kill(member)  # where it has not cost it its process already
            puppet.wait_for("process.ended", member=member)
        assert puppet.result("probe.echo", b"unmoved") == b"unmoved"
        assert puppet.lines("process.ended", role="enclave") == puppet.lines("ring.dismantling") == []
        assert puppet.leave(5) == 5


def test_no_extension_can_accuse_others_nor_write_the_log(tmp_path: Path) -> None:
    """I2, P2: an extension's notices cost it its own process: nobody else dies, and no line is written."""
    with Backstage(tmp_path) as back, perform(extensions=_extensions(back, len(NoticeKind))) as puppet:
        for kind in NoticeKind:
            forged = ENCODE(control.Notice(kind, "probe", "a forged reason", "a forged detail"))
            back.next_hand().tell(acts.control_packet, packet=forged)
        for member in _extensions(back, len(NoticeKind)):
            puppet.wait_for("process.refused", member=member)
            puppet.wait_for("process.ended", member=member)
        assert (puppet.result("probe.echo", b"alive"), puppet.epoch) == (b"alive", 1)
        assert puppet.leave() == 0
        assert "forged" not in puppet.report()


def test_an_extension_that_pleads_release_still_has_to_end(tmp_path: Path) -> None:
    """A50, A52: it says `Dismantled` and ignores SIGTERM: it is killed in time, and the next ring forms."""
    with Backstage(tmp_path) as back, perform(extensions={"extra": back.path}) as puppet:
        extra = back.next_hand()
        extra.act(acts.hold_out, packet=ENCODE(control.Dismantled(1)))
        puppet.kill("probe")
        puppet.await_epoch(2)
        assert puppet.wait_for("process.ended", member="extra", epoch=1).signal == "SIGKILL"
        assert puppet.leave() == 0


def test_whose_ring_falls_before_it_has_joined_has_not_failed(tmp_path: Path) -> None:
    """A27: that it could not join a ring that falls is no line of the log, and no word to a person."""
    said = ENCODE(control.Failed(control.FailureKind.JOIN_FAILED, "wrong join token", "HandshakeFailed", "", ""))
    with Backstage(tmp_path) as back, perform(extensions={"extra": back.path}) as puppet:
        back.next_hand().act(acts.hold_out, packet=said)  # it says so more than once, which is why it ends
        puppet.kill("probe")
        puppet.await_epoch(2)
        assert puppet.wait_for("process.ended", member="extra", epoch=1).signal == "SIGKILL"
        assert (puppet.lines("process.failed"), puppet.said()) == ([], [])
        assert puppet.leave() == 0


def test_a_user_interface_cannot_accuse_an_enclave() -> None:
    """A52, P2: the core UI is in the ring, and still a notice is not its to give: it costs nobody else anything."""
    forged = ENCODE(control.Notice(NoticeKind.MEMBER_REMOVED, "probe", "a forged reason"))
    with perform(grace=600.0) as puppet:
        old = puppet.pid("puppet")
        puppet.tell(acts.control_packet, packet=forged)
        puppet.wait_for("process.refused", member="puppet", pid=old)
        puppet.wait_for("ring.sealed", epoch=2)
        assert puppet.lines("process.ended", member="probe", epoch=1)[0].signal == ""
        assert "forged" not in puppet.report()


@pytest.mark.parametrize("said", [control.Failed(control.FailureKind.WORK_FAILED, "so"), control.Hello()])
def test_a_user_interface_that_goes_on_talking_fills_no_log(said: control.FromChild) -> None:
    """A55, P2: it tells of its failure once an epoch, and once it is refused nobody listens to it any more."""
    with perform() as puppet:
        old = puppet.pid("puppet")
        puppet.tell(acts.control_packet, packet=ENCODE(said), times=500)
        puppet.wait_for("process.ended", member="puppet", pid=old)
        told = [line.event for line in puppet.lines(pid=old) if line.event in {"process.failed", "process.refused"}]
        assert told == [*["process.failed"] * isinstance(said, control.Failed), "process.refused"]
