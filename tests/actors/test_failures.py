"""What the log shows of a failure that a child tells of: names that are shaped like names, and nothing else."""

from __future__ import annotations

from typing import Final

import pytest

from trollbridge.actors.processes.failures import cause, failed, fell
from trollbridge.messages.control import FROM_CHILD, Failed, FailureKind
from trollbridge.messages.ids import Role

WORK: Final = FailureKind.WORK_FAILED


def test_an_exception_is_told_by_class_and_place_and_never_by_its_text() -> None:
    """A27, I6: the text is for standard error; a module that is missing has a name of its own."""
    try:
        raise RuntimeError("the password is swordfish")  # noqa: EM101, TRY003  # a text that must not be shown
    except RuntimeError as error:
        said = failed(WORK, "for people", error)
    assert cause(said).startswith("RuntimeError at test_failures.py:")
    assert b"swordfish" not in FROM_CHILD.encode(said)
    absent = failed(FailureKind.NOT_LOADABLE, "", ModuleNotFoundError("No module", name="lists.of_things"))
    assert cause(absent) == "ModuleNotFoundError (lists.of_things is missing)"
    assert cause(failed(WORK, "main returned a list")) == ""


@pytest.mark.parametrize("words", ["a sentence", "x" * 101, "\x1b[2J", "line\nbreak", "Name;", "9"])
def test_what_is_shaped_like_no_name_is_not_shown(words: str) -> None:
    """P2, A27: the child is not believed: each part is left out unless it is a name or a place."""
    assert cause(Failed(WORK, "", words, "plugin.py:6", "")) == ""
    assert cause(Failed(WORK, "", "Boom", words, words)) == "Boom"
    assert cause(Failed(WORK, "", "Boom", f"{words}:6", words)) == ("Boom at 9:6" if words == "9" else "Boom")


def test_only_an_extension_under_whose_calls_the_ring_fell_is_excused() -> None:
    """A27: a UI whose code ends so ends the application, and that needs its line."""
    said = Failed(WORK, "", "RingDismantled", "plugin.py:6", "")
    assert [role for role in Role if fell(role, said)] == [Role.EXTENSION]
    assert not fell(Role.EXTENSION, Failed(WORK, "", "KeyError", "plugin.py:6", ""))
