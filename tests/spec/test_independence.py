"""The second implementation is one: no module of it loads anything of ours, and the processes run what ships."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

FOLDER: Final = Path(__file__).parent
SECOND: Final = ("client", "enclave", "example", "keys", "ledger", "packing", "processes", "ring", "wire")


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("name", SECOND)
def test_the_second_implementation_shares_no_code_with_the_first(name: str) -> None:
    """Neither ours nor the encoder that ours stands on; of the tests, only its own modules."""
    modules = imported(FOLDER / f"{name}.py")
    assert modules
    assert not {each for each in modules if each.partition(".")[0] in {"trollbridge", "msgspec", "pykka"}}
    own = {each.removeprefix("tests.spec.") for each in modules if each.startswith("tests")}
    assert own <= set(SECOND)


def test_only_the_samples_and_the_tests_know_what_ships() -> None:
    """Every other module here is named above, or reads the page only."""
    modules = {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("test_")}
    assert modules == {*SECOND, "document"}
