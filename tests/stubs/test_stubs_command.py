"""`trollbridge stubs`: its files are what mypy and tsc need to tell right calls from wrong ones."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import REPOSITORY
from tests.stubs import office
from tests.ui_adapter.commands import run
from trollbridge.actors import exits
from trollbridge.actors.app import App, Child
from trollbridge.messages.errors import ActorNotLoadable
from trollbridge.ui_adapter import stubs_files
from trollbridge.ui_adapter.manifests import manifest_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LIMIT: Final = 120.0
"""Seconds that a type checker may take on a busy machine."""
CONSOLE: Final = """
from typing import assert_type

from console_bridge import AsyncUiActor, Bridge, UiActor
from guest_bridge import ExtensionActor
from guest_bridge import Bridge as GuestBridge

from trollbridge.messages.ring_key import Sealed
from trollbridge.ui_adapter.bridge import MemberProxy


def asks_for_any(member: MemberProxy) -> None: ...


class Console(UiActor):
    def main(self, bridge: Bridge) -> None:
        assert_type(bridge.clerk.secret().get(timeout=1), bytes)
        assert_type(bridge.clerk.delete(of=(b"",)).get()[1], int)
        taken = bridge.clerk.promise.within(5)(((("a", None),),)).get()
        if taken is not None:
            assert_type(taken.labels[0].text, str)
            bridge.clerk.promise(taken)
        for number in bridge.clerk.count(3):
            assert_type(number, int)
        asks_for_any(bridge.clerk)
        assert_type(bridge.epoch, int | None)
        secret: bytes = bridge.clerk.secret.open(Sealed(1, "clerk.secret", b"", b""))
        bridge.clerk.secret.open(secret)  # wrong
        bridge.clerk.secret(1)  # wrong
        bridge.clerk.count("3")  # wrong
        bridge.clerk.count()  # wrong
        bridge.clerk.hide()  # wrong
        bridge.vault.sign()  # wrong
        bridge.clerk.refuse().get().strip()  # wrong


class Page(AsyncUiActor):
    async def main(self, bridge: Bridge) -> int:
        return len(await bridge.clerk.secret())


class Guest(ExtensionActor):
    def main(self, bridge: GuestBridge) -> None:
        assert_type(bridge.clerk.secret().get(), Sealed)
        bridge.clerk.count(3)  # wrong
"""
WRONG: Final = """
from trollbridge.actors.handlers import handler

class Wrong:
    @handler
    def f(self, a): ...
"""
PAGE: Final = """
import { connect, TrollbridgeError } from "./console_bridge.mjs";
import type { Bridge, Label, Promise_ } from "./console_bridge.mjs";

const { clerk }: Bridge = connect(async (message: string) => message);
const label: Label = { text: "a", constructor: null };
const promise: Promise_ | null = await clerk.promise({ labels: [label] });
const secret: Uint8Array = await clerk.secret();
const [text, whole] = await clerk.delete(undefined, 1n, 0.5, [secret]);
const stream = clerk.count(3);
for await (const each of stream) { const number: number | bigint = each; }
const result: string = await stream.result;
const said: string = text + (whole as number).toFixed() + (promise?.labels[0].text ?? "") + result;
clerk.secret(1); // wrong
clerk.count("3"); // wrong
clerk.count(); // wrong
clerk.hide(); // wrong
clerk.secret = clerk.secret; // wrong
(await clerk.refuse()).trim(); // wrong
new TrollbridgeError(said, 1); // wrong
"""


@pytest.fixture
def importing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have modules of the tests found by the process that asks the classes."""
    monkeypatch.setattr(sys, "path", [str(REPOSITORY), *sys.path])


def wrong_lines(text: str) -> list[int]:
    """Return the numbers of the lines that say that they are wrong."""
    return [number for number, line in enumerate(text.splitlines(), 1) if line.endswith(" wrong")]


def lines_of(output: str, mark: str) -> list[int]:
    """Return the numbers of the lines that a checker has found an error in, each once."""
    found = [line for line in output.splitlines() if mark in line]
    return sorted({int(line.replace("(", ":").split(":")[1].split(",")[0]) for line in found})


def check(command: Sequence[str], folder: Path) -> str:
    """Run a type checker; return what it says."""
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT, check=False)
    return ended.stdout + ended.stderr


def test_the_types_let_right_calls_pass_and_no_other(tmp_path: Path) -> None:
    """A18: under mypy's strictest rules, for the UI, its asyncio sister and an extension, which gets sealed values."""
    for member in ((), ("--member", "guest")):
        ended = run("stubs", "tests.stubs.office:application", "-o", str(tmp_path), *member, folder=REPOSITORY)
        assert (ended.code, ended.output, ended.said) == (0, "", [])
    names = ["console_bridge.py", "console_bridge.pyi", "guest_bridge.py", "guest_bridge.pyi"]
    assert sorted(each.name for each in tmp_path.iterdir()) == names
    tmp_path.joinpath("console.py").write_text(CONSOLE, encoding="utf-8")
    options = ("--strict", "--no-error-summary", "--cache-dir", str(tmp_path / "cache"))
    path = f"MYPYPATH={REPOSITORY / 'build' / 'typed'}"
    said = check(
        ["env", path, sys.executable, "-m", "mypy", *options, "--explicit-package-bases", "console.py", *names[1::2]],
        tmp_path,
    )
    assert lines_of(said, "console.py:") == wrong_lines(CONSOLE), said
    assert [line for line in said.splitlines() if "error" in line and not line.startswith("console.py:")] == []
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from console_bridge import AsyncUiActor, Bridge, UiActor"
    )
    assert check([sys.executable, "-I", "-c", program], tmp_path) == ""


@pytest.mark.usefixtures("importing")
def test_the_types_of_a_page_let_right_calls_pass_and_no_other(tmp_path: Path) -> None:
    """A18: under tsc's strictest rules."""
    files = stubs_files.texts(office.application, None, "typescript")
    stubs_files.write(tmp_path, files)
    tmp_path.joinpath("page.mts").write_text(PAGE, encoding="utf-8")
    options = ("--noEmit", "--strict", "--target", "es2022", "--lib", "es2022", "--module", "nodenext")
    said = check(["tsc", *options, "page.mts"], tmp_path)
    assert lines_of(said, "page.mts(") == wrong_lines(PAGE), said


@pytest.mark.usefixtures("importing")
def test_what_no_file_of_the_commands_is_stays_as_it_is(tmp_path: Path) -> None:
    """Written again over its own files, byte for byte; never over anybody else's."""
    for language in ("pyi", "javascript", "typescript"):
        files = stubs_files.texts(office.application, None, language)
        for _ in range(2):
            stubs_files.write(tmp_path, files)
        assert {name: tmp_path.joinpath(name).read_text("utf-8") for name in files} == files
    ours = tmp_path / "console_bridge.pyi"
    ours.write_text("# mine\n", encoding="utf-8")
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    ended = run("stubs", "tests.stubs.office:application", "-o", str(tmp_path), folder=REPOSITORY)
    assert (ended.code, len(ended.said)) == (1, 1)
    assert str(ours) in ended.said[0]
    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tests.stubs.office:misspelt"], "grants name clerk.fyle, but clerk exports count, delete,"),
        (["tests.stubs.office:trusting", "--member", "guest"], "clerk.shred, which is for the core UI alone"),
        (["tests.stubs.office:unloadable"], "No module named 'tests.stubs.nobody'"),
        (["tests.stubs.office:application", "--member", "clerk"], "clerk has no bridge; there are console, guest"),
    ],
)
def test_what_cannot_be_asked_is_one_line(arguments: list[str], said: str) -> None:
    """A grant of nothing, a class that is nowhere, a member that calls nobody."""
    ended = run("stubs", *arguments, folder=REPOSITORY)
    assert (ended.code, ended.output, len(ended.said)) == (exits.DECLARATION, "", 1)
    assert said in ended.said[0]


@pytest.mark.usefixtures("importing")
def test_no_module_of_a_server_is_imported_by_whoever_asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A2: the classes are asked in a process of its own; one that ends it, or prints, or is none, costs itself only."""
    for name, text in {
        "loud_server": "print('loud', flush=True)\nfrom tests.stubs.clerk import Clerk as Loud",
        "leaving_server": "import sys\nsys.exit(3)",
        "wrong_server": WRONG,
    }.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    servers = ("loud_server:Loud", "leaving_server:Leaving", "wrong_server:Wrong", "trollbridge.enclave.vault:Vault")
    app = App(ui="a:B", enclaves=[Child(each, name=f"m{n}") for n, each in enumerate(servers)])
    found = manifest_of(app)
    assert [sorted(found), bool(found["m0"].handlers), bool(found["m3"].handlers)] == [
        ["m0", "m1", "m2", "m3"],
        True,
        True,
    ]
    assert ("SystemExit" in found["m1"].error, "annotate a" in found["m2"].error) == (True, True)
    assert not {name for name in sys.modules if name in {"loud_server", "leaving_server", "wrong_server"}}
    docs = {each.entry.name: each.doc for each in found["m0"].handlers}
    assert docs["file"] == "Return everything as it came."
    (tmp_path / "killed_server.py").write_text("import os\nos._exit(0)", encoding="utf-8")
    with pytest.raises(ActorNotLoadable, match="killed_server:Killed cannot be asked"):
        manifest_of(App(ui="a:B", enclaves=[Child("killed_server:Killed")]))
