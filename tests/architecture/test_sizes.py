"""The size budget: how long a file and a function may grow, and where the median of the files stays.

Lines are lines of the file, blank ones, comments and docstrings too; a function's run from its `def` to its last line.
"""

from __future__ import annotations

import ast
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.architecture.trees import nodes_of, tree_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Plant = Callable[[Mapping[str, str]], Path]

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SHIPPED: Final = ("messages", "actors", "enclave", "ui_adapter")

FILE_LIMIT: Final = {**dict.fromkeys((*SHIPPED, "examples"), 400), "tests": 600}
FUNCTION_LIMIT: Final = 60
MEDIAN_LIMIT: Final = 200  # of the shipped files


def _files(root: Path, folders: tuple[str, ...]) -> list[Path]:
    return [path for folder in folders for path in sorted(root.joinpath(folder).rglob("*.py"))]


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def long_files(root: Path) -> list[str]:
    """Return each file that is longer than the limit of its folder."""
    return [
        f"{path.relative_to(root)}: {_lines(path)} lines, at most {limit}"
        for folder, limit in FILE_LIMIT.items()
        for path in _files(root, (folder,))
        if _lines(path) > limit
    ]


def long_functions(root: Path) -> list[str]:
    """Return each function that is longer than the limit, methods and inner functions too."""
    wrong: list[str] = []
    for path in _files(root, tuple(FILE_LIMIT)):
        for node in nodes_of(tree_of(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LIMIT:
                    wrong.append(f"{path.relative_to(root)}:{node.lineno}: {node.name} has {lines} lines")
    return wrong


def high_median(root: Path) -> list[str]:
    """Return the median length of the shipped files if it is over the limit."""
    median = statistics.median([_lines(path) for path in _files(root, SHIPPED)] or [0])
    return [f"the median file has {median:g} lines, at most {MEDIAN_LIMIT}"] if median > MEDIAN_LIMIT else []


@pytest.mark.parametrize(
    "checker", [long_files, long_functions, high_median], ids=lambda checker: str(checker.__name__)
)
def test_the_tree_keeps_its_budget(checker: Callable[[Path], list[str]]) -> None:
    """No file, no function and no median is over its limit."""
    assert _files(REPOSITORY, SHIPPED), "nothing was measured"
    assert checker(REPOSITORY) == []


@pytest.mark.parametrize(
    ("path", "limit"), [("messages/a.py", 400), ("ui_adapter/web/a.py", 400), ("tests/x/a.py", 600)]
)
def test_a_file_over_the_limit_is_reported(planted: Plant, path: str, limit: int) -> None:
    """The limit itself is allowed, one line more is not."""
    assert long_files(planted({path: "\n" * limit})) == []
    assert long_files(planted({path: "\n" * (limit + 1)})) == [f"{path}: {limit + 1} lines, at most {limit}"]


@pytest.mark.parametrize("head", ["def f():", "class A:\n  async def f(self):", "def g():\n  def f():"])
def test_a_function_over_the_limit_is_reported(planted: Plant, head: str) -> None:
    """The same for functions: methods, coroutines and inner functions count."""
    line = len(head.splitlines())
    body = "\n    x = 1" * (FUNCTION_LIMIT - 1)
    assert [text for text in long_functions(planted({"actors/a.py": head + body})) if " f has " in text] == []
    reported = long_functions(planted({"actors/a.py": f"{head}{body}\n    x = 1"}))
    assert f"actors/a.py:{line}: f has {FUNCTION_LIMIT + 1} lines" in reported


def test_a_high_median_is_reported(planted: Plant) -> None:
    """Long files may exist, but most are short; tests do not count."""
    short = {"actors/a.py": "\n" * 10, "actors/b.py": "\n" * 200, "actors/c.py": "\n" * 400, "tests/t.py": "\n" * 500}
    assert high_median(planted(short)) == []
    assert high_median(planted({"actors/b.py": "\n" * 201})) == ["the median file has 201 lines, at most 200"]
