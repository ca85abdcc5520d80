"""A UI and an extension under their sandboxes: what is declared works, and nothing else does."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.harness.ordinary import ordinary
from tests.harness.running import Running
from tests.ui_adapter.commands import Ended, run

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

MODULE = '''
"""A UI and an extension that try what they can reach; each tells an enclave, which the UI asks in the end."""
import json
import os
import socket
import subprocess
import threading
import time

from trollbridge.actors import App, Child, Sandbox
from trollbridge.actors.handlers import handler
from trollbridge.enclave import EnclaveActor
from trollbridge.ui_adapter.bridge import ExtensionActor, UiActor

PLACE = os.path.dirname(os.path.abspath(__file__))


def attempt(what):
    try:
        return repr(what())
    except BaseException as error:
        return type(error).__name__


def read(name):
    with open(f"{PLACE}/{name}", encoding="utf-8") as file:
        return file.read()


def write(name):
    with open(f"{PLACE}/{name}", "w", encoding="utf-8") as file:
        return file.write("x")


def thread():
    done = []
    one = threading.Thread(target=done.append, args=(1,))
    one.start()
    one.join()
    return done


def late():
    import wave
    import json.tool
    return wave.__name__


TRIES = {
    "read inside": lambda: read("inside/one"),
    "read outside": lambda: read("outside"),
    "write inside": lambda: write("inside/two"),
    "write outside": lambda: write("two"),
    "environ of the parent": lambda: open(f"/proc/{os.getppid()}/environ", "rb").read(),
    "signal the parent": lambda: os.kill(os.getppid(), 0),
    "a socket": lambda: socket.socket(socket.AF_INET),
    "a program": lambda: subprocess.run(["/bin/true"]).returncode,
    "a thread": thread,
    "a late import of the library": late,
}


class Board(EnclaveActor):
    def on_start(self) -> None:
        self.told = {}

    @handler
    def tell(self, who: str, what: str) -> None:
        self.told[who] = what

    @handler
    def read(self) -> dict[str, str]:
        return self.told


class Guest(ExtensionActor):
    sandbox = Sandbox(read=["/"[:1] + "etc"], write=[PLACE], network=["tcp"], threads=True)  # nobody asks its class

    def main(self, bridge):
        found = {name: attempt(each) for name, each in TRIES.items()}
        bridge.board.tell("guest", json.dumps(found)).get(timeout=20)


class Host(UiActor):
    SANDBOX

    def main(self, bridge):
        found = {name: attempt(each) for name, each in TRIES.items()}
        until = time.monotonic() + 40
        told = levels = {}
        while not ("guest" in told and "guest" in levels) and time.monotonic() < until:
            told = bridge.board.read().get(timeout=20)
            levels = {each.member: each.level for each in bridge.posture()}
        print(json.dumps([found, json.loads(told["guest"]), levels]))


app = App(
    ui=Host,
    enclaves=[Board],
    extensions=[EXTENSION],
    grants={"host": ["board.tell", "board.read"], "guest": ["board.tell"]},
)
'''
REFUSED = "PermissionError"
NOTHING = {
    "read inside": REFUSED,
    "read outside": REFUSED,
    "write inside": REFUSED,
    "write outside": REFUSED,
    "environ of the parent": REFUSED,
    "signal the parent": REFUSED,
    "a socket": REFUSED,
    "a program": REFUSED,
    "a thread": "[1]",
    "a late import of the library": "'wave'",
}


USERS = ["as whoever runs the tests", "as an ordinary user"]


@contextmanager
def inn() -> Generator[Path]:
    """Give a folder that everybody may read, with a file inside the scope and one outside."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name).resolve()
        place.chmod(0o755)
        for each in ("inside", "home"):
            (place / each).mkdir()
            (place / each).chmod(0o777)
        (place / "inside" / "one").write_text("1", encoding="utf-8")
        (place / "outside").write_text("2", encoding="utf-8")
        yield place


def prefix(name: str, folder: Path) -> list[str]:
    """Return what makes a command one of `USERS`'."""
    return ordinary([], folder / "home") if name == "as an ordinary user" else []


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return such a folder."""
    with inn() as place:
        yield place


@pytest.fixture(params=USERS)
def user(request: pytest.FixtureRequest, folder: Path) -> list[str]:
    """Return a prefix for commands."""
    return prefix(request.param, folder)


@pytest.fixture(params=USERS, scope="module")
def undeclared(request: pytest.FixtureRequest) -> Told:
    """Run the application once in which neither declares anything; return what it told."""
    with inn() as place:
        return told(play(place, prefix(request.param, place)))


def play(folder: Path, user: list[str], *, sandbox: str = "pass", extension: str = "Guest") -> Ended:
    """Run the application with a sandbox of the UI's class and a declaration of the extension."""
    text = MODULE.replace("SANDBOX", sandbox).replace("EXTENSION", extension)
    (folder / "inn.py").write_text(text, encoding="utf-8")
    return run("run", "-q", "inn:app", folder=folder, prefix=user)


Told: TypeAlias = tuple[dict[str, str], dict[str, str], dict[str, str]]
"""What the UI and the extension could do, and the levels."""


def told(ended: Ended) -> Told:
    """Return what an application told of itself."""
    assert (ended.code, ended.said) == (0, [])
    found: Any = json.loads(ended.output)
    return found[0], found[1], found[2]


def test_an_extension_reaches_nothing_whatever_its_class_says(undeclared: Told) -> None:
    """A49, S5: deny by default; its own class is not asked; its code and the libraries can be loaded."""
    host, guest, levels = undeclared
    own = {"read inside": "'1'", "read outside": "'2'"}
    assert guest == NOTHING
    assert levels["guest"] == "full"
    assert {name: host[name] for name in own} == own


def test_an_extension_reaches_what_its_declaration_gives_it(folder: Path, user: list[str]) -> None:
    """A15, A49: read and write inside the declared scope; `..`, another folder, the network and programs are closed."""
    scope = f"Child(Guest, sandbox=Sandbox(write=['{folder}/inside']))"
    _, guest, _ = told(play(folder, user, extension=scope))
    assert guest == NOTHING | {"read inside": "'1'", "write inside": "1"}


def test_a_ui_is_confined_as_it_declares(folder: Path, user: list[str]) -> None:
    """The UI's class is trusted to say what it needs: reading here, no writing, no network, no programs."""
    host, _, levels = told(play(folder, user, sandbox=f"sandbox = Sandbox(read=['{folder}/inside'])"))
    assert host == NOTHING | {"read inside": "'1'"}
    assert levels["host"] == "full"


def test_a_ui_that_declares_nothing_is_not_confined_and_the_posture_says_so(undeclared: Told) -> None:
    """A12: no level is claimed that is not there."""
    host, _, levels = undeclared
    assert (host["read outside"], host["write inside"], host["a program"]) == ("'2'", "1", "0")
    assert levels["host"] == "process-only"


def test_a_declaration_can_demand_a_confined_ui(folder: Path, user: list[str]) -> None:
    """A12: `least` on the UI's own Child; without a sandbox it does not start, and the sentence says what to add."""
    text = (
        MODULE.replace("SANDBOX", "pass")
        .replace("EXTENSION", "Guest")
        .replace("ui=Host", "ui=Child(Host, least='full')")
    )
    (folder / "inn.py").write_text(text, encoding="utf-8")
    ended = run("run", "-q", "inn:app", folder=folder, prefix=user)
    [sentence] = ended.said
    assert (ended.code, "host: the kernel keeps it" in sentence, "Sandbox(…)" in sentence) == (77, True, True)


FAILING = '''
"""An extension that reaches too far, and a UI that waits for its end."""
import os
import time

from trollbridge.actors import App, Child, Sandbox
from trollbridge.actors.handlers import handler
from trollbridge.enclave import EnclaveActor
from trollbridge.ui_adapter.bridge import ExtensionActor, UiActor


class Board(EnclaveActor):
    @handler
    def look(self) -> str:
        return open("PLACE/outside").read()


class Guest(ExtensionActor):
    def main(self, bridge):
        open("PLACE/outside")


class Host(UiActor):
    def main(self, bridge):
        try:
            bridge.board.look().get(timeout=20)
        except Exception as error:
            print(error)
        input()


app = App(ui=Host, enclaves=[Board], extensions=[Guest], grants={"host": ["board.look"]})
'''


def test_an_extension_that_fails_tells_a_person_why(folder: Path) -> None:
    """It has no terminal of its own: the supervisor says it, and the log does not call its end expected."""
    (folder / "inn.py").write_text(FAILING.replace("PLACE", str(folder)), encoding="utf-8")
    command = (str(Path(sys.executable).with_name("trollbridge")), "run", "inn:app")
    with Running("", folder=folder, command=command) as running:
        ended = running.wait_for("process.ended", member="guest")
        assert (ended.exit_code, ended.expected) == (70, False)
        failed = running.wait_for("process.failed", member="guest")
        assert (failed.why, failed.detail) == ("work failed", "PermissionError at inn.py:20")
        running.stdin.write(b"\n")
        running.stdin.flush()
        assert running.finish() == 0
        [line] = [each for each in running.said() if "guest" in each]
    assert line.startswith(f"trollbridge: guest: failed: open('{folder}/outside'): add read=['{folder}/outside']")


def test_a_quiet_run_still_tells_what_a_sandbox_refused(folder: Path) -> None:
    """Without a log, nobody would find the line to add."""
    (folder / "inn.py").write_text(FAILING.replace("PLACE", str(folder)), encoding="utf-8")
    ended = run("run", "-q", "inn:app", folder=folder, typed="\n")
    [line] = [each for each in ended.said if each.startswith("trollbridge: board.look: ")]
    incident = re.search(r"\(incident ([0-9a-f]{8})\)", line)
    assert f"add read=['{folder}/outside'] to its Sandbox" in line
    assert incident is not None
    assert incident[1] in ended.output
