"""The built wheel, installed where no checkout is near: what it holds, that it imports, that its command runs (A20).

The source distribution is built from a copy of the tree, the wheel from that, both without a network.
The wheel goes into an environment that borrows the installed dependencies, but not the editable install of the tree.
"""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from tests.ui_adapter.commands import runtime_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY: Final = Path(__file__).resolve().parents[2]
FOLDERS: Final = ("messages", "actors", "enclave", "ui_adapter")
DOCUMENTS: Final = ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE")
DEADLINE: Final = 240  # seconds, for each program that runs here

DESK: Final = """
from trollbridge.actors.app import App
from trollbridge.actors.handlers import handler
from trollbridge.enclave import EnclaveActor
from trollbridge.ui_adapter.bridge import UiActor

class Notary(EnclaveActor):
    @handler
    def sign(self, document: bytes) -> bytes:
        return document
    @handler
    def seal(self, document: bytes) -> bytes:
        return document
    @handler
    def hide(self) -> None: ...

class Desk(UiActor):
    def main(self, bridge):
        stubs = bridge.stubs
        name = stubs.names["notary.sign"]
        assert stubs.python() == stubs.python() and stubs.handler(name)(b"x").get(timeout=20) == b"x"
        print(*stubs.names, *stubs.names.values())

app = App(ui=Desk, enclaves=[Notary], grants={Desk: [Notary.sign, Notary.seal]})
"""


class Installed(NamedTuple):
    """The two distributions, the environment that the wheel was installed into, and a folder with nothing in it."""

    sdist: Path
    wheel: Path
    environment: Path
    empty: Path

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in the empty folder, with an empty environment; keep what it prints."""
        command = [str(self.environment / "bin" / program), *arguments]
        return subprocess.run(
            command, cwd=self.empty, env={}, capture_output=True, text=True, timeout=DEADLINE, check=False
        )


def _must_run(*command: str, cwd: Path) -> None:
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def _copy_of_the_tree(target: Path) -> Path:
    target.mkdir()
    for document in DOCUMENTS:
        shutil.copy(REPOSITORY / document, target)
    for folder in FOLDERS:
        shutil.copytree(REPOSITORY / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return target


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Build both distributions and install the wheel."""
    place = tmp_path_factory.mktemp("wheel")
    tree = _copy_of_the_tree(place / "tree")
    dist = place / "dist"
    _must_run(sys.executable, "-I", "-m", "build", "--no-isolation", "--outdir", str(dist), str(tree), cwd=place)
    (sdist,) = dist.glob("*.tar.gz")
    (wheel,) = dist.glob("*.whl")
    environment = place / "environment"
    venv.create(environment, symlinks=True)
    python = str(environment / "bin" / "python")
    offline = ("--no-deps", "--no-index", "--quiet")
    _must_run(sys.executable, "-I", "-m", "pip", "--python", python, "install", *offline, str(wheel), cwd=place)
    # A path line lends the packages of this environment; their own .pth files, so the editable install, are not read.
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    packages.joinpath("borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    empty = place / "empty"
    empty.mkdir()
    yield Installed(sdist, wheel, environment, empty)
    shutil.rmtree(place)


def _of_the_tree() -> set[str]:
    """Return what the wheel must hold of the four folders, by its names there."""
    return {
        f"trollbridge/{path.relative_to(REPOSITORY).as_posix()}"
        for folder in FOLDERS
        for pattern in ("*.py", "*.md", "*.schema.json", "py.typed")
        for path in REPOSITORY.joinpath(folder).rglob(pattern)
    }


def test_the_wheel_holds_the_four_folders_and_nothing_else(installed: Installed) -> None:
    """Every module, document and type marker ships; no test, no bare name, no `trollbridge/__init__.py` does (A20)."""
    with zipfile.ZipFile(installed.wheel) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == _of_the_tree()
    assert {f"trollbridge/{folder}/py.typed" for folder in FOLDERS} | {"trollbridge/messages/SPEC.md"} <= held
    assert "trollbridge/__init__.py" not in held


def test_the_wheel_says_what_it_is(installed: Installed) -> None:
    """Name, version, licence with its text, Python versions, extras and the read-me are in the metadata."""
    with zipfile.ZipFile(installed.wheel) as wheel:
        (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        said = email.message_from_string(wheel.read(metadata).decode("utf-8"))
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.namelist())
    one_each = ("Name", "Version", "License-Expression", "Requires-Python", "Description-Content-Type")
    assert [said[field] for field in one_each] == ["trollbridge", "0.1.0", "Apache-2.0", ">=3.11", "text/markdown"]
    extras = {"bench", "dev", "metrics", "nats", "otel", "test", "tui"}
    assert set(said.get_all("Provides-Extra", [])) == extras
    assert str(said.get_payload()).strip() == REPOSITORY.joinpath("README.md").read_text(encoding="utf-8").strip()


def test_the_source_distribution_rebuilds_without_the_checkout(installed: Installed) -> None:
    """The wheel was made from it, so it holds the build's settings and every file of the four folders."""
    with tarfile.open(installed.sdist) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "LICENSE"} | {name.removeprefix("trollbridge/") for name in _of_the_tree()} <= held


def test_the_four_packages_import_from_an_empty_directory(installed: Installed) -> None:
    """They come from the environment alone, with no warning, and their documents can be read there (A20)."""
    program = f"""
import importlib, importlib.resources
for folder in {FOLDERS}:
    package = importlib.import_module("trollbridge." + folder)
    marker = importlib.resources.files(package).joinpath("py.typed")
    print(package.__file__, marker.is_file())
import trollbridge.messages
print(len(importlib.resources.files(trollbridge.messages).joinpath("SPEC.md").read_text()) > 0)
print(*trollbridge.__path__)
"""
    ended = installed.run("python", "-I", "-W", "error", "-c", program)
    assert ended.stderr == ""
    (here,) = installed.environment.glob("lib/python*/site-packages/trollbridge")
    expected = [f"{here / folder / '__init__.py'} True" for folder in FOLDERS]
    assert ended.stdout.splitlines() == [*expected, "True", str(here)]


def test_the_bare_names_are_not_taken(installed: Installed) -> None:
    """The wheel leaves `messages`, `actors`, `enclave` and `ui_adapter` to the user's own modules."""
    program = f"from importlib.util import find_spec\nprint([name for name in {FOLDERS} if find_spec(name)])"
    ended = installed.run("python", "-I", "-c", program)
    assert (ended.stdout, ended.stderr) == ("[]\n", "")


def test_the_command_runs_from_an_empty_directory(installed: Installed) -> None:
    """`trollbridge --help` answers where only the wheel is installed (A20)."""
    ended = installed.run("trollbridge", "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Usage: trollbridge" in ended.stdout
    assert "run" in ended.stdout


def test_two_runs_of_an_installed_application_share_no_generated_name(installed: Installed, tmp_path: Path) -> None:
    """A4, A18 and A20: what the wheel generates for two sessions has the granted handlers and no name in common."""
    (tmp_path / "desk.py").write_text(DESK, encoding="utf-8")
    command = [str(installed.environment / "bin" / "trollbridge"), "run", "desk:app", "--quiet"]
    alone = {"XDG_RUNTIME_DIR": runtime_folder()}  # else all that run on this machine without one share a folder
    found: list[set[str]] = []
    for _ in range(2):
        ended = subprocess.run(
            command, cwd=tmp_path, env=alone, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        (line,) = ended.stdout.splitlines()
        assert line.startswith("notary.seal notary.sign ")
        found.append(set(line.split()[2:]))
    assert [len(each) for each in found] == [2, 2]
    assert found[0].isdisjoint(found[1])
