"""Members that talk: what they tell of others is bounded, so that nobody's words push the rest out of the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final, cast

from tests.harness.stage import puppet_app
from tests.ui_adapter.commands import run
from trollbridge.actors.operations.log import Log
from trollbridge.actors.processes.reactor import Reactor
from trollbridge.actors.supervision.children import Children
from trollbridge.actors.supervision.notices import MOST, PERIOD, Notices
from trollbridge.actors.supervision.spawn import Process
from trollbridge.messages.control import Notice, NoticeKind
from trollbridge.messages.ids import BROKER, Epoch, Role

if TYPE_CHECKING:
    from pathlib import Path

FLOOD: Final = 5000
APPLICATION: Final = '''
"""A host that has been taken over: it tells of late calls as fast as it can, then of one incident."""
import os
import select

from trollbridge.actors.app import App
from trollbridge.actors.handlers import handler
from trollbridge.actors.host import HostActor
from trollbridge.messages import control
from trollbridge.messages.control import NoticeKind
from trollbridge.ui_adapter.bridge import UiActor


class Talker(HostActor):
    @handler
    def talk(self, count: int) -> int:
        late = control.FROM_CHILD.encode(control.Notice(NoticeKind.CALL_LATE, "ui", "x" * 200, "y" * 1000))
        failed = control.FROM_CHILD.encode(control.Notice(NoticeKind.INCIDENT, "ui", "told all the same"))
        for each in (*[late] * count, failed):
            while True:
                try:
                    os.write(3, each)
                    break
                except BlockingIOError:
                    select.select((), (3,), ())
        return count


class Ui(UiActor):
    def main(self, bridge):
        return bridge.talker.talk(5000).get() - 4993


app = App(ui=Ui, hosts=["talking:Talker"], grants={"ui": ["talker.talk"]}, least="process-only")
'''


def test_a_host_that_talks_without_end_pushes_nothing_out_of_the_log(tmp_path: Path) -> None:
    """A55, P2: so many lines of a kind, and one that says how many there were more; every other line is there."""
    (tmp_path / "talking.py").write_text(APPLICATION, encoding="utf-8")
    ended = run("run", "talking:app", "--no-operator", "--log", "log", "--log-size", "65536", folder=tmp_path)
    assert ended.code == 7
    lines = [json.loads(each) for path in ("log.1", "log") for each in (tmp_path / path).read_bytes().splitlines()]
    events = [each["event"] for each in lines]
    assert (events.count("call.late"), events.count("handler.failed")) == (MOST, 1)
    [dropped] = [each for each in lines if each["event"] == "notice.dropped"]
    assert (dropped["member"], dropped["detail"]) == ("talker", f"{FLOOD - MOST} lines of call.late")
    assert {"application.started", "ring.sealed", "application.stopped"} <= {*events}
    assert sorted(each.name for each in tmp_path.glob("log.*")) == ["log.1", "log.head"]


def test_the_broker_is_bounded_for_each_member_and_never_where_a_link_ends() -> None:
    """A55: what one member provokes hides nothing of another; that one was removed is always written down."""
    log = Log(lambda _: None)
    processes = Children(Reactor(), lambda _: None, lambda _: None, {})
    notices = Notices(puppet_app(), processes, log)
    broker = cast("Process", SimpleNamespace(member=BROKER, role=Role.BROKER))

    def told(kind: NoticeKind, about: str, times: int) -> int:
        before = len(log.recent)
        for _ in range(times):
            notices.take(broker, Notice(kind, about, "because"), Epoch(1), standing=False)
        return len(log.recent) - before

    assert (told(NoticeKind.RECORD_REFUSED, "puppet", MOST + 9), told(NoticeKind.RECORD_REFUSED, "probe", 1)) == (
        MOST,
        1,
    )
    for kind in (NoticeKind.MEMBER_REMOVED, NoticeKind.GRANT_USED):
        assert told(kind, "puppet", MOST + 1) == MOST + 1
    assert notices.due is not None
    notices.tick(notices.due - PERIOD / 2)
    assert log.recent[-1].event == "grant.used"
    notices.tick(notices.due)
    assert (log.recent[-1].event, log.recent[-1].detail) == ("notice.dropped", "9 lines of record.refused")
    assert told(NoticeKind.RECORD_REFUSED, "puppet", 2) == 2
    notices.close()
    assert log.recent[-1].event == "record.refused"


def test_a_lost_link_is_a_line_only_if_its_process_lives() -> None:
    """A27: of a process that has ended, or whose ring falls, the end is told elsewhere, and once."""
    log = Log(lambda _: None)
    found: dict[str, Process] = {}
    limits: list[float | None] = []

    def expect_end(_process: Process, seconds: float | None) -> None:
        limits.append(seconds)

    processes = SimpleNamespace(get=found.get, expect_end=expect_end)
    notices = Notices(puppet_app(), cast("Children", processes), log)
    broker = cast("Process", SimpleNamespace(member=BROKER, role=Role.BROKER))
    lost = Notice(NoticeKind.LINK_LOST, "puppet", "because")
    told: list[int] = []
    with subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE) as living:
        found["puppet"] = Process.__new__(Process)
        object.__setattr__(found["puppet"], "pid", living.pid)  # of all that it has, what is looked at
        for standing in (True, False, True):
            notices.take(broker, lost, Epoch(1), standing=standing)
            told.append(len(log.recent))
            if not standing:
                living.kill()
                os.waitid(os.P_PID, living.pid, os.WEXITED | os.WNOWAIT)
        found.clear()
        notices.take(broker, lost, Epoch(1), standing=True)
    assert (told, len(log.recent), limits) == ([1, 1, 1], 1, [None, None])
