"""SPEC.md as data: its sections, its tables, its worked example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).resolve().parents[2] / "messages" / "SPEC.md"
TEXT: Final = PAGE.read_text(encoding="utf-8")


def section(number: int) -> str:
    """Return the text of a numbered section, its heading included."""
    [start] = [found.start() for found in re.finditer(rf"^## {number}\. ", TEXT, re.MULTILINE)]
    return TEXT[start:].split("\n## ", 1)[0]


def tables(text: str) -> dict[str, list[list[str]]]:
    """Return every table of a text by its header row's first cell: rows of cells, without backquotes."""
    found: dict[str, list[list[str]]] = {}
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in block.splitlines()]
        assert set("".join(rows[1])) <= set("-:"), rows[1]
        assert len({len(row) for row in rows}) == 1, rows[0]
        name = " ".join(rows[0][:2]).strip()
        assert name not in found, name
        found[name] = rows[2:]
    return found


def table(number: int, header: str) -> dict[str, list[str]]:
    """Return one table of a section by its first two header cells: each row's first cell, and the cells after it."""
    rows = tables(section(number))[header]
    assert len({row[0] for row in rows}) == len(rows), header
    return {row[0]: row[1:] for row in rows}


def block(number: int) -> list[str]:
    """Return the lines of the one fenced block of a section."""
    _, inside, _ = section(number).split("```")
    return inside.splitlines()[1:]
