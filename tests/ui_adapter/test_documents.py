"""A file is written whole or not at all, for its owner only; one that is too long is not read."""

from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING, Any, Final

import pytest

from trollbridge.enclave.vault_part import DOCUMENT
from trollbridge.messages.errors import TooLarge
from trollbridge.ui_adapter import documents
from trollbridge.ui_adapter.whole_file import WholeFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTENT: Final = b"all of it" * 100_000


def test_a_written_file_is_complete_and_its_owner_s(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask; nothing else is in the folder; what was there is replaced."""
    target = tmp_path / "message.pgp"
    before = os.umask(0)
    try:
        documents.write(target, b"one")
        documents.write(target, b"another")
    finally:
        os.umask(before)
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"another", 0o600)
    assert list(tmp_path.iterdir()) == [target]


def test_a_name_as_long_as_a_name_can_be_is_written(tmp_path: Path) -> None:
    """The temporary file's name is not longer than the system takes."""
    target = tmp_path / ("x" * 255)
    documents.write(target, b"here")
    assert target.read_bytes() == b"here"


def test_a_name_that_is_as_long_in_octets_is_written_and_replaced(tmp_path: Path) -> None:
    """What counts is octets, of which a character may have four."""
    target = tmp_path / ("\N{KEY}" * 63)
    for content in (b"one", b"another"):
        documents.write(target, content)
    assert (target.read_bytes(), len(list(tmp_path.iterdir()))) == (b"another", 1)


def _no_unnamed_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the folder behave as on a file system without unnamed files."""
    monkeypatch.setattr(os, "O_TMPFILE", os.O_WRONLY)  # so open(2) says EISDIR, as such a file system does


def _no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """And without links, as FAT."""

    def link(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    _no_unnamed_files(monkeypatch)
    monkeypatch.setattr(os, "link", link)


def _as_ever(_: pytest.MonkeyPatch) -> None:
    """Change nothing."""


@pytest.mark.parametrize("lacking", [_as_ever, _no_unnamed_files, _no_links])
def test_what_is_there_is_replaced_only_if_that_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Whatever takes the name meanwhile, up to the last moment, stays as it is; nothing else is left (A29)."""
    lacking(monkeypatch)
    target = tmp_path / "message.pgp"
    with WholeFile(target, replace=False) as sink:
        sink.write(b"first")
        sink.commit()
    assert target.read_bytes() == b"first"
    target.unlink()

    def taken(take: Callable[[], object]) -> None:
        with WholeFile(target, replace=False) as sink:
            sink.write(b"second")
            take()
            with pytest.raises(FileExistsError):
                sink.commit()

    taken(lambda: target.write_bytes(b"somebody else's"))
    assert target.read_bytes() == b"somebody else's"
    target.unlink()
    taken(lambda: target.symlink_to("nowhere"))
    assert target.is_symlink()
    documents.write(target, b"third")
    assert target.read_bytes() == b"third"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("replace", [True, False])
def test_a_kill_leaves_nothing_or_what_is_complete(tmp_path: Path, *, replace: bool) -> None:
    """SIGKILL at each call that names a file: beside what was there, at most the whole of the new one (K2)."""
    target, lengths = tmp_path / "message.pgp", set[int]()
    for number in range(3):
        if replace:
            target.write_bytes(b"old")
        child = os.fork()
        if not child:
            _killed_at(number, target, replace=replace)
        os.waitpid(child, 0)
        for each in tmp_path.iterdir():
            assert each.stat().st_mode & 0o077 == 0 or each == target
            assert each.read_bytes() in ({b"old", CONTENT} if each == target else {CONTENT})
        found = len(list(tmp_path.iterdir()))
        lengths.add(found)
        for each in tmp_path.iterdir():
            each.unlink()
    assert lengths == ({1, 2} if replace else {0, 1})


def _killed_at(number: int, target: Path, *, replace: bool) -> None:
    """Write a file, and be killed before the call of that number that names one; end in any case."""
    before = [number]

    def counted(call: Callable[..., None]) -> Callable[..., None]:
        def instead(*arguments: Any, **named: Any) -> None:  # noqa: ANN401  # whatever it takes
            if not before[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            before[0] -= 1
            call(*arguments, **named)

        return instead

    os.link, os.replace, os.rename = counted(os.link), counted(os.replace), counted(os.rename)
    try:
        with WholeFile(target, replace=replace) as sink:
            sink.write(CONTENT)
            sink.commit()
    finally:
        os._exit(0)


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk says no when the content is to be synced: the old file stays, the temporary one is gone."""

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "message.pgp"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(documents.NotWritten, match=r"message\.pgp cannot be written: No space left on device"):
        documents.write(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_symbolic_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """Whoever planted it does not choose what is overwritten."""
    outside, target = tmp_path / "outside", tmp_path / "message.pgp"
    outside.write_bytes(b"mine")
    target.symlink_to(outside)
    documents.write(target, b"new")
    assert (outside.read_bytes(), target.read_bytes(), target.is_symlink()) == (b"mine", b"new", False)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A missing file, a folder."""
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(documents.NotRead, match="cannot be read"):
            documents.read(path)


def test_a_file_over_the_limit_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    """The limit itself is read; the vault's own limit is ours."""
    path = tmp_path / "long"
    path.write_bytes(bytes(101))
    assert documents.read(path, 101) == bytes(101)
    with pytest.raises(TooLarge):
        documents.read(path, 100)
    assert documents.LARGEST == DOCUMENT
