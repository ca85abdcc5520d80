"""Descriptors that a UI keeps of those that its application was started with, such as one with a password."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.harness import acts, proc
from tests.harness.ordinary import ROOT
from tests.harness.puppeteer import Puppeteer
from trollbridge.actors.app import App, Child
from trollbridge.actors.supervision.supervisor import Supervisor
from trollbridge.messages.errors import DeclarationError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.puppet import Strings

APPLICATION: Final = "tests.processes.errand_app:application"
PASSWORD: Final = b"correct horse\n"


def started(declared: list[int], *redirections: str) -> Puppeteer:
    """Start the application from a shell with these redirections; the UI is declared to keep some of them."""
    launch = (sys.executable, "-m", "tests.harness.launch", APPLICATION, json.dumps({"descriptors": declared}))
    shell = ("/bin/sh", "-c", f'exec "$@" {" ".join(redirections)}', "sh")
    return Puppeteer(APPLICATION, {}, command=(*shell, *launch))


def read(_strings: Strings, descriptor: int) -> bytes:
    """Read what a descriptor has, and close it."""
    found = os.read(descriptor, 100)
    os.close(descriptor)
    return found


def inherited(_strings: Strings, descriptor: int) -> bool:
    """Return whether a program that the UI starts would have a descriptor."""
    return os.get_inheritable(descriptor)


@pytest.mark.parametrize("number", [3, 5])
def test_only_the_ui_has_what_it_is_declared_to_keep(number: int, tmp_path: Path) -> None:
    """A28: it reads the password; the supervisor holds nothing of the pipe, and neither does an enclave."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with started([number], f"{number}<{pipe}") as puppet, pipe.open("wb", buffering=0) as writing:
        writing.write(PASSWORD)
        puppet.await_epoch(1)
        held = proc.descriptors(puppet.supervisor)  # its own user may not look
        assert (held and held[number]) == (os.devnull if ROOT else None)
        assert [each for each in puppet.result("employer.descriptors") if "pipe" in each] == []
        assert puppet.act(inherited, descriptor=number) is False
        assert puppet.act(read, descriptor=number) == PASSWORD
        with pytest.raises(BrokenPipeError):
            writing.write(b"nobody reads this any more")


def test_a_ui_that_is_started_again_finds_the_end_of_the_file(tmp_path: Path) -> None:
    """A28: and never a socket of the supervisor's."""
    (tmp_path / "file").write_bytes(PASSWORD)
    with started([5], f"5<{tmp_path / 'file'}") as puppet:
        puppet.await_epoch(1)
        assert puppet.act(read, descriptor=5) == PASSWORD
        puppet.kill("puppet")
        puppet.await_epoch(2)
        assert puppet.act(acts.descriptors)["5"] == os.devnull
        assert puppet.act(read, descriptor=5) == b""


def test_what_is_not_declared_is_closed(tmp_path: Path) -> None:
    """A28: as ever."""
    (tmp_path / "file").write_bytes(PASSWORD)
    with started([], f"5<{tmp_path / 'file'}") as puppet:
        puppet.await_epoch(1)
        assert str(tmp_path / "file") not in puppet.act(acts.descriptors).values()


def test_a_descriptor_that_is_not_open_is_told_before_anything_starts() -> None:
    """R7: one sentence."""
    closed = (1 << 20) - 1
    with pytest.raises(DeclarationError, match=f"descriptor {closed} is declared for the UI, and is not open"):
        Supervisor(App(ui=Child(UI, descriptors=[closed])))


UI: Final = "a.b:Console"


@pytest.mark.parametrize("wrong", [(0,), (2,), (-1,), (5, 5), (True,), ("5",), (1 << 20,), tuple(range(3, 12))])
def test_descriptors_are_a_few_different_numbers(wrong: tuple[int, ...]) -> None:
    """R7: 0 to 2 every UI has."""
    with pytest.raises(DeclarationError, match="descriptors are at most 8 different numbers from 3 on"):
        Child(UI, descriptors=wrong)
    assert Child(UI, descriptors=[3, 9]).descriptors == (3, 9)


def test_only_a_ui_is_given_descriptors() -> None:
    """A28: no enclave and no extension, which never get any but their own."""
    given = Child("a.b:Other", descriptors=(5,))
    with pytest.raises(DeclarationError, match="other: only a UI is given descriptors"):
        App(ui=UI, enclaves=[given])
    with pytest.raises(DeclarationError, match="other: only a UI is given descriptors"):
        App(ui=UI, extensions=[given])
    assert App(ui=Child(UI, descriptors=(5,))).ui.descriptors == (5,)
