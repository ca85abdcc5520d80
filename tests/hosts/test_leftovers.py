"""What a host that was killed has left behind, and what is somebody's."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from trollbridge.actors.hosts import beneath
from trollbridge.actors.hosts.leftovers import Unfinished, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    """Return an open folder."""
    opened = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield opened
    os.close(opened)


def killed(folder: int) -> None:
    """Have another process begin a file, and kill it."""
    ready, told = os.pipe()
    host = os.fork()
    if not host:
        try:
            Unfinished(folder)
            os.write(told, b"1")
            signal.pause()
        finally:
            os._exit(1)
    os.read(ready, 1)
    os.kill(host, signal.SIGKILL)
    os.waitpid(host, 0)
    os.close(ready)
    os.close(told)


def test_what_a_killed_host_has_left_is_removed_and_what_another_writes_is_not(folder: int, tmp_path: Path) -> None:
    """A15, R8: by the lock, which the kernel lets go of with the process; two hosts may share a folder."""
    own = Unfinished(folder)
    killed(folder)
    assert len(list(tmp_path.iterdir())) == 2
    sweep(folder)
    assert [each.name for each in tmp_path.iterdir()] == [own.name]
    own.release()
    os.close(own.file)
    sweep(folder)
    assert list(tmp_path.iterdir()) == []


def test_what_only_looks_like_it_stays(folder: int, tmp_path: Path) -> None:
    """A15: another name, a link, a second name, a folder: none of it is removed, nor what it leads to."""
    tmp_path.joinpath("kept").write_bytes(b"kept")
    tmp_path.joinpath(f"{beneath.OWN}notes").write_bytes(b"kept")
    tmp_path.joinpath(f"{beneath.OWN}{'0' * 16}").symlink_to("kept")
    tmp_path.joinpath(f"{beneath.OWN}{'1' * 16}").hardlink_to(tmp_path / "kept")
    tmp_path.joinpath(f"{beneath.OWN}{'2' * 16}").mkdir()
    before = sorted(tmp_path.iterdir())
    sweep(folder)
    assert sorted(tmp_path.iterdir()) == before


def test_one_that_is_taken_for_left_behind_before_it_is_locked_is_made_again(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A15: another host looks the folder through just when the file has been made."""
    make = beneath.make_file

    def made(where: int, name: str) -> int:
        monkeypatch.undo()  # once
        found = make(where, name)
        sweep(where)
        return found

    monkeypatch.setattr(beneath, "make_file", made)
    own = Unfinished(folder)
    assert [each.name for each in tmp_path.iterdir()] == [own.name]
    own.release()
    os.close(own.file)
