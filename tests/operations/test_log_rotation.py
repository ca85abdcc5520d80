"""Log files: turned when they are full, one chain over all of them and over all runs, and whatever is missing shows."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from click.testing import CliRunner

from trollbridge.actors.operations import log_key
from trollbridge.actors.operations.chain import Chain
from trollbridge.actors.operations.log import Log
from trollbridge.actors.operations.rotation import LogBusy, LogFile, read_head
from trollbridge.ui_adapter.log_command import log as command

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE: Final = 4096


class Report(NamedTuple):
    """What the verifier says, and its exit code."""

    code: int
    flaws: list[list[str]]
    runs: int
    head: str


def verify(path: Path, *options: str) -> Report:
    """Run `trollbridge log verify --json`."""
    ended = CliRunner().invoke(command, ["verify", str(path), "--json", *options])
    found = json.loads(ended.stdout)
    return Report(ended.exit_code, found["flaws"], found["runs"], found["chain"])


def write(  # noqa: PLR0913  # each test sets a few of them by name
    path: Path, *, lines: int = 0, size: int = 0, keep: int = 5, key: Path | None = None, end: bool = True
) -> None:
    """Write one run into a log file."""
    file = LogFile(str(path), size=size, keep=keep)
    log = Log(file, None if key is None else Chain(file.after, file.mark, lambda: log_key.take(str(key))))
    log.line("application.started", 0, member="supervisor")
    for number in range(lines):
        log.line("process.ended", number, member="vault")
    if end:
        log.line("application.stopped", lines, member="supervisor")
    assert log.due is None
    log.close()


def events(path: Path) -> list[str]:
    """Return the events in a file."""
    return [json.loads(each)["event"] for each in path.read_bytes().splitlines()]


@pytest.mark.parametrize("keyed", [False, True])
def test_a_file_is_turned_before_it_is_too_long_and_the_chain_goes_on(keyed: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """A55: the youngest files are kept; each begins with the value of the one before it; all are their owner's only."""
    path = tmp_path / "log"
    key, options = tmp_path / "key", list[str]()
    if keyed:
        (tmp_path / "verification").write_text(log_key.make(str(key)), encoding="ascii")
        options = ["--key", str(tmp_path / "verification")]
    for _ in range(2):
        write(path, lines=60, size=SIZE, keep=3, key=key if keyed else None)
    names = ["log", "log.1", "log.2", "log.3", "log.head"]
    assert sorted(each.name for each in tmp_path.glob("log*")) == names
    for each in map(tmp_path.joinpath, names):
        assert (each.stat().st_mode & 0o777, each.stat().st_size <= SIZE) == (0o600, True)
        if each.name != "log.head":
            assert events(each)[0] == "log.rotated"
    found = verify(path, *options)
    assert (found.code, found.flaws, verify(path, *options, "--head", found.head).code) == (0, [], 0)
    middle, oldest = path.with_name("log.2").read_bytes(), path.with_name("log.3").read_bytes()
    path.with_name("log.2").write_bytes(path.with_name("log.3").read_bytes())
    path.with_name("log.3").unlink()  # as if the one in the middle had never been
    assert verify(path, *options).code == 1
    path.with_name("log.2").write_bytes(middle)
    gone = verify(path, *options)
    assert (gone.code, len(gone.flaws), "of the log is missing" in gone.flaws[0][1]) == (1, 1, True)
    path.with_name("log.3").write_bytes(oldest)
    path.with_name("log.1").write_bytes(path.with_name("log.1").read_bytes().replace(b"vault", b"fault", 1))
    assert [place.partition(":")[0] for place, _ in verify(path, *options).flaws] == ["log.1"]


def test_a_run_goes_on_from_the_one_before_it(tmp_path: Path) -> None:
    """A55: runs that were removed show, by the value that the next one found, and by the head."""
    path = tmp_path / "log"
    sizes: list[int] = []
    for _ in range(3):
        write(path, lines=2)
        sizes.append(path.stat().st_size)
    whole = path.read_bytes()
    assert verify(path)[:3] == (0, [], 3)
    path.write_bytes(whole[: sizes[0]] + whole[sizes[1] :])
    assert verify(path).flaws == [
        ["log:5", "it does not go on from the line before it: lines or runs are missing between them"]
    ]
    path.write_bytes(whole[sizes[0] :])
    assert verify(path).flaws == [["log:1", "the runs before it are missing"]]
    path.write_bytes(whole[: sizes[1]])
    assert verify(path).flaws == [["log", "its end is missing: the head tells of line 4 of a run"]]
    write(path)
    assert events(path)[-3:] == ["application.started", "log.altered", "application.stopped"]
    assert verify(path).flaws == [["log:10", "here the application found: the file does not end where its head says"]]


def test_an_end_that_is_not_in_good_order_is_open(tmp_path: Path) -> None:
    """A55: it still runs, or was killed: intact, and with an exit code of its own; so is a line half written."""
    path = tmp_path / "log"
    write(path, lines=3, end=False)
    assert verify(path)[:2] == (3, [])
    with path.open("ab") as file:
        file.write(b'{"time":1.0,"ev')
    assert verify(path)[:2] == (3, [])
    write(path)
    assert events(path)[-3:] == ["application.started", "log.mended", "application.stopped"]
    assert verify(path)[:2] == (0, [])
    path.with_name("log.head").unlink()
    said = CliRunner().invoke(command, ["verify", str(path)])
    assert (said.exit_code, said.stdout.splitlines()[-1][:22]) == (0, "there is no log.head: ")


def test_what_somebody_else_has_written_there_stays(tmp_path: Path) -> None:
    """A55: a file that is no log of ours loses nothing by a wrong --log; the verifier says what it is."""
    path = tmp_path / "notes"
    path.write_bytes(b"dear diary,\nno line's end")
    write(path)
    assert path.read_bytes().startswith(b"dear diary,\nno line's end\n{")
    assert [place for place, _ in verify(path).flaws] == ["notes:1", "notes:2"]


def test_one_application_at_a_time_writes_to_a_log(tmp_path: Path) -> None:
    """A55: two chains in one file would be none; the lock goes with the file, turned or not."""
    path = tmp_path / "log"
    first = LogFile(str(path), size=SIZE)
    log = Log(first)
    for number in range(40):
        log.line("process.ended", number, member="vault")
        if number in (0, 39):
            with pytest.raises(LogBusy):
                LogFile(str(path))
    assert path.with_name("log.1").exists()
    log.close()
    write(path)
    assert verify(path)[:2] == (0, [])


def test_what_a_link_leads_to_is_what_is_turned(tmp_path: Path) -> None:
    """A55: the link stays."""
    (tmp_path / "there").mkdir()
    (tmp_path / "log").symlink_to(tmp_path / "there" / "log")
    write(tmp_path / "log", lines=40, size=SIZE)
    assert (tmp_path / "log").is_symlink()
    assert sorted(each.name for each in (tmp_path / "there").iterdir()) == ["log", "log.1", "log.head"]


def test_a_turn_that_was_cut_off_loses_nothing(tmp_path: Path) -> None:
    """A59: killed between the two renamings: the next run goes on from the file that was turned."""
    path = tmp_path / "log"
    write(path, lines=3)
    path.rename(path.with_name("log.1"))
    path.with_name("log.new").touch()
    for _ in range(2):
        write(path, lines=40, size=SIZE)
        assert verify(path)[:2] == (0, [])
    assert not path.with_name("log.new").exists()


def test_a_file_that_cannot_be_turned_is_gone_on_with(tmp_path: Path) -> None:
    """A59: no line is lost for it, and one is written, once."""
    path = tmp_path / "log"
    path.with_name("log.new").mkdir()
    write(path, lines=40, size=SIZE)
    assert (len(events(path)), path.stat().st_size > SIZE) == (43, True)
    assert events(path).count("log.hindered") == 1
    assert verify(path)[:2] == (0, [])


@pytest.fixture
def unwritable() -> Iterator[Path]:
    """Have a log file in a folder that nobody here may write to; return the file."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "log"
        path.touch()
        path.chmod(0o666)
        path.parent.chmod(0o555)
        root = not os.geteuid()
        if root:
            os.seteuid(65534)  # whose rights the kernel goes by, as root may write anywhere
        yield path
        if root:
            os.seteuid(0)
        path.parent.chmod(0o755)


def test_a_folder_that_may_not_be_written_to_is_told_of_once(
    unwritable: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A55, A59: no head and no turn, which leaves the log to grow: a line and a sentence for each, and no line lost."""
    write(unwritable, lines=100, size=SIZE)
    assert events(unwritable).count("process.ended") == 100
    told = [
        line["why"] for line in map(json.loads, unwritable.read_bytes().splitlines()) if line["event"] == "log.hindered"
    ]
    assert [each.split(":")[0] for each in told] == [
        "its head cannot be written",
        "it grows beyond its size, as no new file can be begun",
    ]
    assert caplog.messages == [f"the log: {each}" for each in told]
    assert os.listdir(unwritable.parent) == ["log"]  # noqa: PTH208  # names
    assert verify(unwritable)[:2] == (0, [])


def test_no_file_is_kept_where_none_is_asked_for(tmp_path: Path) -> None:
    """A55: and fewer, once fewer are."""
    path = tmp_path / "log"
    write(path, lines=100, size=SIZE, keep=4)
    assert path.with_name("log.4").exists()
    write(path, lines=40, size=SIZE, keep=1)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log", "log.1", "log.head"]
    assert verify(path)[:2] == (0, [])
    write(path, lines=40, size=SIZE, keep=0)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log", "log.head"]
    assert verify(path)[:2] == (0, [])


def test_the_key_file_moves_on_with_each_run_and_leads_back_to_none(tmp_path: Path) -> None:
    """A55: 0600, ours, of its size; one that is not is refused and not touched."""
    path = tmp_path / "key"
    first = bytes.fromhex(log_key.make(str(path)))
    assert path.read_bytes() == (1).to_bytes(8, "big") + first
    one, two = log_key.take(str(path)), log_key.take(str(path))
    assert (one.run, two.run, path.read_bytes()[:8]) == (1, 2, (3).to_bytes(8, "big"))
    assert len({first, one.key, two.key, path.read_bytes()[8:]}) == 4
    assert (repr(one), path.stat().st_mode & 0o777) == ("<RunKey 1>", 0o600)
    with pytest.raises(FileExistsError):
        log_key.make(str(path))
    path.chmod(0o640)
    before = path.read_bytes()
    with pytest.raises(PermissionError):
        log_key.take(str(path))
    path.chmod(0o600)
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "short").write_bytes(before[:-1])
    (tmp_path / "short").chmod(0o600)
    for wrong in ("link", "short", "none"):
        with pytest.raises(OSError, match=r"log key|symbolic links|No such file"):
            log_key.take(str(tmp_path / wrong))
    assert path.read_bytes() == before


def test_the_head_is_the_last_line_that_was_written_whole(tmp_path: Path) -> None:
    """A55: after each line; what is no head is none."""
    path = tmp_path / "log"
    log = Log(LogFile(str(path)))
    for number in range(1, 4):
        log.line("process.ended", number, member="vault")
        head = read_head(str(path))
        assert head is not None
        assert (head.seq, head.chain) == log.head == (number, log.recent[-1].chain)
    log.close()
    path.with_name("log.head").write_bytes(b"0" * 151)
    assert read_head(str(path)) is None
    assert path.stat().st_mode & 0o777 == 0o600


class Keyed(NamedTuple):
    """A log under a key."""

    path: Path
    key: Path
    options: tuple[str, ...]

    def flaws(self) -> list[str]:
        """Return what is wrong with it."""
        return [what for _, what in verify(self.path, *self.options).flaws]


@pytest.fixture
def keyed(tmp_path: Path) -> Keyed:
    """Return a log of two runs."""
    made = Keyed(tmp_path / "log", tmp_path / "key", ("--key", str(tmp_path / "verification")))
    (tmp_path / "verification").write_text(log_key.make(str(made.key)), encoding="ascii")
    for _ in range(2):
        write(made.path, lines=4, key=made.key)
    assert verify(made.path, *made.options)[:3] == (0, [], 2)
    return made


NO_PROOF: Final = "its run found no proof that the one before it ended here: lines may be missing"


@pytest.mark.parametrize("head", ["removed", "made up", "of an earlier line"])
def test_a_cut_stays_visible_once_the_next_run_has_gone_on_from_it(keyed: Keyed, head: str) -> None:
    """A55: the end of a run is cut off, with its head: the run that follows has found no mark of the last line left."""
    lines = keyed.path.read_bytes().splitlines(keepends=True)
    there = keyed.path.with_name("log.head")
    keyed.path.write_bytes(b"".join(lines[:-3]))
    last = json.loads(lines[-4])
    mark = {"made up": b"0" * 64, "of an earlier line": there.read_bytes().split()[2]}.get(head)
    if mark is None:
        there.unlink()
    else:
        there.write_bytes(b"%020d %s %s\n" % (last["seq"], last["chain"].encode(), mark))
    write(keyed.path, key=keyed.key)
    write(keyed.path, key=keyed.key)
    assert keyed.flaws()[0] == NO_PROOF
    told = ["here the application found: the file's head is missing: so may be its end"] * (mark is None)
    assert keyed.flaws()[1:] == told


def test_a_log_that_was_removed_between_two_runs_shows_by_the_number_of_the_next(keyed: Keyed) -> None:
    """A55: with its head, so that nothing is left that could tell of it; or turned away; or but one of its runs."""
    first = keyed.path.read_bytes()
    for each in ("log", "log.head"):
        keyed.path.with_name(each).unlink()
    write(keyed.path, key=keyed.key)
    assert keyed.flaws() == ["the runs before it are missing"]
    keyed.path.rename(keyed.path.with_name("log.1"))
    for each in ("log.1", "log.head"):
        keyed.path.with_name(each).unlink()
    keyed.path.with_name("log.1").write_bytes(first)  # as if the next file had just been begun
    write(keyed.path, key=keyed.key)
    assert keyed.flaws()[0] == "a run of the key is missing before it"


def test_a_run_that_never_began_uses_up_no_key(keyed: Keyed) -> None:
    """A55: so that the number of the next run has no gap that nobody can explain."""
    file = LogFile(str(keyed.path))
    Log(file, Chain(file.after, file.mark, lambda: log_key.take(str(keyed.key)))).close()
    write(keyed.path, key=keyed.key)
    assert verify(keyed.path, *keyed.options)[:3] == (0, [], 3)


class Under(NamedTuple):
    """A log that is being written, while somebody is at its files."""

    file: LogFile
    log: Log
    path: Path

    def fill(self, files: int) -> None:
        """Write until so many files more are begun."""
        for _ in range(files):
            before = self.path.stat().st_ino
            while self.path.stat().st_ino == before:
                self.log.line("process.ended", 1, member="vault")

    def altered(self) -> list[str]:
        """Return what it has told of that."""
        return [each.why for each in self.log.recent if each.event == "log.altered"]


@pytest.fixture
def under(tmp_path: Path) -> Iterator[Under]:
    """Return one, turned when it is full."""
    file = LogFile(str(tmp_path / "log"), size=SIZE, keep=20)
    made = Under(file, Log(file), tmp_path / "log")
    made.log.line("application.started", 0, member="supervisor")
    yield made
    made.log.close()


def test_turned_files_that_are_removed_while_the_application_runs_are_missed(under: Under) -> None:
    """A55: which is the oldest that is kept follows from what was kept, not from what somebody has left there."""
    under.fill(3)
    for age in (1, 2, 3):
        under.path.with_name(f"log.{age}").unlink()
    for files in (0, 1, 2):
        under.fill(files)
        said = [what for _, what in verify(under.path).flaws]
        assert said[-1] == "file 1 of the log is missing, and all up to file 4"
    assert under.altered() == ["files that were turned are missing"]


@pytest.mark.parametrize("how", ["removed", "moved", "another in its place", "moved into its turn"])
def test_a_file_that_is_moved_or_removed_while_it_is_written_to_is_followed_by_another(under: Under, how: str) -> None:
    """A55: it is told, the lines that come are in the new one, the chain goes on, and it is turned as before."""
    under.fill(1)
    if how == "removed":
        under.path.unlink()
    else:
        under.path.rename(under.path.with_name("log.1" if how == "moved into its turn" else "elsewhere"))
    if how == "another in its place":
        under.path.write_bytes(b"words")
    under.log.line("ring.sealed", 2, member="supervisor")
    lines = under.path.read_bytes().splitlines()
    assert (lines[0] == b"words") == (how == "another in its place")
    assert [json.loads(each)["event"] for each in lines[-3:]] == ["log.rotated", "log.altered", "ring.sealed"]
    assert under.log.recent[-1].chain == under.log.head[1] == json.loads(lines[-1])["chain"]
    assert under.altered() == ["the file was moved or removed while it was written to"]
    assert verify(under.path).code == 1
    under.fill(2)
    assert not under.path.with_name("log.new").exists()
    assert verify(under.path).code == 1
    assert len(under.altered()) == 1


def test_a_file_whose_folder_is_gone_is_written_to_where_it_is_and_told_when_it_is_nowhere(tmp_path: Path) -> None:
    """A59: what was only moved still takes every line; for what was removed they wait, and come once there is room."""
    (tmp_path / "there").mkdir()
    path = tmp_path / "there" / "log"
    log = Log(LogFile(str(path)))
    log.line("application.started", 0, member="supervisor")
    (tmp_path / "there").rename(tmp_path / "elsewhere")
    log.line("ring.sealed", 1, member="supervisor")
    log.line("ring.sealed", 2, member="supervisor")
    moved = tmp_path / "elsewhere" / "log"
    assert events(moved) == ["application.started", "ring.sealed", "log.altered", "log.altered", "ring.sealed"]
    moved.unlink()
    log.line("ring.sealed", 3, member="supervisor")
    assert log.due is not None
    (tmp_path / "there").mkdir()
    log.tick(log.due)
    assert events(path) == ["log.rotated", "log.resumed", "log.altered", "ring.sealed"]
    log.close()


def test_a_head_that_is_moved_or_removed_is_made_anew_and_told(under: Under) -> None:
    """A55: it is the head of the next line again; what happened stays in the log."""
    under.path.with_name("log.head").unlink()
    under.log.line("ring.sealed", 1, member="supervisor")
    head = read_head(str(under.path))
    assert head is not None
    assert (head.seq, head.chain) == under.log.head
    assert under.altered() == ["the file's head was moved or removed while it was written to"]


def test_what_stands_behind_the_last_line_of_a_file_is_judged(tmp_path: Path) -> None:
    """A55: in a file that was turned it is a flaw; at the very end a line, or a piece of one."""
    path = tmp_path / "log"
    write(path, lines=40, size=SIZE)
    forged = b'{"time":1.0,"event":"ring.sealed","epoch":9,"why":"forged"}'
    turned = path.with_name("log.1")
    said = ""
    for place in (turned, path):
        whole = place.read_bytes()
        place.write_bytes(whole + forged)
        assert verify(path).code == 1
        place.write_bytes(whole + b"words")
        assert verify(path).code == 1
        place.write_bytes(whole + forged[:-1])
        ended = CliRunner().invoke(command, ["verify", str(path)])
        assert ended.exit_code == (1 if place is turned else 3)
        said = ended.stdout
        place.write_bytes(whole)
    assert said.splitlines()[-1] == "behind it stand 58 bytes of a line that is not whole: nothing vouches for them"
    path.write_bytes(path.read_bytes()[:-1])  # a line of ours that lacks but its end is one
    assert verify(path)[:2] == (0, [])
    path.write_bytes(b"x" * 1_000_000 + b"\n")
    assert len(verify(path).flaws) == 2


def test_nothing_but_a_regular_file_is_opened_in_the_place_of_one(tmp_path: Path) -> None:
    """A59: a pipe that somebody has put there holds up neither the application nor the verifier; it is said which."""
    path = tmp_path / "log"
    for name in ("log.head", "log.1"):
        there = path.with_name(name)
        os.mkfifo(there)
        with pytest.raises(OSError, match=f"{name} is no regular file, and stands where the log has one"):
            LogFile(str(path))
        there.unlink()
        there.symlink_to(tmp_path / "pipe")
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match=f"{name} is no regular file"):
            LogFile(str(path))
        there.unlink()
        (tmp_path / "pipe").unlink()
    path.with_name("log.head").unlink()
    path.with_name("log.head").mkdir()
    with pytest.raises(OSError, match="no regular file"):
        LogFile(str(path))
    path.with_name("log.head").rmdir()
    write(path)
    assert verify(path).code == 0
    os.mkfifo(path.with_name("log.1"))
    said = CliRunner().invoke(command, ["verify", str(path)])
    assert (said.exit_code, "log.1 is no regular file" in said.output) == (2, True)
