"""What the kernel tells of a folder that is watched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from trollbridge.actors.hosts.values import Change
from trollbridge.actors.hosts.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """Return a folder watched, whose descriptor is closed already."""
    tmp_path.joinpath("seen").mkdir()
    folder = os.open(tmp_path / "seen", os.O_RDONLY | os.O_DIRECTORY)
    watch = Watch(folder)
    os.close(folder)
    yield watch
    watch.close()


def shows(name: str) -> bool:
    """Let everything pass but dotfiles."""
    return not name.startswith(".")


def test_what_is_made_changed_renamed_and_removed_is_told_in_order(watch: Watch, tmp_path: Path) -> None:
    """A15: by names of the folder's own, without what is hidden and what lies elsewhere."""
    folder = tmp_path / "seen"
    assert watch.take(shows) == []
    folder.joinpath("a").write_bytes(b"a")
    folder.joinpath(".hidden").write_bytes(b"h")
    tmp_path.joinpath("outside").write_bytes(b"o")
    folder.joinpath("a").rename(folder / "b")
    folder.joinpath("b").unlink()
    folder.joinpath("deep").mkdir()
    folder.joinpath("deep", "c").write_bytes(b"c")
    assert watch.take(shows) == [
        Change("made", "a"),
        Change("changed", "a"),
        Change("removed", "a"),
        Change("made", "b"),
        Change("removed", "b"),
        Change("made", "deep"),
    ]
    assert not watch.gone


def test_too_much_at_once_is_bounded_and_told(watch: Watch, tmp_path: Path) -> None:
    """A56: the kernel keeps a number of events; what is lost is said to be."""
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:  # noqa: PTH123  # a figure
        most = int(file.read())
    folder, name = tmp_path / "seen", "f"
    for _ in range(most // 2 + 10):  # two events each: made, removed
        descriptor = os.open(folder / name, os.O_CREAT | os.O_RDONLY)
        os.close(descriptor)
        folder.joinpath(name).unlink()
    found: list[Change] = []
    while changes := watch.take(shows):
        found += changes
    assert len(found) <= most + 1
    assert found[-1] == Change("lost", "")
    folder.joinpath("after").mkdir()
    assert watch.take(shows) == [Change("made", "after")]


@pytest.mark.parametrize("end", ["moved", "removed"])
def test_a_folder_that_is_moved_or_removed_is_watched_no_longer(watch: Watch, tmp_path: Path, end: str) -> None:
    """A15: wherever it lies now, it may be out of scope."""
    folder = tmp_path / "seen"
    if end == "moved":
        folder.rename(tmp_path / "elsewhere")
        tmp_path.joinpath("elsewhere", "secret").write_bytes(b"s")
    else:
        folder.rmdir()
    assert watch.take(shows) == []
    assert watch.gone
