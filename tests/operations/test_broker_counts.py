"""What a real broker tells when it is asked what it has counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.harness.lone_broker import LoneBroker, LoneMember, call_header, ring_of_two
from trollbridge.messages import control
from trollbridge.messages.envelope import Kind
from trollbridge.messages.record import Lease, Request, Routed

if TYPE_CHECKING:
    from trollbridge.messages.measures import MemberMeasure

BODY: Final = bytes(1000)


def _asked(broker: LoneBroker, number: int) -> dict[str, MemberMeasure]:
    """Ask the broker, which says so of every member that has a link."""
    broker.tell(control.Measure(number))
    answer = broker.expect(control.Measures)
    assert answer.number == number
    return {each.member: each for each in answer.measures}


def _call(ui: LoneMember, vault: LoneMember, uid: bytes, sequence: int) -> None:
    ui.say(call_header("ui", uid, sequence=sequence, body=BODY), BODY)
    header, _ = vault.hear()
    assert isinstance(header, Routed)
    vault.say(Routed(Kind.REPLY, "vault", "ui", uid, sequence, 0, b"", len(BODY), BODY[-16:]), BODY)
    ui.hear()


def test_a_broker_tells_what_has_passed_and_what_stands() -> None:
    """Calls and replies, credit, whole records in bytes; and one call in sixteen is timed."""
    with LoneBroker() as broker:
        ui, vault = ring_of_two(broker)
        before = _asked(broker, 5)
        assert (set(before), before["ui"].calls) == ({"ui", "vault"}, 0)
        ui.say(Request("vault.echo"))
        lease, _ = ui.hear()
        assert isinstance(lease, Lease)
        uids = [lease.uids[start : start + 16] for start in range(0, len(lease.uids), 16)]
        for sequence, uid in enumerate(uids[:32]):
            _call(ui, vault, uid, sequence)
        ui.say(call_header("ui", uids[32], sequence=32, body=BODY), BODY)
        vault.hear()
        after = _asked(broker, 6)
        console, keeper = after["ui"], after["vault"]
        assert (console.calls, console.replies, console.in_flight, console.credit_held) == (33, 32, 1, len(uids) - 1)
        assert (keeper.calls, keeper.served, keeper.load, keeper.credit_held) == (0, 33, 1, 0)
        assert (sum(console.latency), sum(keeper.latency)) == (2, 2)
        assert 33 * len(BODY) < console.bytes_in < 33 * (len(BODY) + 200)
        assert 32 * len(BODY) < keeper.bytes_in < console.bytes_out
        assert (console.queued, keeper.queued, console.refusals) == (0, 0, 0)
        ui.say(call_header("ui", uids[0], sequence=33, body=BODY), BODY)
        ui.hear()
        assert _asked(broker, 7)["ui"].refusals == 1
