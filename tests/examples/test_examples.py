"""The examples run as they stand, and the README shows the first of them word for word."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tests.conftest import REPOSITORY
from tests.ui_adapter.commands import run

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES: Final = REPOSITORY / "examples"
FIRST: Final = ("notary.py", "desk.py", "office.py")
SECOND: Final = ("stamps.py", "bench.py", "workshop.py")
LINES: Final = 30


def _shown(mark: str = "python") -> list[str]:
    readme = REPOSITORY.joinpath("README.md").read_text("utf-8")
    return re.findall(rf"^```{mark}\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)


def _lines_of_code(text: str) -> int:
    """Count lines that are neither empty nor a docstring of one line."""
    return sum(bool(line.strip()) and not line.strip().startswith('"""') for line in text.splitlines())


def test_the_readme_shows_the_files_of_the_first_example() -> None:
    """To the letter, in this order, and nothing else as Python; together they have no more than 30 lines of code."""
    files = [EXAMPLES.joinpath(name).read_text(encoding="utf-8") for name in FIRST]
    assert _shown() == files
    assert sum(map(_lines_of_code, files)) <= LINES


def test_the_first_example_runs() -> None:
    """An enclave of one's own, a UI, and a pykka actor of the UI's process that take part together (A17, A57)."""
    ended = run("run", "office:app", folder=EXAMPLES)
    assert (ended.code, ended.said) == (0, [])
    assert re.fullmatch(r"1\. deed: [0-9a-f]{16}\n2\. will: [0-9a-f]{16}\n", ended.output)
    assert {each.member for each in ended.log if each.event == "member.joined"} == {"broker", "desk", "notary"}


def test_the_readme_shows_the_files_of_the_second_example() -> None:
    """An extension, a UI that streams, and the declaration, to the letter; other excerpts may stand among them."""
    files = [EXAMPLES.joinpath(name).read_text(encoding="utf-8") for name in SECOND]
    assert [each for each in _shown("py") if each in files] == files


def test_the_second_example_runs(tmp_path: Path) -> None:
    """A program's output and a file are streamed; an extension does what it is granted, and no more (A15, A16, A18)."""
    ended = run("run", "workshop:app", folder=EXAMPLES, more={"HOME": str(tmp_path)})
    assert (ended.code, ended.said) == (0, []), ended.output
    version, seal, refused = ended.output.splitlines()
    assert version.startswith("git version ")
    assert re.fullmatch(r"[0-9a-f]{16}", seal)
    assert refused == "No grant allows this call."
    assert tmp_path.joinpath("stamped", "stamps.txt").read_text("utf-8") == f"{seal}\n{refused}"
    assert [each.member for each in ended.log if each.event == "call.refused"] == ["stamps"]


def test_only_the_enclave_s_own_process_imports_its_module() -> None:
    """Neither the declaration nor the UI of the example names the module in an import (A2)."""
    for name in ("desk.py", "office.py", "waiting_room.py"):
        assert "import notary" not in EXAMPLES.joinpath(name).read_text(encoding="utf-8").replace(
            "from notary", "import notary"
        )


def test_the_asyncio_example_runs() -> None:
    """A hundred promises are awaited at once (A14)."""
    ended = run("run", "waiting_room:app", folder=EXAMPLES)
    assert (ended.code, ended.output, ended.said) == (0, "100 documents, 100 seals, none like another\n", [])


def test_the_vault_s_example_runs_and_runs_again(tmp_path: Path) -> None:
    """A vault from Python: made, then opened; it signs, and an API key works and is never shown (A28, A48)."""
    for _ in range(2):
        place = {"XDG_DATA_HOME": str(tmp_path)}
        ended = run("run", "-q", "strongroom:app", folder=EXAMPLES, typed="correct horse\n", more=place)
        assert (ended.code, ended.said) == (0, [])
        signed, mac, refused = ended.output.splitlines()
        assert (signed, refused) == (
            "signed by Ada <ada@example.org>",
            "not shown: The API key can be used and never be shown.",
        )
        assert re.fullmatch(r"mac [0-9a-f]{16}", mac)
