"""What starting a program takes, found out from its file alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from trollbridge.actors.isolation import landlock
from trollbridge.actors.isolation.programs import LIBRARIES, program_paths, searched_for
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

SH: Final = "/bin/sh"


def script(path: Path, first: str) -> str:
    """Write an executable script with this first line; return its path."""
    path.write_text(f"{first}\n:\n", encoding="utf-8")
    path.chmod(0o700)
    return str(path)


def test_a_program_needs_itself_and_its_loader() -> None:
    """The loader is the one that the kernel maps: an independent look at a running program finds it too."""
    program, loader = program_paths(SH).executable
    mapped = subprocess.run([SH, "-c", "cat /proc/$$/maps"], capture_output=True, text=True, check=True).stdout
    assert program == SH
    assert os.path.realpath(loader) in {line.split()[-1] for line in mapped.splitlines()}
    assert set(program_paths(SH).readable) == {each for each in LIBRARIES if os.path.exists(each)}  # noqa: PTH110


def test_a_script_needs_its_interpreters_and_their_loader(tmp_path: Path) -> None:
    """A script may be the interpreter of a script."""
    inner = script(tmp_path / "inner", f"#! {SH} -e")
    outer = script(tmp_path / "outer", f"#!{inner}")
    assert program_paths(outer).executable == (outer, inner, *program_paths(SH).executable)


def test_a_program_that_is_linked_statically_needs_itself_only(tmp_path: Path) -> None:
    """The loader is such a program."""
    loader = tmp_path / "loader"
    shutil.copy(program_paths(SH).executable[-1], loader)
    assert program_paths(str(loader)).executable == (str(loader),)


def _folder(path: Path) -> None:
    path.mkdir()


def _plain(path: Path) -> None:
    path.write_text("text")


def _text(path: Path) -> None:
    _plain(path)
    path.chmod(0o700)


def _damaged(path: Path) -> None:
    path.write_bytes(b"\x7fELF\x02\x01")
    path.chmod(0o700)


def _relative(path: Path) -> None:
    script(path, "#!sh")


def _gone(path: Path) -> None:
    script(path, f"#!{path}.gone")


def _loop(path: Path) -> None:
    inner = str(path)
    for depth in range(7):
        inner = script(path.with_name(f"{path.name}{depth}"), f"#!{inner}" if depth else f"#!{SH}")
    script(path, f"#!{inner}")


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (None, " cannot be executed: No such file or directory"),
        (_folder, " is not an executable file"),
        (_plain, " is not an executable file"),
        (_text, " is neither an ELF program nor a script that begins with #! and an absolute path"),
        (_damaged, " is damaged: its ELF headers cannot be read"),
        (_relative, " is neither an ELF program nor a script that begins with #! and an absolute path"),
        (_gone, " its interpreter {0}.gone cannot be executed: No such file or directory"),
        (_loop, " its interpreters form a chain longer than the kernel follows"),
    ],
)
def test_what_cannot_be_executed_is_named(tmp_path: Path, make: object, complaint: str) -> None:
    """S6: one sentence with the entry, and with the interpreter if that is what is wrong."""
    path = tmp_path / "program"
    if callable(make):
        make(path)
    with pytest.raises(DeclarationError, match=re.escape(complaint.format(path))) as raised:
        landlock.prepare(Sandbox(exec=(str(path),)))
    assert str(raised.value) == f"Sandbox(exec=[{str(path)!r}]):{complaint.format(path)}"


def test_what_may_be_executed_and_not_read_is_named(tmp_path: Path) -> None:
    """Root reads it; nobody else can find out what it needs."""
    path = tmp_path / "program"
    shutil.copy(SH, path)
    path.chmod(0o111)
    if os.geteuid() == 0:
        assert program_paths(str(path)).executable[0] == str(path)
        return
    with pytest.raises(DeclarationError, match="may be executed and not read"):
        program_paths(str(path))


@pytest.mark.parametrize(
    ("first", "wanted"),
    [
        ("#!/usr/bin/env python3", "python3"),
        ("#! /usr/bin/env -S sh -e", "sh"),
        ("#!/usr/bin/env LANG=C sh", "sh"),
        ("#!/usr/bin/env", ""),
        ("#!/bin/sh", ""),
        ("#!", ""),
        ("text", ""),
    ],
)
def test_what_env_is_asked_for_is_found(tmp_path: Path, first: str, wanted: str) -> None:
    """The name that would be searched for."""
    assert searched_for(script(tmp_path / "program", first)) == wanted


def test_what_env_searches_for_must_be_declared_by_its_path(tmp_path: Path) -> None:
    """S6: no search path decides what runs."""
    program = script(tmp_path / "program", "#!/usr/bin/env sh")
    with pytest.raises(DeclarationError) as raised:
        landlock.prepare(Sandbox(exec=(program,)))
    complaint = "is a script that asks env for sh: declare the path of sh too"
    assert str(raised.value) == f"Sandbox(exec=[{program!r}]) {complaint}"
    landlock.prepare(Sandbox(exec=(program, SH)))
