"""The command `trollbridge attack` as tests run it, in a folder that has the modules of the applications."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

import msgspec

from tests.conftest import REPOSITORY, descendants, end_all, outliving
from tests.ui_adapter.commands import COMMAND, Ended, environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HERE: Final = REPOSITORY / "tests" / "attack"
MODULES: Final = (
    *(REPOSITORY / "examples" / name for name in ("desk.py", "notary.py")),
    *(HERE / name for name in ("declared.py", "weakened.py")),
)


PATIENCE: Final = 240.0
"""Seconds after which something hangs: the whole suite on a machine that does much else."""


class Row(msgspec.Struct):
    """One result, as a program reads it."""

    name: str
    row: str
    position: str
    title: str
    expected: str
    outcome: str
    happened: str


class Document(msgspec.Struct):
    """The report, as a program reads it."""

    application: str
    passed: bool
    seconds: float
    counts: dict[str, int]
    honest: list[dict[str, str | bool]]
    results: list[Row]
    broken: list[str]
    not_tried: list[dict[str, str]]

    def through(self) -> list[str]:
        """Return the names of the attacks that got through."""
        return [each.name for each in self.results if each.outcome == "got through"]


def stage(folder: Path) -> Path:
    """Put the modules of the applications into a folder; return it."""
    for path in MODULES:
        folder.joinpath(path.name).write_bytes(path.read_bytes())
    return folder


def attack(folder: Path, *arguments: str, more: Mapping[str, str] | None = None) -> Ended:
    """Run `trollbridge attack` to its end, and prove that nothing of it is left, not even a zombie."""
    before = descendants()
    done = subprocess.run(
        [COMMAND, "attack", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=stage(folder),
        env=environment(more),
        timeout=PATIENCE,
        check=False,
    )
    left = outliving(before, 0.0)
    end_all(left)
    assert not left, f"left behind: {', '.join(f'{each.name} ({each.pid})' for each in left)}"
    assert "Traceback" not in done.stderr, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr.splitlines(), [])


def document(ended: Ended) -> Document:
    """Return the report that the command has written as JSON."""
    return msgspec.json.decode(ended.output, type=Document)
