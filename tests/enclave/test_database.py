"""The vault's file: who may have it, what it must be, and that a write is whole or absent however its process ends."""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.enclave.children import at_each_death, in_child
from tests.enclave.conftest import KEY, VAULT
from trollbridge.enclave.database import Database
from trollbridge.enclave.sealing import Kind, VaultKey
from trollbridge.enclave.storage import Put, Records, first_index
from trollbridge.messages.errors import (
    StorageFailed,
    TrollbridgeError,
    VaultCorrupt,
    VaultExists,
    VaultInUse,
    VaultMissing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WRITER: Final = Path(__file__).with_name("writer.py")
NOBODY: Final = 65534


def made(path: str, **records: bytes) -> None:
    """Make a vault's file and close it."""
    key = VaultKey(KEY, VAULT)
    database = Database.create(path, b"header", [first_index(key)])
    Records(database, key).write(*(Put(Kind.SECRET_KEY, name, body) for name, body in records.items()))
    database.close()


def content(path: str) -> dict[str, bytes]:
    """Return what a vault's file holds; a file that is not sound raises."""
    database = Database.open(path)
    try:
        return dict(Records(database, VaultKey(KEY, VAULT)).items(Kind.SECRET_KEY))
    finally:
        database.close()


def beside(path: str) -> set[str]:
    """Return what lies in the folder of the file, but for the file."""
    return {each.name for each in Path(path).parent.iterdir()} - {Path(path).name}


def write_one(path: str, name: str, body: bytes) -> None:
    """Open, write, close."""
    database = Database.open(path)
    try:
        Records(database, VaultKey(KEY, VAULT)).write(Put(Kind.SECRET_KEY, name, body))
    finally:
        database.close()


def refused(function: Callable[[], object]) -> str:
    """Return the name of the error of ours that `function` raises, or what it returned."""
    try:
        return str(function())
    except TrollbridgeError as error:
        return type(error).__name__


def test_a_new_file_is_private_and_alone(path: str) -> None:
    """Mode 0600 whatever the umask, and nothing beside it once a write is done (A37, A59)."""
    made(path, a=b"body")
    found = os.lstat(path)
    assert stat.S_IMODE(found.st_mode) == 0o600
    database = Database.open(path)
    assert beside(path) == set()
    database.close()


def test_a_vault_is_not_made_twice(path: str) -> None:
    """The second creation is refused and changes nothing (A43)."""
    made(path, a=b"body")
    with pytest.raises(VaultExists):
        Database.create(path, b"other", [])
    assert content(path) == {"a": b"body"}


def test_what_is_not_there_is_missing_and_is_not_made(path: str) -> None:
    """Opening makes no file; an empty one, as a killed creation leaves it, is no vault yet (A58)."""
    with pytest.raises(VaultMissing):
        Database.open(path)
    assert not Path(path).exists()
    Path(path).touch(mode=0o600)
    with pytest.raises(VaultMissing):
        Database.open(path)
    made(path, a=b"body")
    assert content(path) == {"a": b"body"}


def _link(path: str) -> None:
    made(f"{path}.real")
    Path(path).symlink_to(f"{path}.real")


def _loop(path: str) -> None:
    Path(path).symlink_to(path)


def _hard_link(path: str) -> None:
    made(path)
    Path(f"{path}.second").hardlink_to(path)


def _readable(path: str) -> None:
    made(path)
    Path(path).chmod(0o640)


def _journal_link(path: str) -> None:
    made(path)
    Path(f"{path}-journal").symlink_to("/dev/null")


def _journal_hard_link(path: str) -> None:
    made(path)
    Path(f"{path}.mine").touch(mode=0o600)
    Path(f"{path}-journal").hardlink_to(f"{path}.mine")


@pytest.mark.parametrize(
    "plant",
    [
        _link,
        _loop,
        _hard_link,
        _readable,
        _journal_link,
        _journal_hard_link,
        os.mkfifo,
        os.mkdir,
    ],
    ids=["link", "loop", "hard link", "readable", "journal link", "journal hard link", "fifo", "folder"],
)
def test_a_file_that_is_not_plain_private_and_ours_is_refused(plant: Callable[[str], object], path: str) -> None:
    """Links of both kinds, open modes, pipes, folders; a planted journal too (S1, S2)."""
    plant(path)
    with pytest.raises(StorageFailed):
        Database.open(path)
    with pytest.raises(StorageFailed):
        Database.create(path, b"header", [])


def test_a_file_of_another_user_is_refused(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the system would let us open it (S1)."""
    made(path)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StorageFailed, match="another user"):
        Database.open(path)


def test_a_folder_that_is_not_there_has_its_own_sentence(tmp_path: Path) -> None:
    """And is not made."""
    path = str(tmp_path / "none" / "v")
    with pytest.raises(VaultMissing):
        Database.open(path)
    with pytest.raises(StorageFailed, match="folder"):
        Database.create(path, b"header", [])


@pytest.mark.parametrize("junk", [b"x", b"SQLite format 3\0", bytes(5000), b"\xff" * 5000], ids=len)
def test_what_is_no_vault_is_corrupt(path: str, junk: bytes) -> None:
    """Too short, another file, another database: one error, never a traceback; and it is not overwritten (A29)."""
    Path(path).write_bytes(junk)
    Path(path).chmod(0o600)
    with pytest.raises(VaultCorrupt):
        Database.open(path)
    with pytest.raises((VaultCorrupt, VaultExists)):
        Database.create(path, b"header", [])
    assert Path(path).read_bytes() == junk


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE other (a)",
        "CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM record; END",
        "CREATE VIEW v AS SELECT * FROM record",
        "CREATE INDEX i ON record (kind)",
        "DROP TABLE header",
        "PRAGMA application_id = 1",
        "PRAGMA user_version = 0",
    ],
)
def test_a_database_of_another_shape_is_corrupt(path: str, statement: str) -> None:
    """More than our two tables, or less: nothing that a stranger put into the file runs (A56)."""
    made(path)
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(VaultCorrupt):
        Database.open(path)


def test_a_newer_schema_says_so(path: str) -> None:
    """The sentence names what to do."""
    made(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    with pytest.raises(VaultCorrupt, match="newer"):
        Database.open(path)


def test_a_header_that_is_not_one_row_is_corrupt(path: str) -> None:
    """No header, two, or one with a count or a time that is none."""
    for statement in (
        "DELETE FROM header",
        "INSERT INTO header VALUES (2, x'', 0, 0)",
        "UPDATE header SET failures = -1",
        "UPDATE header SET failed_at = 'now'",
    ):
        Path(path).unlink(missing_ok=True)
        made(path)
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.commit()
        connection.close()
        database = Database.open(path)
        with pytest.raises(VaultCorrupt):
            assert repr(database.header()) + repr(database.attempts())
        database.close()


def test_a_file_that_was_taken_away_is_not_written(path: str) -> None:
    """No write is acknowledged that nobody could find again (A58)."""
    made(path)
    database = Database.open(path)
    records = Records(database, VaultKey(KEY, VAULT))
    Path(path).rename(f"{path}.elsewhere")
    Path(f"{path}.elsewhere").unlink()
    with pytest.raises(StorageFailed):
        records.write(Put(Kind.SECRET_KEY, "a", b""))
    database.close()


def started(path: str, last: int) -> subprocess.Popen[bytes]:
    """Start the writing program and wait until it has the file open."""
    command = [sys.executable, str(WRITER), path, KEY.hex(), VAULT.hex(), str(last)]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ)
    assert program.stdout is not None
    assert program.stdout.readline() == b"open\n"
    return program


def test_two_processes_do_not_share_a_vault(path: str) -> None:
    """The second learns it while the first runs; after `kill -9` it gets the file, nothing in its way (A57, A59)."""
    made(path, a=b"body")
    with started(path, 0) as program:
        try:
            with pytest.raises(VaultInUse):
                Database.open(path)
            with pytest.raises(VaultInUse):
                Database.create(path, b"header", [])
            assert program.poll() is None, "it was not waited for: it never lets go by itself"
        finally:
            program.kill()
    assert content(path) == {"a": b"body"}
    assert beside(path) == set()


@pytest.mark.parametrize("acknowledged", [0, 1, 2, 7, 31])
def test_what_was_acknowledged_survives_kill_9(path: str, acknowledged: int) -> None:
    """A writer killed in full flight: every record that it told of is there and sound, and at most one more (A58)."""
    made(path)
    with started(path, 10**6) as program:
        try:
            assert program.stdout is not None
            for _ in range(acknowledged):
                program.stdout.readline()
        finally:
            program.kill()
        told = acknowledged + len(program.stdout.read().splitlines())
    found = content(path)
    assert len(found) in {told, told + 1}
    assert found == {f"record {number}": str(number).encode() * 500 for number in range(len(found))}


def test_a_write_killed_at_any_system_call_is_whole_or_absent(path: str) -> None:
    """SIGKILL before any system call of a write: the old content or the new one, and always sound (A58)."""
    made(path, a=b"old" * 400, b=b"other")
    before = content(path)
    after = {"a": b"new" * 900, "b": b"other"}

    def opened() -> Callable[[], None]:
        records = Records(Database.open(path), VaultKey(KEY, VAULT))
        return lambda: records.write(Put(Kind.SECRET_KEY, "a", after["a"]))

    found = at_each_death(opened, Path(path).parent, lambda left: content(str(left / Path(path).name)))
    assert content(path) == after
    assert all(each in (before, after) for each in found)
    took_effect = [each == after for each in found]
    assert len(took_effect) > 30, "a write makes many system calls"
    assert took_effect == sorted(took_effect), "once a write has taken effect, no later death undoes it"
    assert {True, False} == set(took_effect)


def test_a_creation_killed_at_any_system_call_leaves_a_vault_or_none(path: str) -> None:
    """SIGKILL before any system call: then it can be made anew, or it is complete (A58)."""

    def left_by(left: Path) -> str:
        name = str(left / Path(path).name)
        before = refused(lambda: content(name))
        if before == "VaultMissing":
            made(name)
            assert content(name) == {}
        return before

    found = at_each_death(lambda: lambda: made(path), Path(path).parent, left_by)
    assert len(found) > 60
    assert set(found) == {"VaultMissing", "{}"}
    assert found == sorted(found)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 256 KiB where the system allows it; elsewhere a limit on the file's size has to do."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    yield folder
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S607


def _filled(path: str, limit: int | None) -> str:
    """Write until no more fits; return how many writes were acknowledged."""
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    database = Database.open(path)
    records = Records(database, VaultKey(KEY, VAULT))
    acknowledged = 0
    try:
        while acknowledged < 1000:
            records.write(Put(Kind.SECRET_KEY, f"record {acknowledged}", bytes(3000)))
            acknowledged += 1
    except StorageFailed:
        assert len(records) == len(dict(records.items(Kind.SECRET_KEY))) == acknowledged
        return f"full after {acknowledged}"
    finally:
        database.close()
    return "never full"


@pytest.mark.parametrize("by", ["a limit on the file", "a small disk"])
def test_a_full_disk_is_an_error_and_nothing_is_half_written(by: str, small_disk: Path) -> None:
    """What was acknowledged is there, nothing else is, and once there is room the next write succeeds (A58)."""
    path = str(small_disk / "v")
    made(path)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(64 << 10))
    limit = None if by == "a small disk" and small_disk.is_mount() else 128 << 10
    answer = in_child(lambda: _filled(path, limit))
    assert answer.startswith("full after "), answer
    filler.unlink()
    expected = {f"record {number}" for number in range(int(answer.split()[-1]))}
    assert set(content(path)) == expected
    write_one(path, "next", b"")
    assert set(content(path)) == expected | {"next"}


def test_a_read_only_vault_opens_and_refuses_to_be_written() -> None:
    """A clear error, and the content is as it was; root is made an ordinary user first (A58)."""
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as outer:  # not under tmp_path, whose parents are closed to others
        folder = Path(outer) / "fixed"
        folder.mkdir()
        path = str(folder / "v")
        made(path, a=b"body")
        for each, mode in ((path, 0o400), (str(folder), 0o500), (outer, 0o755)):
            Path(each).chmod(mode)
            if root and each != outer:
                os.chown(each, NOBODY, NOBODY)

        def as_nobody() -> str:
            if root:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            return f"{content(path)} {refused(lambda: write_one(path, 'b', b''))} {content(path)}"

        answer = in_child(as_nobody)
        folder.chmod(0o700)
    assert answer == "{'a': b'body'} StorageFailed {'a': b'body'}"
