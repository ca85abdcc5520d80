"""How an extension's code is named: a module, a file, an installed entry point; who loads it, and what it can read."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.harness.ordinary import ordinary
from tests.ui_adapter.commands import run
from trollbridge.actors.app import App, Child
from trollbridge.actors.extension import Extension
from trollbridge.actors.isolation.limits import DESCRIPTORS, LARGEST_FILE, MEMORY
from trollbridge.actors.reference import GROUP, ActorRef
from trollbridge.messages.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE: Final = Path(__file__).resolve()
BROKEN: Final = "raise SystemExit('this module was imported where it must not be')\n"


def install(folder: Path, name: str, entries: dict[str, str]) -> None:
    """Put the metadata of a distribution with entry points into a folder of the search path."""
    place = folder / f"{name}-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    lines = "".join(f"{key} = {value}\n" for key, value in entries.items())
    (place / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}", "utf-8")


def test_a_file_is_looked_for_beside_whoever_declares_it() -> None:
    """A57: whatever the working folder is; its path becomes absolute, and `..` is taken out of it."""
    for text in (f"./{HERE.name}:Some", f"../{HERE.parent.name}/{HERE.name}:Some", f"{HERE}:Some"):
        reference = ActorRef.parse(text)
        assert (str(reference), reference.file) == (f"{HERE}:Some", str(HERE))
    assert ActorRef.parse("a.py:B").file == ""


def test_a_file_that_is_not_there_is_refused_before_anything_starts() -> None:
    """A57: the sentence says where it was looked for."""
    with pytest.raises(DeclarationError) as refusal:
        App(ui="a:U", extensions=["./nowhere.py:Guest"])
    assert str(refusal.value) == f"./nowhere.py is no file; it is looked for at {HERE.parent}/nowhere.py"


def test_only_an_extension_is_named_by_its_file() -> None:
    """A57: whoever is trusted lies where applications lie."""
    reference = f"{HERE}:Some"
    assert str(App(ui="a:U", extensions=[reference]).extensions[0].actor) == reference
    for declared in ({"ui": reference}, {"ui": "a:U", "enclaves": [reference]}, {"ui": "a:U", "hosts": [reference]}):
        wrong: Any = declared
        with pytest.raises(DeclarationError) as refusal:
            App(**wrong)
        assert str(refusal.value).startswith("some: only an extension is named by its file")


def test_an_entry_point_is_found_without_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A56: metadata only: the module that it names is not imported by whoever declares it; grants may name it so."""
    install(tmp_path, "guest_pack", {"auto-fill": "guest_pack.inner:Filler", "file": "./x.py:Y"})
    (tmp_path / "guest_pack.py").write_text(BROKEN, "utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found = Extension("auto-fill")
    assert (str(found.actor), found.member) == ("guest_pack.inner:Filler", "auto_fill")
    assert Extension("auto-fill", name="other").member == "other"
    app = App(ui="a:U", enclaves=["a:V"], extensions=[found], grants={"entry:auto-fill": ["v.look"]})
    assert app.granted(found.member) == {"v.look"}
    assert Child("entry:auto-fill").member == "filler"
    assert "guest_pack" not in sys.modules
    for name in ("file", "nobody"):
        with pytest.raises(DeclarationError):
            Extension(name)


def test_two_distributions_of_one_name_are_told_apart_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A57: what runs must not depend on the order of a search."""
    for name in ("one_pack", "two_pack"):
        install(tmp_path, name, {"same": f"{name}:Guest"})
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(DeclarationError) as refusal:
        Extension("same")
    assert str(refusal.value) == f"2 entry points 'same' are installed in the group {GROUP}; there must be one"


@pytest.mark.parametrize("memory", [0, -1, 1 << 20, True, 1e9, "512M"])
def test_a_limit_of_memory_is_a_number_of_bytes_that_an_interpreter_can_live_with(memory: Any) -> None:  # noqa: ANN401  # wrong ones
    """A57: refused before anything starts; of nobody but an extension is one declared."""
    with pytest.raises(DeclarationError):
        Child("a:B", memory=memory)
    with pytest.raises(DeclarationError):
        App(ui=Child("a:U", memory=1 << 30))
    assert Child("a:B", memory=1 << 30).memory == 1 << 30


ENCLAVE: Final = '''
"""What extensions tell, and a UI that shows it."""
import json
import sys

from trollbridge.actors import App, Child
from trollbridge.actors.extension import Extension
from trollbridge.actors.handlers import handler
from trollbridge.enclave import EnclaveActor
from trollbridge.ui_adapter.bridge import UiActor


class Board(EnclaveActor):
    def on_start(self) -> None:
        self.told = {}

    @handler
    def tell(self, who: str, what: str) -> None:
        self.told[who] = what

    @handler
    def read(self) -> dict[str, str]:
        return self.told


class Host(UiActor):
    def main(self, bridge):
        while len(told := bridge.board.read().get(timeout=20)) < 3:
            pass
        print(json.dumps([sorted(set(sys.modules) & {"guest", "guest_pack", "trollbridge_extension"}), told]))


app = App(
    ui=Host,
    enclaves=[Board],
    extensions=["guest:Guest", Child("./alone/guest.py:Guest", name="alone", memory=300 << 20), Extension("packed")],
    grants={"host": ["board.read"], "guest": ["board.tell"], "alone": ["board.tell"], "packed": ["board.tell"]},
)
'''
GUEST: Final = '''
"""An extension that tells how it is kept."""
import json
import os
import resource

from trollbridge.ui_adapter.bridge import ExtensionActor


def attempt(what):
    try:
        return repr(what())
    except BaseException as error:
        return type(error).__name__


def late():
    from NEIGHBOUR import word
    return word


class Guest(ExtensionActor):
    def main(self, bridge):
        place = os.path.dirname(__file__)
        found = [
            __name__,
            [resource.getrlimit(each) for each in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)],
            attempt(late),
            attempt(lambda: open(f"{place}/beside.txt").read()),
            attempt(lambda: len(bytearray(MEMORY))),
            attempt(lambda: [os.pipe() for _ in range(DESCRIPTORS)]),
            attempt(lambda: os.setpriority(os.PRIO_PROCESS, 0, 0)),
            attempt(lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))),
        ]
        bridge.board.tell("WHO", json.dumps(found)).get(timeout=20)
'''


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that everybody may read, with one extension as a module, one as a file, one as a package."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name).resolve()
        for each in ("", "alone", "guest_pack", "home"):
            (place / each).mkdir(exist_ok=True)
            (place / each).chmod(0o755)
        (place / "inn.py").write_text(ENCLAVE, "utf-8")
        for path, who, neighbour in (
            ("guest.py", "guest", "neighbour"),
            ("alone/guest.py", "alone", "neighbour"),
            ("guest_pack/inner.py", "packed", "guest_pack.neighbour"),
        ):
            text = GUEST.replace("WHO", who).replace("NEIGHBOUR", neighbour)
            text = text.replace("MEMORY", str(MEMORY)).replace("DESCRIPTORS", str(DESCRIPTORS))
            (place / path).write_text(text, "utf-8")
            (place / path).with_name("neighbour.py").write_text("word = 'next door'\n", "utf-8")
            (place / path).with_name("beside.txt").write_text("beside", "utf-8")
        install(place, "guest_pack", {"packed": "guest_pack.inner:Guest"})
        yield place


@pytest.mark.parametrize("user", ["whoever runs the tests", "an ordinary user"])
def test_each_is_loaded_in_its_own_process_and_reads_its_own_code_only(folder: Path, user: str) -> None:
    """A49, A57, P3: a file reads itself, a package its folder; memory, descriptors and limits are bounded for good."""
    prefix = ordinary([], folder / "home") if user == "an ordinary user" else []
    ended = run("run", "-q", "inn:app", folder=folder, prefix=prefix)
    assert (ended.code, ended.said) == (0, [])
    loaded, told = json.loads(ended.output)
    assert loaded == []
    bounded = ["MemoryError", "OSError", "PermissionError", "ValueError"]
    limits = [[DESCRIPTORS] * 2, [LARGEST_FILE] * 2]
    assert {who: json.loads(text) for who, text in told.items()} == {
        "guest": ["guest", [[MEMORY] * 2, *limits], "PermissionError", "PermissionError", *bounded],
        "alone": [
            *("trollbridge_extension", [[300 << 20] * 2, *limits]),
            *("ModuleNotFoundError", "PermissionError", *bounded),
        ],
        "packed": ["guest_pack.inner", [[MEMORY] * 2, *limits], "'next door'", "'beside'", *bounded],
    }
