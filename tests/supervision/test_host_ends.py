"""A host that ends costs its ring nothing: it is started again within it, as its restart type and its group say."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

import pytest

from tests.harness.lone_broker import LoneBroker
from tests.harness.puppeteer import Backstage, Puppeteer, Told
from tests.supervision import host_acts
from trollbridge.actors import exits
from trollbridge.messages.ids import Role

if TYPE_CHECKING:
    from pathlib import Path

HOSTS: Final = "tests.supervision.endings:hosts"


def strike(puppet: Puppeteer, member: str, event: str = "member.joined", last: str = "") -> int:
    """Kill a host, and wait for what comes of it, and until the UI knows; return where the log stood before."""
    start = len(puppet.log.items)
    puppet.kill(member)
    puppet.wait_for(event, start=start, member=last or member)
    if event != "ring.sealed":
        assert puppet.act(host_acts.lost, host=member, times=ends(puppet, member))
    return start


def ends(puppet: Puppeteer, member: str) -> int:
    """Return how often a host has ended in the ring that stands."""
    return len(puppet.lines("process.ended", member=member, epoch=puppet.lines("ring.sealed")[-1].epoch))


def refusal(puppet: Puppeteer, handler: str, *arguments: object) -> str:
    """Return how a call ended that has no result."""
    with pytest.raises(Told) as told:
        puppet.result(handler, *arguments)
    return f"{told.value.kind}: {told.value.outcome}"


def test_hosts_are_started_again_in_their_ring_until_it_is_too_often() -> None:
    """A55, K5: restart types and a group with hosts; then the way up: the root, the ring's own intensity, the end."""
    with Puppeteer(HOSTS, {"restarts": 2, "rings": 1}) as puppet:
        puppet.await_epoch(1)
        puppet.wait_for("extension.joined", member="reader")
        assert puppet.result("probe.mark", "before") == 1
        is_replaced(puppet)
        finishes(puppet)
        takes_its_reader_along(puppet)
        assert (puppet.result("probe.mark", "after"), puppet.epoch) == (2, 1), "the enclave has noticed nothing"
        has_the_ring_fall(puppet)
        assert puppet.finish() == exits.RING_LOST
        assert puppet.lines("ring.sealed", epoch=3) == []


def is_replaced(puppet: Puppeteer) -> None:
    """Kill a permanent host: it is another process afterwards, and answers."""
    old = puppet.result("solid.pid")
    start = strike(puppet, "solid")
    assert puppet.wait_for("process.ended", start=start, member="solid").next == "it is started again"
    assert puppet.result("solid.pid") not in {old, None}


def finishes(puppet: Puppeteer) -> None:
    """Have a transient host exit with 0: it stays away, and its callers are told."""
    assert refusal(puppet, "passing.leave", 0) == "ServerLost: unknown"
    assert puppet.wait_for("child.gone").member == "passing"
    assert refusal(puppet, "passing.pid") == "ServerLost: not started"


def takes_its_reader_along(puppet: Puppeteer) -> None:
    """Kill a host that stands before an extension in a rest_for_one group: both are started again."""
    start = strike(puppet, "store", "extension.joined", "reader")
    ended, again = puppet.wait_for("process.ended", start=start), puppet.wait_for("child.restarting", start=start)
    assert (ended.next, again.detail) == ("it is started again, and with it reader", "shelf")
    assert puppet.result("store.pid") == puppet.pid("store")


def has_the_ring_fall(puppet: Puppeteer) -> None:
    """Have one restart more than is allowed: it costs the ring, and in the next one all is counted anew."""
    strike(puppet, "solid")
    start = strike(puppet, "solid", "ring.sealed", "supervisor")
    gave_up = puppet.wait_for("group.gave_up", start=start)
    why = "solid ended too often, last by signal"
    assert (gave_up.detail, gave_up.why, gave_up.next) == ("root", why, "the ring is dismantled")
    assert puppet.wait_for("ring.dismantling", start=start).why == why
    assert puppet.wait_for("ring.restarting", start=start).restart == 1
    puppet.await_epoch(2)
    assert puppet.result("passing.pid") == puppet.pid("passing")
    for _ in range(2):
        strike(puppet, "solid")
    assert puppet.epoch == 2
    puppet.kill("solid", signal.SIGTERM)


def test_an_extension_at_whose_calls_servers_die_is_barred(tmp_path: Path) -> None:
    """K4, K5, P5: each host by another call, one through another host: it ends, in this ring and the next.

    Not by the deaths of one host alone, however many, as that may say of any extension that it ran a call of its.
    """
    with Backstage(tmp_path) as back, Puppeteer("tests.supervision.endings:blamed", {"path": back.path}) as puppet:
        puppet.await_epoch(1)
        extra = back.next_hand()
        dying = {"store.leave": "store", "porter.leave": "store", "shed.leave": "shed"}
        for code, handler in enumerate(["store.leave", "porter.leave", "store.leave", "shed.leave"], 1):
            assert puppet.lines("extension.barred") == []
            start = len(puppet.log.items)
            extra.call(handler, code)
            assert puppet.wait_for("process.ended", start=start, member=dying[handler]).exit_code == code
            puppet.wait_for("member.joined", start=start, member=dying[handler])
            for each in (puppet, extra) if dying[handler] == "store" else ():
                assert each.act(host_acts.lost, host="store", times=ends(puppet, "store"))
        barred, ended = puppet.wait_for("extension.barred"), puppet.wait_for("process.ended", member="extra")
        assert (barred.member, barred.told_by, barred.pid) == ("extra", "shed", ended.pid)
        assert (ended.signal, puppet.result("store.pid"), puppet.epoch) == ("SIGKILL", puppet.pid("store"), 1)
        puppet.kill("probe")
        puppet.await_epoch(2)
        assert puppet.result("store.pid") == puppet.pid("store", epoch=2)
        assert puppet.leave() == 0
        assert len(puppet.lines("process.started", member="extra")) == 1


@pytest.mark.parametrize("role", [Role.EXTENSION, Role.HOST])
def test_who_comes_again_gets_its_link_though_a_process_that_it_left_behind_holds_the_old_one(role: Role) -> None:
    """A55, P2: the broker lets go of the old link; a second one of an enclave's name it still takes for an attack."""
    with LoneBroker() as broker:
        enclave = broker.open("vault", Role.ENCLAVE)
        broker.begin()
        enclave.join().publish()
        broker.seal()
        first = broker.open("other", role).join()
        second = broker.open("other", role).join()
        assert first.cut_off()
        if role is Role.HOST:
            second.publish()
        assert broker.alive()
        broker.open("vault", role)
        assert broker.end() is not None
