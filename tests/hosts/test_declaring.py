"""What an application declares of files and programs, and what is told before anything starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.hosts.own_host import Boastful
from trollbridge.actors import App, Files, Program, Programs, Sandbox
from trollbridge.messages.errors import DeclarationError


def test_files_reach_what_is_declared_and_nothing_else() -> None:
    """A15, S5: the sandbox is made of the very folders; names are their own, or those that are given."""
    child = Files(read=["~/notes", Path("/srv/books")], write={"out": "/srv/out/"})
    assert child.member == "files"
    assert child.sandbox == Sandbox(read=("~/notes", "/srv/books"), write=("/srv/out/",))
    assert msgspec.json.decode(dict(child.settings)["declared"]) == {
        "read": {"notes": "~/notes", "books": "/srv/books"},
        "write": {"out": "/srv/out/"},
        "hidden": False,
        "largest": 16 << 30,
    }
    assert Files(read=["/a/.config"], name="config").member == "config"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "no folder is declared"),
        ({"read": "~/notes"}, "is a list of folders, such as ['~/notes']"),
        ({"read": ["notes"]}, "a folder is absolute or begins with ~/"),
        ({"read": ["/"]}, "needs a name"),
        ({"read": ["~/"]}, "needs a name"),
        ({"read": {"": "/a"}}, "needs a name"),
        ({"read": {"a/b": "/a"}}, "needs a name"),
        ({"read": {"..": "/a"}}, "needs a name"),
        ({"read": ["/a/../b"]}, "without .."),
        ({"read": ["/proc/self"]}, "cannot be declared"),
        ({"read": ["/a/notes", "/b/notes"]}, "two folders are called notes"),
        ({"read": ["/a/notes"], "write": ["/b/notes/"]}, "two folders are called notes"),
        ({"write": ["/a"], "largest": 0}, "largest=0 is no number of bytes"),
    ],
)
def test_folders_that_cannot_be_meant_are_refused(arguments: dict[str, Any], text: str) -> None:
    """The sentence says what to write."""
    with pytest.raises(DeclarationError, match=re.escape(text)):
        Files(**arguments)


def test_programs_get_a_host_that_may_execute_these_and_no_others() -> None:
    """A16: it is kept less well than an enclave, which the declaration says."""
    child = Programs(
        {
            "git": Program("/usr/bin/git", args=[("status",)], read=["~/work"], starts=["/usr/bin/less"]),
            "echo": Program("/bin/echo", args=[()]),
        }
    )
    assert (child.member, child.least) == ("programs", "partial")
    assert child.sandbox == Sandbox(read=("~/work",), exec=("/usr/bin/git", "/usr/bin/less", "/bin/echo"))
    App(ui="a:U", hosts=[child, Files(read=["/a"])], grants={"u": ["programs.run", "files.read"]})


def test_a_program_has_the_environment_that_is_declared_and_a_language() -> None:
    """I9: nothing is inherited."""
    assert Program("/bin/echo", environment={"A": "b"}).spec.environment == {"LANG": "C.UTF-8", "A": "b"}
    assert Program("/bin/echo", environment={"LANG": "de"}).spec.environment == {"LANG": "de"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"path": "git"}, "none is searched for"),
        ({"path": "./git"}, "none is searched for"),
        ({"path": "~/bin/git"}, "none is searched for"),
        ({"path": "/bin/../bin/git"}, "without .."),
        ({"path": "/bin/git", "cwd": "work"}, "no absolute path"),
        ({"path": "/bin/git", "environment": {"A=B": "x"}}, "no variable"),
        ({"path": "/bin/git", "environment": {"A": "x\0"}}, "a zero in its value"),
        ({"path": "/bin/git", "seconds": 0}, "above 0"),
        ({"path": "/bin/git", "output": 0}, "above 0"),
        ({"path": "/bin/git", "memory": 1000}, "memory is at least"),
        ({"path": "/bin/git", "args": ["status"]}, "a list of alternatives"),
        ({"path": "/bin/git", "starts": ["less"]}, "a path is absolute"),
        ({"path": "/bin/git", "read": ["work"]}, "a path is absolute"),
    ],
)
def test_programs_that_cannot_be_meant_are_refused(arguments: dict[str, Any], text: str) -> None:
    """S6: no relative program, no search path; each sentence says what is wrong."""
    with pytest.raises(DeclarationError, match=re.escape(text)):
        Program(arguments.pop("path"), **arguments)


@pytest.mark.parametrize(
    ("programs", "more", "text"),
    [
        ({}, {}, "no program is declared"),
        ({"a b": Program("/bin/echo")}, {}, "is no name"),
        ({"-x": Program("/bin/echo")}, {}, "is no name"),
        ({"a": "/bin/echo"}, {}, "stands for no Program"),
        ({"a": Program("/bin/echo")}, {"most": 0}, "is no number of runs"),
        ({"a": Program("/bin/echo")}, {"least": "none"}, "is no level"),
    ],
)
def test_hosts_of_programs_that_cannot_be_meant_are_refused(
    programs: dict[str, Any], more: dict[str, Any], text: str
) -> None:
    """As above."""
    with pytest.raises(DeclarationError, match=re.escape(text)):
        Programs(programs, **more)


def test_a_host_has_no_sensitive_handlers_since_it_has_no_key_to_seal_with() -> None:
    """A26: told when it starts, not at the first call."""
    with pytest.raises(DeclarationError, match=re.escape("Boastful.secret is sensitive")):
        Boastful()
