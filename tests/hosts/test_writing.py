"""Files that are written piece by piece: whole, or not at all."""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.isolation.confined import Done, forked
from trollbridge.actors.hosts import writing
from trollbridge.actors.hosts.folders import Declared
from trollbridge.actors.hosts.roots import Roots
from trollbridge.actors.hosts.values import AlreadyThere, NoSpace, NoSuchFile, NoSuchHandle, OutOfScope, WrongKind
from trollbridge.actors.hosts.writing import Handles
from trollbridge.actors.serving.invocation import Caller
from trollbridge.messages.errors import InvalidArguments, Overloaded
from trollbridge.messages.ids import MemberId, Role

if TYPE_CHECKING:
    from pathlib import Path

UI, PLUGIN = MemberId("ui"), MemberId("plugin")
CORE, OTHER = Caller(UI, Role.UI), Caller(PLUGIN, Role.EXTENSION)
LARGEST = 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder that may be written, with a file in it."""
    out = tmp_path / "out"
    out.mkdir()
    out.joinpath("old.txt").write_bytes(b"old")
    return out


@pytest.fixture
def handles(folder: Path) -> Handles:
    """Return what is being written there: nothing yet."""
    return Handles(Roots(Declared({}, {"out": str(folder)}, hidden=False, largest=LARGEST)), LARGEST)


def names(folder: Path) -> list[str]:
    """Return what a folder holds, dotfiles too."""
    return sorted(each.name for each in folder.iterdir())


def test_a_file_is_there_whole_or_as_it_was(handles: Handles, folder: Path) -> None:
    """A15: until it is committed nobody sees it; then at once, for its owner only, and nothing lies beside it."""
    number = handles.begin(CORE, "out/old.txt", append=False)
    assert handles.put(UI, number, 0, b"new ") == 4
    assert folder.joinpath("old.txt").read_bytes() == b"old"
    assert handles.put(UI, number, 4, b"content") == 11
    assert handles.commit(UI, number, 11) == 11
    assert folder.joinpath("old.txt").read_bytes() == b"new content"
    assert folder.joinpath("old.txt").stat().st_mode & 0o777 == 0o600
    assert names(folder) == ["old.txt"]


def test_whoever_reads_meanwhile_reads_the_old_file_to_its_end(handles: Handles, folder: Path) -> None:
    """A15: a replacement is another file."""
    with folder.joinpath("old.txt").open("rb") as reader:
        number = handles.begin(CORE, "out/old.txt", append=False)
        handles.commit(UI, number, 0)
        assert reader.read() == b"old"
    assert folder.joinpath("old.txt").read_bytes() == b""


def test_pieces_may_come_in_any_order_and_none_may_be_missing(handles: Handles, folder: Path) -> None:
    """Short calls overtake long ones on their way; a hole is told, and nothing is left of the file."""
    content = bytes(range(256)) * 3
    pieces = [(at, content[at : at + 100]) for at in range(0, len(content), 100)]
    random.Random(5).shuffle(pieces)
    number = handles.begin(CORE, "out/new", append=False)
    for offset, piece in pieces:
        handles.put(UI, number, offset, piece)
    assert handles.commit(UI, number, len(content)) == len(content)
    assert folder.joinpath("new").read_bytes() == content
    for put, size in (((0, b"abc"), 4), ((1, b"abc"), None), ((1, b"abc"), 3)):
        number = handles.begin(CORE, "out/new", append=False)
        handles.put(UI, number, *put)
        with pytest.raises(InvalidArguments, match="pieces are missing"):
            handles.commit(UI, number, size)
    assert folder.joinpath("new").read_bytes() == content
    assert names(folder) == ["new", "old.txt"]


def test_a_piece_that_comes_twice_stands_for_no_other(handles: Handles, folder: Path) -> None:
    """A15: a size that adds up only if a piece is counted twice is not the file's."""
    number = handles.begin(CORE, "out/new", append=False)
    handles.put(UI, number, 0, b"x" * 100)
    for offset in (0, 50, 99):
        with pytest.raises(InvalidArguments, match="overlaps"):
            handles.put(UI, number, offset, b"y" * 100)
    handles.put(UI, number, 200, b"")
    with pytest.raises(InvalidArguments, match="pieces are missing"):
        handles.commit(UI, number, 200)
    assert names(folder) == ["old.txt"]


def test_appending_writes_at_the_end_and_in_order(handles: Handles, folder: Path) -> None:
    """At once, and where there is no file, to a new one."""
    for path, before in (("out/old.txt", b"old"), ("out/log", b"")):
        number = handles.begin(CORE, path, append=True)
        handles.put(UI, number, 0, b" and")
        with pytest.raises(InvalidArguments):
            handles.put(UI, number, 0, b"over it")
        handles.put(UI, number, 4, b" new")
        assert handles.commit(UI, number, None) == len(before) + 8
        assert folder.joinpath(path.removeprefix("out/")).read_bytes() == before + b" and new"


def test_what_is_abandoned_leaves_nothing_behind(handles: Handles, folder: Path) -> None:
    """By its owner, when its owner leaves, when nobody writes for too long, and when the host ends."""
    for end in ("abandon", "forget", "expire", "close"):
        before = time.monotonic()
        number = handles.begin(CORE, "out/old.txt", append=False)
        handles.put(UI, number, 0, b"half")
        assert len(names(folder)) == 2
        if end == "abandon":
            handles.abandon(UI, number)
        elif end == "forget":
            handles.forget(PLUGIN)
            assert len(names(folder)) == 2
            handles.forget(UI)
        elif end == "expire":
            handles.expire(before + writing.IDLE - 0.001)
            assert len(names(folder)) == 2
            assert handles.owners == {UI}
            handles.expire(time.monotonic() + writing.IDLE)
            assert handles.owners == frozenset()
        else:
            handles.close()
        assert names(folder) == ["old.txt"]
        with pytest.raises(NoSuchHandle):
            handles.put(UI, number, 0, b"")
        with pytest.raises(NoSuchHandle):
            handles.commit(UI, number, None)
        with pytest.raises(NoSuchHandle):
            handles.abandon(UI, number)
    assert folder.joinpath("old.txt").read_bytes() == b"old"


def test_a_handle_is_good_for_its_owner_only(handles: Handles, folder: Path) -> None:
    """A22: another member that learns the number can do nothing with it."""
    number = handles.begin(CORE, "out/mine", append=False)
    for act in (
        lambda: handles.put(PLUGIN, number, 0, b"theirs"),
        lambda: handles.commit(PLUGIN, number, None),
        lambda: handles.abandon(PLUGIN, number),
    ):
        with pytest.raises(NoSuchHandle):
            act()
    handles.put(UI, number, 0, b"mine")
    handles.commit(UI, number, 4)
    assert folder.joinpath("mine").read_bytes() == b"mine"


def test_one_member_writes_so_many_files_at_a_time_and_others_do_not_feel_it(handles: Handles) -> None:
    """A56: and one that ends makes room."""
    numbers = [handles.begin(OTHER, f"out/{each}", append=False) for each in range(writing.MOST)]
    with pytest.raises(Overloaded):
        handles.begin(OTHER, "out/more", append=False)
    handles.abandon(UI, handles.begin(CORE, "out/other", append=False))
    handles.abandon(PLUGIN, numbers[0])
    handles.begin(OTHER, "out/more", append=False)


def test_a_file_grows_to_the_declared_size_and_no_further(handles: Handles, folder: Path) -> None:
    """Bytes and offsets alike; what was there stays, and the number is gone."""
    number = handles.begin(CORE, "out/old.txt", append=False)
    assert handles.put(UI, number, 0, bytes(LARGEST)) == LARGEST
    with pytest.raises(NoSpace, match=r"out/old\.txt"):
        handles.put(UI, number, LARGEST, b"x")
    with pytest.raises(NoSuchHandle):
        handles.commit(UI, number, None)
    number = handles.begin(CORE, "out/old.txt", append=True)
    with pytest.raises(NoSpace):
        handles.put(UI, number, 0, bytes(LARGEST - 2))
    with pytest.raises(InvalidArguments):
        handles.put(UI, handles.begin(CORE, "out/x", append=False), -1, b"x")
    handles.close()
    assert folder.joinpath("old.txt").read_bytes() == b"old"
    assert names(folder) == ["old.txt"]


def test_a_full_disk_is_told_as_one_and_nothing_is_left(handles: Handles, folder: Path) -> None:
    """The kernel's own refusal, here by a limit on the size of files."""

    def act() -> str:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        number = handles.begin(CORE, "out/old.txt", append=False)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            handles.put(UI, number, 0, bytes(200))
        except NoSpace as error:
            return str(error)
        return "written"

    assert forked(act) == Done(
        "out/old.txt: the disk is full, or the file would become longer than is declared; what was there is unchanged"
    )
    assert names(folder) == ["old.txt"]
    assert folder.joinpath("old.txt").read_bytes() == b"old"


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_nothing_is_written_through_a_link_or_a_second_name(handles: Handles, folder: Path, mode: str) -> None:
    """S1: neither replaced nor appended to; and what a link leads to is as it was."""
    outside = folder.parent / "outside"
    outside.write_bytes(b"outside")
    folder.joinpath("soft").symlink_to(outside)
    folder.joinpath("hard").hardlink_to(outside)
    folder.joinpath("up").symlink_to(folder.parent)
    os.mkfifo(folder / "pipe")
    for path in ("out/soft", "out/hard", "out/pipe", "out/up/new", "out/../new", "out/.new"):
        with pytest.raises((WrongKind, OutOfScope, NoSuchFile)) as told:
            handles.begin(CORE, path, append=mode == "append")
        assert str(folder.parent) not in str(told.value)
    with pytest.raises((WrongKind, NoSuchFile)):
        handles.begin(CORE, "out/old.txt/new", append=mode == "append")
    assert outside.read_bytes() == b"outside"
    assert names(folder) == ["hard", "old.txt", "pipe", "soft", "up"]
    assert handles.owners == frozenset()


def test_a_link_that_appears_before_the_commit_is_not_written_through(handles: Handles, folder: Path) -> None:
    """S2: between begin and commit, the place becomes a link: the file behind it stays as it was."""
    outside = folder.parent / "outside"
    outside.write_bytes(b"outside")
    number = handles.begin(CORE, "out/new", append=False)
    folder.joinpath("new").symlink_to(outside)
    with pytest.raises(WrongKind, match="out/new"):
        handles.commit(UI, number, None)
    assert outside.read_bytes() == b"outside"
    assert names(folder) == ["new", "old.txt"]


def test_a_folder_in_the_place_of_a_file_is_told(handles: Handles, folder: Path) -> None:
    """Whether it was there before, or came meanwhile."""
    folder.joinpath("deep").mkdir()
    with pytest.raises(WrongKind):
        handles.begin(CORE, "out/deep", append=False)
    number = handles.begin(CORE, "out/new", append=False)
    folder.joinpath("new").mkdir()
    with pytest.raises((WrongKind, AlreadyThere)):
        handles.commit(UI, number, None)
    assert names(folder) == ["deep", "new", "old.txt"]
