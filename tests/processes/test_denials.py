"""What a lock refuses is said once, in words that tell which line to add; and with that line it works."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ui_adapter.commands import Ended, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENCLAVE = '''
"""An enclave that reaches for more than it has declared."""
import os
import sys
import threading

from trollbridge.actors import Sandbox
from trollbridge.actors.handlers import handler
from trollbridge.enclave import EnclaveActor
import socket
import subprocess
import sqlite3


class Keeper(EnclaveActor):
    sandbox = Sandbox(SANDBOX)

    @handler
    def read(self) -> str:
        with open("PLACE/notes/one", encoding="utf-8") as file:
            return file.read()

    @handler
    def write(self) -> str:
        with open("PLACE/notes/two", "w", encoding="utf-8") as file:
            file.write("two")
        return "two"

    @handler
    def keep(self) -> str:
        base = sqlite3.connect("PLACE/notes/base")
        base.execute("CREATE TABLE IF NOT EXISTS one (two)")
        base.close()
        return "kept"

    @handler
    def dial(self) -> str:
        with socket.socket(socket.AF_INET) as end:
            return str(end.connect_ex(("127.0.0.1", 9)))

    @handler
    def spawn(self) -> str:
        return subprocess.run(["/bin/echo", "spawned"], capture_output=True, text=True, check=True).stdout

    @handler
    def thread(self) -> str:
        done = []
        thread = threading.Thread(target=done.append, args=("threaded",))
        thread.start()
        thread.join()
        return done[0]

    @handler
    def late(self) -> str:
        import xml.etree.ElementTree
        return xml.etree.ElementTree.__name__

    @handler
    def home(self) -> str:
        with open("~/notes/two", "w", encoding="utf-8") as file:
            return str(file.write("two"))

    @handler
    def expanded(self) -> str:
        with open(os.path.expanduser("~/notes/two"), "w", encoding="utf-8") as file:
            return str(file.write("two"))

    @handler
    def exotic(self) -> str:
        import ctypes
        return str(LIBC.syscall(101, 0, 0, 0, 0))


import ctypes

LIBC = ctypes.CDLL(None)


class Warm(Keeper):
    sandbox = Sandbox(SANDBOX)

    def warm_up(self) -> None:
        import xml.etree.ElementTree
'''
UI = '''
"""Calls one handler and shows what came of it."""
from trollbridge.actors import App, Child
from trollbridge.messages.errors import CallError
from trollbridge.ui_adapter.bridge import UiActor

NAMES = ["read", "write", "keep", "dial", "spawn", "thread", "late", "home", "expanded", "exotic"]


class Ask(UiActor):
    def main(self, bridge):
        try:
            print(getattr(bridge.keeper, "CALL")().get(timeout=20))
        except CallError as error:
            print(type(error).__name__)


app = App(
    ui=Ask,
    enclaves=[Child("keeping:ENCLAVE", name="keeper")],
    grants={"ask": [f"keeper.{name}" for name in NAMES]},
    least="LEAST",
)
'''


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder with a file `notes/one`."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name).resolve()
        (place / "notes").mkdir()
        (place / "notes" / "one").write_text("one", encoding="utf-8")
        yield place


def ask(  # noqa: PLR0913  # each is given by name
    folder: Path,
    call: str,
    sandbox: str = "",
    *,
    enclave: str = "Keeper",
    least: str = "full",
    more: Mapping[str, str] | None = None,
) -> Ended:
    """Run an application whose UI calls one handler of an enclave with this sandbox."""
    sandbox = sandbox.replace("PLACE", str(folder))
    code = ENCLAVE.replace("SANDBOX", sandbox).replace("PLACE", str(folder))
    ui = UI.replace("CALL", call).replace("ENCLAVE", enclave).replace("LEAST", least)
    (folder / "keeping.py").write_text(code, encoding="utf-8")
    (folder / "asking.py").write_text(ui, encoding="utf-8")
    return run("run", "asking:app", folder=folder, more=more)


CASES = {
    "read": ("read=['PLACE/notes/one']", "one", "open('PLACE/notes/one'): add read=['PLACE/notes/one'] to its Sandbox"),
    "write": ("write=['PLACE/notes/']", "two", "open('PLACE/notes/two'): add write=['PLACE/notes/'] to its Sandbox"),
    "keep": (
        "write=['PLACE/notes/']",
        "kept",
        "sqlite3.connect('PLACE/notes/base'): add write=['PLACE/notes/'] to its Sandbox",
    ),
    "dial": ("network=['tcp']", "111", "socket: add network=['tcp'] to its Sandbox"),
    "thread": ("threads=True", "threaded", "start of a thread: add threads=True to its Sandbox"),
    "spawn": (
        "exec=['/bin/echo']",
        "spawned",
        "add exec=['/bin/echo'] to its Sandbox and least=\"partial\" to its Child(…)",
    ),
}


@pytest.mark.parametrize("call", CASES)
def test_a_refusal_names_member_call_and_the_line_to_add(folder: Path, call: str) -> None:
    """The enclave goes on, its caller learns an incident's number, the log has one clear line."""
    ended = ask(folder, call)
    assert (ended.code, ended.output.strip(), ended.said) == (0, "HandlerFailed", [])
    [line] = [each for each in ended.log if each.event == "sandbox.denied"]
    assert (line.member, line.why) == ("keeper", call)
    assert CASES[call][2].replace("PLACE", str(folder)) in line.detail


@pytest.mark.parametrize("call", CASES)
def test_with_that_line_it_works(folder: Path, call: str) -> None:
    """The honest half: what is declared is possible, and nothing is denied."""
    ended = ask(folder, call, CASES[call][0], least="partial" if call == "spawn" else "full")
    assert (ended.code, ended.output.strip(), ended.said) == (0, CASES[call][1], [])
    assert not [each for each in ended.log if each.event == "sandbox.denied"]


def test_programs_cost_the_full_level_and_that_is_said(folder: Path) -> None:
    """A12: an enclave that may execute programs is not `full`; the application must accept that in words."""
    ended = ask(folder, "spawn", "exec=['/bin/echo']")
    [sentence] = ended.said
    assert (ended.code, "keeper: the kernel keeps it partial" in sentence, "exec=[…]" in sentence) == (77, True, True)


def test_a_late_import_is_named(folder: Path) -> None:
    """A library that imports lazily: the line says where to import it; with `warm_up` it works."""
    ended = ask(folder, "late")
    [line] = [each for each in ended.log if each.event == "sandbox.denied"]
    assert line.detail.startswith("import xml.etree.ElementTree: import it at the top of the module, or in warm_up()")
    warm = ask(folder, "late", enclave="Warm")
    assert (warm.code, warm.output.strip()) == (0, "xml.etree.ElementTree")


def test_what_only_an_attacker_calls_ends_the_process_and_the_log_says_why(folder: Path) -> None:
    """K3: ptrace(2) inside an enclave: killed by SIGSYS; the line points at the learn mode."""
    ended = ask(folder, "exotic")
    [line, *_] = [each for each in ended.log if each.event == "process.ended" and each.member == "keeper"]
    assert (line.signal, "system call that its Sandbox does not allow" in line.why) == ("SIGSYS", True)


@pytest.mark.parametrize(
    ("sandbox", "complaint"),
    [
        ("read=['PLACE/missing']", "Sandbox(read=['PLACE/missing']) does not exist"),
        ("write=['PLACE/missing']", "does not exist: make it, or end it with / to have it made as a folder"),
        ("write=['PLACE/notes/one/deeper/']", "cannot be made: Not a directory"),
        ("write=['PLACE/notes/one/']", "is a file: write it without the / at its end"),
        ("reads=['PLACE']", "takes read=, write=, exec=, network= and threads=, and no reads"),
        ("exec=['PLACE/notes/one']", "PLACE/notes/one"),
        ("read=['relative']", "a path is absolute"),
        ("write='PLACE'", "is a list of strings"),
    ],
)
def test_a_sandbox_that_cannot_be_is_refused_before_the_lock(folder: Path, sandbox: str, complaint: str) -> None:
    """S5: exit code 78 and one line that names the entry."""
    ended = ask(folder, "read", sandbox)
    assert (ended.code, ended.output, len(ended.said)) == (78, "", 1)
    assert complaint.replace("PLACE", str(folder)) in ended.said[0]


def test_a_missing_folder_to_write_in_is_made_for_its_owner_only(folder: Path) -> None:
    """A15: the declared scope is there when the enclave starts."""
    ended = ask(folder, "write", "write=['PLACE/notes', 'PLACE/made/deep/']")
    assert (ended.code, ended.output.strip()) == (0, "two")
    assert [each.stat().st_mode & 0o777 for each in (folder / "made", folder / "made" / "deep")] == [0o700, 0o700]


def test_a_tilde_is_expanded_in_a_declaration_and_not_in_open(folder: Path) -> None:
    """The line says so, and with what it says it works: the declaration's home folder is the process's own."""
    more, sandbox = {"HOME": str(folder)}, "write=['~/notes/']"
    [line] = [each for each in ask(folder, "home", sandbox, more=more).log if each.event == "sandbox.denied"]
    assert "~ is not expanded in a path that is opened; write os.path.expanduser('~/notes/two')" in line.detail
    ended = ask(folder, "expanded", sandbox, more=more)
    assert (ended.code, ended.output.strip()) == (0, "3")
    assert (folder / "notes" / "two").read_text(encoding="utf-8") == "two"


def test_what_the_user_may_not_read_is_no_matter_of_the_sandbox(folder: Path) -> None:
    """A declared file that is closed to its own user: the line says so, and proposes nothing."""
    (folder / "notes" / "one").chmod(0)
    ended = ask(folder, "read", "read=['PLACE/notes']")
    [line] = [each for each in ended.log if each.event == "sandbox.denied"]
    assert f"open('{folder}/notes/one')" in line.detail
    assert "user may not read it" in line.detail
    assert "add " not in line.detail
