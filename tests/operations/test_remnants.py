"""What a child leaves behind ends with it, however it hides, and is no operator meanwhile."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import outliving
from tests.harness.puppeteer import Puppeteer
from tests.operations.hopping import CHAINS, NAME, ask_by_programs
from trollbridge.actors.operations import runtime_folder
from trollbridge.actors.supervision import remnants
from trollbridge.actors.supervision.remnants import Remnants
from trollbridge.ui_adapter.operator_client import OperatorClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOON: Final = 20.0


def standing(session: int) -> set[int]:
    """Return who lives in a session."""
    found: set[int] = set()
    for each in map(int, filter(str.isdecimal, os.listdir("/proc"))):  # noqa: PTH208  # names only
        with suppress(OSError):
            if os.getsid(each) == session and not remnants._has_ended(each):
                found.add(each)
    return found


class Left:
    """A session whose first process has ended and is not reaped, and one that stands in it still."""

    def __init__(self) -> None:
        """Have somebody leave a process behind."""
        self._told, ours = os.pipe()
        asked, self._ask = os.pipe()
        self.session: Final = os.fork()
        if not self.session:
            try:
                os.setsid()
                while not os.fork():
                    os.setpgid(0, 0)
                    os.write(ours, b"%d" % os.getpid())
                    os.read(asked, 1)
            finally:
                os._exit(0)
        os.close(ours)
        os.close(asked)
        self.process = int(os.read(self._told, 100))
        os.waitid(os.P_PID, self.session, os.WEXITED | os.WNOWAIT)

    def move(self) -> None:
        """Have it fork and end; its child, in a group of its own, is who is left."""
        os.write(self._ask, b".")
        self.process = int(os.read(self._told, 100))

    def close(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.session, 0)
        os.close(self._told)
        os.close(self._ask)


@pytest.fixture
def left() -> Iterator[Left]:
    """Return one."""
    with closing(Left()) as made:
        yield made


@pytest.fixture
def other() -> Iterator[Left]:
    """Return another."""
    with closing(Left()) as made:
        yield made


def test_whoever_stands_in_the_session_of_an_ended_process_is_killed_and_nobody_else(left: Left, other: Left) -> None:
    """A16, A59: in whatever group; who stands in another session goes on."""
    end = os.pidfd_open(left.process)
    followed = Remnants()
    followed.follow(left.session)
    assert select.select([end], [], [], SOON)[0]
    os.close(end)
    assert followed.close(SOON)
    assert (followed.due, standing(left.session)) == (None, set())
    assert standing(other.session) == {other.process}


def test_whoever_moves_on_just_while_it_is_looked_at_is_found_all_the_same(
    left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A16, A59: a process that forks and ends, into another group, in between the look and the signal."""
    moves = [left.move]
    looked = remnants._has_ended

    def moving(number: int) -> bool:
        ended = looked(number)
        if number == left.process and moves:
            moves.pop()()
        return ended

    monkeypatch.setattr(remnants, "_has_ended", moving)
    followed = Remnants()
    followed.follow(left.session)
    assert followed.close(SOON)
    assert moves == []
    assert standing(left.session) == set()


def test_a_process_that_was_left_behind_is_known_by_its_session(
    left: Left, other: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I3, I7: even if nobody could end it, and after its first process was reaped; who is gone is not heard either."""

    def in_vain(_session: int, _until: float) -> bool:
        return True

    monkeypatch.setattr(remnants, "end", in_vain)
    followed = Remnants()
    assert not followed.holds(left.process)
    followed.follow(left.session)
    os.waitpid(left.session, 0)
    found = [followed.holds(each) for each in (left.process, other.process, os.getpid(), left.session)]
    assert found == [True, False, False, True]


def test_hosts_leave_nobody_who_outlives_them_or_speaks_to_their_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A16, A59, I3: from group to group, after the host's end and the application's; the application goes on."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = str(tmp_path / "trollbridge" / NAME / runtime_folder.SOCKET)
    with Puppeteer(
        "tests.operations.hopping:hopping_app", {}, environment={"XDG_RUNTIME_DIR": str(tmp_path)}
    ) as puppet:
        puppet.await_epoch(1)
        assert puppet.result("hopper.hop", path) == CHAINS
        session = puppet.kill("hopper")
        puppet.wait_for("member.joined", member="hopper", incarnation=2)
        until = time.monotonic() + SOON
        while standing(session):
            assert time.monotonic() < until
        assert puppet.lines("application.stopping") == []
        with OperatorClient(NAME) as client:
            assert client.status().state == "sealed"
        assert puppet.act(ask_by_programs, path=path) == [True, True], "a UI's programs are its user's"
        assert puppet.result("hopper.hop", path) == CHAINS
        puppet.interrupt(signal.SIGTERM)
        assert puppet.wait() == 128 + signal.SIGTERM
        assert standing(puppet.pid("hopper")) == set()
        assert outliving(puppet._before, SOON) == frozenset()  # which reaps: here they are not init's
        assert puppet.finish() == 128 + signal.SIGTERM
        assert puppet.lines("operator.asked") == []
