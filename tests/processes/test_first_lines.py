"""What a process is before and while its first lines run: its copy of the interpreter, and code that comes early."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness.ordinary import ROOT, ordinary
from tests.harness.puppeteer import perform
from tests.ui_adapter.commands import Ended, run

if TYPE_CHECKING:
    from collections.abc import Iterator

EARLY = '''
"""A UI whose module does something while it is imported."""
import json
import os

from trollbridge.actors import App, Child, Sandbox
from trollbridge.actors.handlers import handler
from trollbridge.enclave import EnclaveActor
from trollbridge.ui_adapter.bridge import UiActor

PLACE = os.path.dirname(os.path.abspath(__file__))


class Board(EnclaveActor):
    @handler
    def ping(self) -> bool:
        return True


class Host(UiActor):
    SANDBOX

    def main(self, bridge):
        levels = {each.member: each.level for each in bridge.posture()}
        own = {each.mechanism: each.state for each in bridge.posture()[0].evidence}
        print(json.dumps([FOUND, levels, own["execute-only start"]]))


def look():
    try:
        with open(f"{PLACE}/outside", encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        return type(error).__name__


def start():
    """Start a process that ends when this one does."""
    read, globals()["held"] = os.pipe()
    return os.posix_spawn("/bin/cat", ["cat"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, read, 0)])


FOUND = ""
if os.environ.get("HOME") is not None:  # a UI's process: it is given a home; an enclave's is not
    FOUND = EARLY

app = App(ui=DECLARED, enclaves=[Board])
'''


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that everybody may read, with a file."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name).resolve()
        place.chmod(0o755)
        (place / "home").mkdir()
        (place / "outside").write_text("2", encoding="utf-8")
        yield place


def play(  # noqa: PLR0913  # each test sets one or two of them by name
    folder: Path,
    early: str,
    declared: str = "Host",
    sandbox: str = "pass",
    *,
    user: bool = False,
    left: float = 0.0,
) -> Ended:
    """Run the application."""
    text = EARLY.replace("SANDBOX", sandbox).replace("EARLY", early).replace("DECLARED", declared)
    (folder / "inn.py").write_text(text, encoding="utf-8")
    prefix = ordinary([], folder / "home") if user else []
    return run("run", "-q", "inn:app", folder=folder, prefix=prefix, afterwards=left)


def test_those_who_may_chmod_run_another_copy_than_those_who_must_be_kept() -> None:
    """K3: one inode for broker and enclave, another for the UI: its owner cannot make the first readable again."""
    with perform() as puppet:
        puppet.await_epoch(1)
        if ROOT:
            inode = {
                each: Path(f"/proc/{puppet.pid(each)}/exe").stat().st_ino for each in ("broker", "probe", "puppet")
            }
            assert inode["broker"] == inode["probe"] != inode["puppet"]
        else:
            for each in ("broker", "probe", "puppet"):
                with pytest.raises(PermissionError):
                    Path(f"/proc/{puppet.pid(each)}/exe").stat()
        puppet.kill("probe")
        puppet.await_epoch(2)
        assert puppet.result("probe.echo", b"again") == b"again"


def test_the_command_starts_itself_again_where_nobody_looks_in(folder: Path) -> None:
    """K3: as an ordinary user the supervisor runs from an execute-only copy, and its posture says so."""
    ended = play(folder, "''", user=True)
    assert (ended.code, ended.said) == (0, [])
    _, levels, start = json.loads(ended.output)
    assert (start, levels["board"]) == ("in force", "full")


def test_a_declared_sandbox_binds_a_ui_from_its_first_line(folder: Path) -> None:
    """A49: code that runs while the UI's module is imported reaches no more than the declaration says."""
    confined = play(folder, "look()", "Child(Host, sandbox=Sandbox())")
    assert (json.loads(confined.output)[0], json.loads(confined.output)[1]["host"]) == ("PermissionError", "full")
    free = play(folder, "look()")
    assert json.loads(free.output)[0] == "2"


def test_the_sandbox_of_a_class_does_not_bind_a_process_that_was_started_before(folder: Path) -> None:
    """A12: so such a process is refused, and the sentence says what to do."""
    ended = play(folder, "start()", sandbox="sandbox = Sandbox()", left=20.0)
    [sentence] = ended.said
    assert (ended.code, "a process was started before the lock" in sentence) == (78, True)
