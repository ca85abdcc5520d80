"""The fixed top level, what every folder and file has, and the rules that tests/conftest.py lays on a run."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests import conftest
from tests.architecture.trees import tree_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Plant = Callable[[Mapping[str, str]], Path]

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SHIPPED: Final = ("messages", "actors", "enclave", "ui_adapter")

FIXED: Final = {
    *("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile", ".ci", ".github"),
    *(".editorconfig", ".gitattributes", ".gitignore", "examples", "tests"),
    *SHIPPED,
}
# What `make`, git and the tools leave there; .gitignore names all of it but git's own.
LEFT: Final = {
    *(".git", ".venv", ".bench", "build", "dist", "trollbridge.egg-info"),
    *(".coverage", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
}
# A name that says nothing attracts everything.
EMPTY_NAMES: Final = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc"}


def _modules(root: Path, *folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted(root.joinpath(folder).rglob("*.py"))]


def wrong_top_level(root: Path) -> list[str]:
    """Return what is missing at the top level, and what does not belong there."""
    present = {path.name for path in root.iterdir() if not path.name.startswith(".coverage.")}
    missing = [f"missing: {name}" for name in sorted(FIXED - present)]
    return missing + [f"unexpected: {name}" for name in sorted(present - FIXED - LEFT)]


def wrong_folders(root: Path) -> list[str]:
    """Return each shipped folder that is not a typed package that pyproject.toml lists under its own name."""
    tool = tomllib.loads(root.joinpath("pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    listed = set(tool["packages"])
    wrong = [
        f"package-dir: {name} is at {place}"
        for name, place in tool["package-dir"].items()
        if name != f"trollbridge.{place}"
    ]
    packages: set[str] = set()
    for folder in dict.fromkeys(path.parent for path in _modules(root, *SHIPPED)):
        package = ".".join(("trollbridge", *folder.relative_to(root).parts))
        packages.add(package)
        if not folder.joinpath("__init__.py").is_file():
            wrong.append(f"{package} has no __init__.py")
    wrong += [f"{folder} has no py.typed" for folder in SHIPPED if not root.joinpath(folder, "py.typed").is_file()]
    wrong += [f"{package} is not listed" for package in sorted(packages - listed)]
    return wrong + [f"{package} is listed and does not exist" for package in sorted(listed - packages)]


def wrong_files(root: Path) -> list[str]:
    """Return each file that has no docstring, a name that says nothing, or no postponed annotations."""
    wrong: list[str] = []
    for path in _modules(root, *SHIPPED, "tests", "examples"):
        name = path.relative_to(root)
        tree = tree_of(path.read_text(encoding="utf-8"))
        if not ast.get_docstring(tree):
            wrong.append(f"{name}: no docstring")
        if path.stem.removeprefix("test_") in EMPTY_NAMES:
            wrong.append(f"{name}: the name says nothing")
        code = [node for node in tree.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
        future = code and isinstance(code[0], ast.ImportFrom) and code[0].module == "__future__"
        if code and not future:
            wrong.append(f"{name}: no `from __future__ import annotations`")
    return wrong


@pytest.mark.parametrize(
    "checker", [wrong_top_level, wrong_folders, wrong_files], ids=lambda checker: str(checker.__name__)
)
def test_the_tree_has_its_layout(checker: Callable[[Path], list[str]]) -> None:
    """The top level is fixed, every folder ships, every file says what it is for."""
    assert checker(REPOSITORY) == []


def test_what_the_tools_leave_is_ignored_by_git() -> None:
    """Nothing that `make` makes can be committed by accident."""
    ignored = {line.strip("/") for line in (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()}
    assert {name for name in LEFT - {".git"} if name not in ignored and f"*{Path(name).suffix}" not in ignored} == set()


def test_another_top_level_is_reported(planted: Plant) -> None:
    """What is missing and what is too much are both reported; what the tools leave is not."""
    root = planted(
        dict.fromkeys([*FIXED - set(SHIPPED) - {"LICENSE"}, "trollbridge/__init__.py", ".venv/x", ".coverage.x"], "")
    )
    missing = [f"missing: {name}" for name in sorted({"LICENSE", *SHIPPED})]
    assert wrong_top_level(root) == [*missing, "unexpected: trollbridge"]


def test_a_folder_that_would_not_ship_is_reported(planted: Plant) -> None:
    """A package that pyproject.toml forgets, misplaces or invents, one without `__init__.py`, one without types."""
    files = dict.fromkeys([f"{folder}/{name}" for folder in SHIPPED for name in ("__init__.py", "py.typed")], "")
    packages = [f"trollbridge.{folder}" for folder in SHIPPED]
    places = "\n".join(f'"trollbridge.{folder}" = "{folder}"' for folder in SHIPPED)
    right = f"[tool.setuptools]\npackages = {packages}\n[tool.setuptools.package-dir]\n{places}\n"
    root = planted({**files, "pyproject.toml": right})
    assert wrong_folders(root) == []

    planted({"ui_adapter/web/page.py": "", "pyproject.toml": right.replace('= "actors"', '= "enclave"')})
    root.joinpath("enclave/py.typed").unlink()
    root.joinpath("actors/__init__.py").unlink()
    assert wrong_folders(root) == [
        "package-dir: trollbridge.actors is at enclave",
        "trollbridge.ui_adapter.web has no __init__.py",
        "enclave has no py.typed",
        "trollbridge.ui_adapter.web is not listed",
        "trollbridge.actors is listed and does not exist",
    ]


def test_a_file_without_its_head_is_reported(planted: Plant) -> None:
    """A docstring, postponed annotations and a telling name are asked of every file, tests and examples too."""
    good = '"""Say it."""\n\nfrom __future__ import annotations\n'
    root = planted({"messages/ids.py": good, "actors/__init__.py": '"""Say it."""', "tests/test_ids.py": good})
    assert wrong_files(root) == []
    planted({"messages/utils.py": good, "examples/notary.py": "import os", "tests/x/test_helpers.py": good})
    assert wrong_files(root) == [
        "messages/utils.py: the name says nothing",
        "tests/x/test_helpers.py: the name says nothing",
        "examples/notary.py: no docstring",
        "examples/notary.py: no `from __future__ import annotations`",
    ]


def test_a_run_with_the_top_level_on_the_import_path_is_refused() -> None:
    """`python -m pytest` would make the bare names importable, so it ends at once and says what to run instead."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--no-cov", "tests/architecture"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert "Run `pytest`, not `python -m pytest`" in ended.stderr


def test_the_bare_names_cannot_be_imported_in_a_run() -> None:
    """`messages` and the others are reached as trollbridge.messages and so on, and in no other way."""
    for entry in sys.path:
        assert not [folder for folder in SHIPPED if Path(entry, folder).is_dir()]


def _sleeper(*, orphaned: bool) -> int:
    """Start a process that outlives its test, in a session of its own, as a child or as an orphan; return its pid."""
    sleep = "print(os.getpid(), flush=True)\ntime.sleep(600)"
    if orphaned:
        sleep = "if os.fork() == 0:\n    print(os.getpid(), flush=True)\n    time.sleep(600)"
    command = [sys.executable, "-I", "-c", f"import os, time\nos.setsid()\n{sleep}"]
    read, write = os.pipe()
    child = os.posix_spawn(command[0], command, {}, file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)])
    os.close(write)
    with os.fdopen(read) as output:
        pid = int(output.readline())
    if orphaned:
        os.waitpid(child, 0)
    return pid


@pytest.mark.parametrize("orphaned", [False, True], ids=["child", "orphan"])
def test_a_process_that_a_test_leaves_is_reported_and_ended(orphaned: bool) -> None:  # noqa: FBT001  # set by pytest
    """No test leaves a process behind, daemons included: it fails, and the next test starts clean (A59)."""
    started: list[int] = []
    with pytest.raises(pytest.fail.Exception, match="left behind: python") as complaint, conftest.no_process_left(0.0):
        started.append(_sleeper(orphaned=orphaned))
    assert f"({started[0]})" in str(complaint.value)
    assert started[0] not in {process.pid for process in conftest.descendants()}


def test_a_process_that_ends_in_time_is_no_fault() -> None:
    """What is gone before the deadline is accepted, and its zombie is reaped."""
    with conftest.no_process_left(20.0):
        pid = os.posix_spawn(sys.executable, [sys.executable, "-I", "-c", "pass"], {})
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)


def test_a_process_of_a_wider_scope_may_go_on() -> None:
    """What ran before the block may run after it: fixtures of modules and sessions keep their processes."""
    pid = _sleeper(orphaned=False)
    before = conftest.descendants()
    with conftest.no_process_left(0.0):
        pass
    assert conftest.descendants() == before
    conftest.end_all(frozenset(process for process in before if process.pid == pid))
    assert pid not in {process.pid for process in conftest.descendants()}
