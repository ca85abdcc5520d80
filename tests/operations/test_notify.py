"""What the service manager is told, on real sockets: each state, the watchdog, and that nobody ever waits for it."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from tests.harness.puppeteer import Puppeteer
from tests.operations.service_manager import ServiceManager
from trollbridge.actors.operations.log import Line
from trollbridge.actors.operations.notify import AGAIN, Notify, states, status

if TYPE_CHECKING:
    from pathlib import Path

LIFE: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("application.started", {}),
    ("ring.forming", {"epoch": 1}),
    ("ring.sealed", {"epoch": 1}),
    ("ring.dismantling", {"epoch": 1, "why": "probe ended (SIGKILL)"}),
    ("ring.restarting", {"epoch": 1, "delay": 0.25}),
    ("ring.sealed", {"epoch": 2}),
    ("ring.draining", {"epoch": 2, "why": "SIGHUP: new keys"}),
    ("ring.sealed", {"epoch": 3}),
    ("application.stopping", {"epoch": 3, "why": "SIGTERM"}),
    ("ring.dismantling", {"epoch": 3, "why": "SIGTERM"}),
)
"""Lines of the log, in the order of an application's life."""
SHOWN: Final = (
    {"STATUS": "epoch 1: the ring is being formed"},
    {"READY": "1", "STATUS": "epoch 1: the ring is sealed"},
    {"STATUS": "epoch 1: the ring falls: probe ended (SIGKILL)"},
    {"STATUS": "epoch 1: the ring has fallen; the next will be formed in 0.25 s"},
    {"READY": "1", "STATUS": "epoch 2: the ring is sealed"},
    {"RELOADING": "1", "STATUS": "epoch 2: new keys; calls in flight finish first"},
    {"READY": "1", "STATUS": "epoch 3: the ring is sealed"},
    {"STOPPING": "1", "STATUS": "stopping: SIGTERM"},
)


def line(event: str, **fields: Any) -> Line:  # noqa: ANN401  # any field
    """Return a line of the log."""
    return msgspec.convert({"time": 0.0, "event": event, "epoch": 0, "seq": 0, "chain": "", **fields}, Line)


def waits(notify: Notify) -> float | None:
    """Return when it wants to be called."""
    return notify.due


@pytest.mark.parametrize("address", ["/notify", "@trollbridge-test"])
def test_each_state_is_told_in_one_datagram(address: str, tmp_path: Path) -> None:
    """A reload is told with the monotonic time that systemd compares; a fall is none; nothing follows STOPPING."""
    where = f"{tmp_path}{address}" if address.startswith("/") else f"{address}-{os.getpid()}"
    with ServiceManager(where) as manager:
        notify = Notify(where, None)
        before = time.monotonic_ns() // 1000
        for event, fields in LIFE:
            notify.heard(line(event, **fields))
        notify.close()
        told = manager.drain()
        [reloaded] = [int(each.pop("MONOTONIC_USEC")) for each in told if "MONOTONIC_USEC" in each]
        assert tuple(told) == SHOWN
        assert before <= reloaded <= time.monotonic_ns() // 1000
        assert {each.pid for each in manager.told} == {os.getpid()}


def test_the_watchdog_is_fed_at_half_of_what_it_waits(tmp_path: Path) -> None:
    """Only a loop that turns feeds it: without a tick nothing is sent."""
    where = str(tmp_path / "notify")
    environment = {"NOTIFY_SOCKET": where, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    with ServiceManager(where) as manager:
        notify = Notify.from_environment(environment=environment)
        assert environment == {"HOME": "/"}
        assert manager.drain() == []
        fed: list[float] = []
        for tenth in range(100, 161):
            now = tenth / 10
            if notify.due is not None and now >= notify.due:
                notify.tick(now)
                fed.append(now)
        assert fed == [10.0, 11.5, 13.0, 14.5, 16.0]
        assert manager.drain() == [{"WATCHDOG": "1"}] * 5
        notify.close()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "relative", "WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "@", "WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "/" + "x" * 108, "WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "0"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "-1"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
    ],
)
def test_without_a_manager_or_a_watchdog_the_loop_is_not_woken(environment: dict[str, str]) -> None:
    """Also for another process's watchdog; whatever the variables hold, they are gone afterwards."""
    notify = Notify.from_environment(environment=environment)
    assert notify.due is None
    assert environment == {}
    notify.close()


def test_a_manager_that_takes_nothing_is_not_waited_for(tmp_path: Path) -> None:
    """What counts is sent once it takes again, of sentences the last; that it is not there is told once."""
    where = str(tmp_path / "notify")
    reasons: list[str] = []
    notify = Notify(where, None, reasons.append)
    notify.heard(line("ring.sealed", epoch=1))
    notify.heard(line("ring.dismantling", epoch=1, why="a"))
    notify.heard(line("ring.dismantling", epoch=1, why="b"))
    notify.tick(time.monotonic())
    notify.tick(time.monotonic())
    assert reasons == ["No such file or directory"]
    with ServiceManager(where) as manager:
        assert notify.due is not None
        assert notify.due <= time.monotonic() + AGAIN
        notify.tick(notify.due)
        assert manager.drain() == [SHOWN[1], {"STATUS": "epoch 1: the ring falls: b"}]
        assert waits(notify) is None
        for epoch in range(2, 2000):  # more than its queue holds, which nobody empties
            notify.heard(line("ring.sealed", epoch=epoch))
        told = manager.drain()
        while (due := waits(notify)) is not None:
            notify.tick(due)
            told += manager.drain()
        assert told[0] == {"READY": "1", "STATUS": "epoch 2: the ring is sealed"}
        assert told[-1] == {"READY": "1", "STATUS": "epoch 1999: the ring is sealed"}
        assert reasons == ["No such file or directory"]
        notify.close()


def test_no_line_can_assign_what_it_likes() -> None:
    """I2: a sentence stays one line; what a log line says becomes no MAINPID and no FDSTORE."""
    hostile = line("ring.dismantling", epoch=1, why="x\nMAINPID=1\nREADY=1" + "y" * 1000)
    assert states(hostile) == ()
    assert "\n" not in status(hostile)
    assert len(status(hostile)) == 200


def test_a_running_application_tells_its_manager(tmp_path: Path) -> None:
    """A59: ready with the first seal, a fall, new keys, the end; the supervisor speaks, no child sees the socket."""
    where = str(tmp_path / "notify")
    environment = {"NOTIFY_SOCKET": where, "WATCHDOG_USEC": "200000"}
    with ServiceManager(where) as manager:
        with (
            manager.reading(),
            Puppeteer("tests.harness.stage:puppet_app", {}, environment=environment) as puppet,
        ):
            ready = manager.wait(lambda told: "READY" in told)
            assert manager.told[ready].assignments == SHOWN[1]
            assert "NOTIFY_SOCKET" not in puppet.result("probe.environment")
            puppet.kill("probe")
            fell = manager.wait(lambda told: told.get("STATUS", "").startswith("epoch 1: the ring falls"), ready)
            again = manager.wait(lambda told: "READY" in told, fell)
            puppet.interrupt(signal.SIGHUP)
            reloading = manager.wait(lambda told: "RELOADING" in told, again)
            assert "MONOTONIC_USEC" in manager.told[reloading].assignments
            alive = manager.wait(lambda told: "READY" in told, reloading)
            manager.wait(lambda told: "WATCHDOG" in told, alive)
            assert puppet.stop() == 128 + signal.SIGTERM
        manager.drain()
        assert manager.told[-1].assignments == SHOWN[-1]
        assert {each.pid for each in manager.told} == {puppet.supervisor}
