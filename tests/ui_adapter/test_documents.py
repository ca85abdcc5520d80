"""A file is written whole or not at all, for its owner only; one that is too long is not read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from trollbridge.enclave.vault_part import DOCUMENT
from trollbridge.messages.errors import TooLarge
from trollbridge.ui_adapter import documents

if TYPE_CHECKING:
    from pathlib import Path


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
