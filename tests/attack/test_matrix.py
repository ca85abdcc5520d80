"""The matrix, the runner and its ground: figures with names, honest judgement, nothing left behind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from tests.attack import measured
from tests.harness.ordinary import ROOT
from trollbridge.messages.sandbox import Sandbox
from trollbridge.ui_adapter.attack import ground, inside, launch, matrix, needs
from trollbridge.ui_adapter.attack.attempt import Attempt, Layers
from trollbridge.ui_adapter.attack.catalogue import Outcome, Position
from trollbridge.ui_adapter.attack.needs import Need
from trollbridge.ui_adapter.attack.plan import Pass, Plan, Record, State
from trollbridge.ui_adapter.attack.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN: Final = "0123456789abcdef"
ONE: Final = (Attempt("K3.one", "One", lambda _: None),)


def _left() -> list[str]:
    folders = {*ground.candidates(), "/dev/shm"}  # noqa: S108  # where the suite may have made something
    return [str(path) for each in sorted(folders) for path in Path(each).glob("tb-attack-*")]


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Make a folder whose path leaves room for a socket's (unix(7): 107 bytes), as `ground.place_outside` does."""
    with tempfile.TemporaryDirectory(prefix="tb") as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Hold every test to it that no folder of an attack outlives it."""
    before = _left()
    yield
    assert _left() == before


def test_the_table_has_one_line_for_each_pass_and_counts_names() -> None:
    """The figures that are published, each beside how many were tried."""
    rows = (*measured.inside(measured.USERS[0]), *measured.outside())
    assert [(each.position, each.layers) for each in rows] == [
        (each.position, each.layers) for each in (*matrix.INSIDE, *matrix.OUTSIDE)
    ]
    lines = matrix.table(rows).splitlines()
    assert len(lines) == 1 + len(rows)
    for line, each in zip(lines[1:], rows, strict=True):
        working, tried, not_tried = map(int, line.split()[-3:])
        assert (working, tried - working, not_tried) == (len(each.working), len(each.stopped), len(each.not_tried))


@pytest.mark.parametrize(
    ("before", "after", "known", "expected"),
    [
        (State.WORKED, State.STOPPED, {}, Outcome.STOPPED),
        (State.WORKED, State.WORKED, {}, Outcome.THROUGH),
        (State.WORKED, State.WORKED, {"K3.one": "it harms nothing"}, Outcome.HARMLESS),
        (State.WORKED, State.STOPPED, {"K3.one": "it harms nothing"}, Outcome.STOPPED),
        (State.STOPPED, State.STOPPED, {}, Outcome.NOT_TRIED),
        (State.STOPPED, State.WORKED, {}, Outcome.THROUGH),
        (State.NOT_TRIED, State.NOT_TRIED, {}, Outcome.NOT_TRIED),
    ],
)
def test_an_attack_counts_as_stopped_only_if_it_works_unlocked(
    before: State, after: State, known: dict[str, str], expected: Outcome
) -> None:
    """What got through is never excused but by name; what is not alive is not counted."""
    found = judge(ONE, Position.INSIDE, [Record("K3.one", before, "…")], [Record("K3.one", after, "…")], known)
    assert [each.outcome for each in found] == [expected]


LIAR: Final = """
import os, sys
from trollbridge.ui_adapter.attack.attempt import Attempt, Layers
from trollbridge.ui_adapter.attack.ground import Site
from trollbridge.ui_adapter.attack.one_try import try_once
def tell(g): g.bystander.write_text("mine")
def fail(_): raise PermissionError(13, "no")
def leave(_):
    if os.fork() == 0:
        os.execve("/bin/sh", ["sh", "-c", "exec 1>&- 2>&-; read line < " + fifo], {})
fifo = sys.argv[2] + "/fifo"
os.mkfifo(fifo)
import ctypes; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
tries = {
    "a lie": Attempt("a.b", "", lambda _: b"done", lambda g, _: g.changed()),
    "the truth": Attempt("a.b", "", tell, lambda g, _: g.changed()),
    "refused": Attempt("a.b", "", fail),
    "not prepared": Attempt("a.b", "", lambda _: None, before=fail),
    "killed": Attempt("a.b", "", lambda _: os.kill(os.getpid(), 31)),
    "silent": Attempt("a.b", "", lambda _: os._exit(0)),
    "a child left": Attempt("a.b", "", leave),
}
with Site(sys.argv[2], "liar") as site:
    for name, attempt in tries.items():
        print(name, *try_once(attempt, site, lambda _: lambda: None, lambda _: None, frozenset()), sep=": ", flush=True)
try:
    print("children:", os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no child")
"""


def test_an_attackers_word_is_not_enough(short_path: Path) -> None:
    """A claim without its effect is no success, and a child that an attacker leaves is ended."""
    command = [sys.executable, "-I", "-c", LIAR, "liar", str(short_path)]
    printed = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout
    assert printed.splitlines() == [
        "a lie: False: no effect: True",
        "the truth: True: it worked: True",
        "refused: False: EACCES: True",
        "not prepared: False: not prepared: EACCES: False",
        "killed: False: killed by SIGSYS: True",
        "silent: False: ended without a word: True",
        "a child left: True: it worked: True",
        "no child",
    ]


def test_a_run_that_takes_too_long_is_ended_with_everything_below_it() -> None:
    """Bounded in time; the fixtures see that neither a process nor a folder is left."""
    plan = Plan(tuple(Pass(Position.INSIDE, layers) for layers in Layers), TOKEN, vault=True)
    with pytest.raises(launch.RunnerFailed, match=r"^it took more than 0\.5 seconds$"):
        launch.carry_out(plan, patience=0.5)


def test_a_runner_that_cannot_work_says_why_and_every_attack_is_not_tried() -> None:
    """Without any folder outside the scope there is no ground, and nothing is claimed."""
    everywhere = Sandbox(write=tuple({os.path.realpath(each) for each in ground.candidates()}))
    found = inside.run(everywhere)
    assert {each.outcome for each in found} == {Outcome.NOT_TRIED}
    assert all("NoGround" in each.happened for each in found)
    assert len(found) == len(inside.INSIDE)


def test_the_ground_lies_outside_what_the_sandbox_declares() -> None:
    """A scope that holds the temporary folder sends the attacks elsewhere."""
    first = ground.place_outside(Sandbox())
    elsewhere = ground.place_outside(Sandbox(read=(first,)))
    assert elsewhere != first
    assert ground.place_outside(Sandbox(read=(f"{first}/below",))) == first


def test_the_ground_is_closed_to_others_and_vanishes(short_path: Path) -> None:
    """0700, and gone at the end with everything in it."""
    with ground.Site(str(short_path), TOKEN) as site:
        assert stat.S_IMODE(site.root.stat().st_mode) == 0o700
        made = site.ground()
        assert made.planted.read_bytes() == made.shortcut.read_bytes() == made.canary
        assert not made.changed()
        made.bystander.chmod(0o666)
        assert made.changed()
        made.close()
        assert not made.root.exists()
    assert list(short_path.iterdir()) == []


def test_each_need_is_decided_without_trying_the_attack() -> None:
    """Root and ordinary users get different answers, and every need gets one."""
    assert (Need.ROOT in needs.unmet(frozenset(Need))) != ROOT
    assert (Need.USER in needs.unmet(frozenset(Need))) == ROOT
    assert needs.unmet(frozenset({Need.BUILD})) == ()


def test_plans_travel_as_json_and_nothing_else_is_taken() -> None:
    """The runner gets values: no code, and no unknown field."""
    plan = Plan((Pass(Position.EXTENSION, Layers.ALL),), TOKEN, sandbox=Sandbox(write=("/srv/x",)), vault=True)
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"passes":[],"token":"x","code":"1"}', type=Plan)
