"""The command under test, as a person runs it: its exit code, its output, the lines it says, its log, its processes.

Invariant: when `run` returns and when a `Dialogue` is left, no process of the command exists, not even a zombie.
"""

from __future__ import annotations

import atexit
import codecs
import functools
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import msgspec

from tests.conftest import descendants, end_all, outliving
from trollbridge.actors.operations.log import Line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from tests.conftest import Process

COMMAND: Final = str(Path(sys.executable).with_name("trollbridge"))
APPLICATIONS: Final = Path(__file__).with_name("applications")
PATIENCE: Final = 60.0
"""Seconds after which something hangs, on a busy machine too."""


class Ended(NamedTuple):
    """A command that has ended: its exit code, its output, what it said to a person, its log."""

    code: int
    output: str
    said: list[str]
    log: list[Line]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what the command gets of the environment, so that the machine's own settings do not count."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": runtime_folder(), **(more or {})}


@functools.cache
def runtime_folder() -> str:
    """Return a runtime folder of this process's own: another one that tests runs the same applications."""
    folder = tempfile.mkdtemp(prefix="trollbridge-run-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _split(text: str) -> tuple[list[str], list[Line]]:
    said: list[str] = []
    log: list[Line] = []
    for line in text.splitlines():
        try:
            log.append(msgspec.json.decode(line, type=Line))
        except msgspec.DecodeError:
            said.append(line)
    return said, log


def _nothing_left(before: frozenset[Process], seconds: float) -> None:
    left = outliving(before, seconds)
    end_all(left)
    assert not left, f"left behind: {', '.join(f'{each.name} ({each.pid})' for each in left)}"


def run(
    *arguments: str,
    folder: Path = APPLICATIONS,
    more: Mapping[str, str] | None = None,
    typed: str = "",
    prefix: Sequence[str] = (),
    afterwards: float = 0.0,
) -> Ended:
    """Run the command to its end with `typed` as its input; a command that hangs fails the test.

    `afterwards`: seconds that a process may take to end which a UI itself has started; ours may take none.

    `prefix` is what the command is an argument of, such as a shell that limits it.
    """
    before = descendants()
    done = subprocess.run(
        [*prefix, COMMAND, *arguments],
        input=typed.encode(),
        capture_output=True,
        cwd=folder,
        env=environment(more),
        timeout=PATIENCE,
        check=False,
    )
    late = [each for each in descendants() - before if each.name.startswith("troll-")]
    assert not late, f"a process of ours has outlived the command: {late}"
    _nothing_left(before, afterwards)
    said, log = _split(done.stderr.decode())
    assert "Traceback" not in done.stderr.decode(), done.stderr.decode()
    return Ended(done.returncode, done.stdout.decode(), said, log)


class Dialogue:
    """A command that runs while the test talks with it, over pipes or over a terminal."""

    def __init__(self, popen: subprocess.Popen[bytes], writes: int, reads: int, before: frozenset[Process]) -> None:
        """Take the command, and the descriptors that it is talked to and listened to by."""
        self.popen: Final = popen
        self.heard = ""
        """Everything that it has written so far."""
        self._taken = 0
        self._writes = writes
        self._reads = reads
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode  # a character may come in two pieces
        self._before = before

    @property
    def terminal(self) -> int:
        """Our end of the terminal that it runs on."""
        return self._reads

    def hear(self, text: str) -> str:
        """Wait until the command has written `text` after what was heard before; return what came up to it."""
        until = time.monotonic() + PATIENCE
        start = self._taken
        poll = select.poll()
        poll.register(self._reads, select.POLLIN)
        while text not in self.heard[start:]:
            assert poll.poll(max(0.0, until - time.monotonic()) * 1000), f"never came: {text!r}, but {self.heard!r}"
            try:
                piece = os.read(self._reads, 4096)
            except OSError:  # a terminal whose other side is closed
                piece = b""
            assert piece, f"it ended before it wrote {text!r}: {self.heard!r}"
            self.heard += self._decode(piece)
        self._taken = self.heard.index(text, start) + len(text)
        return self.heard[start : self._taken]

    def say(self, text: str) -> None:
        """Write to the command."""
        os.write(self._writes, text.encode())

    def hang_up(self) -> None:
        """Close every descriptor that leads to the command."""
        for descriptor in {self._writes, self._reads}:
            os.close(descriptor)
        self._writes = self._reads = -1

    def end(self, seconds: float = PATIENCE) -> int:
        """Wait for the end of the command and of all its processes; return the exit code."""
        until = time.monotonic() + seconds
        code = self.popen.wait(seconds)
        _nothing_left(self._before, max(0.0, until - time.monotonic()))
        return code

    def member(self, name: str) -> int:
        """Return a descriptor of the process of that name, which runs."""
        [found] = [each for each in descendants() - self._before if each.name == name]
        return os.pidfd_open(found.pid)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""
        if self._reads >= 0:
            self.hang_up()
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait(PATIENCE)
        if error is not None:
            end_all(outliving(self._before, 1.0))


def talk(
    *arguments: str,
    folder: Path = APPLICATIONS,
    more: Mapping[str, str] | None = None,
    errors: int = subprocess.DEVNULL,
) -> Dialogue:
    """Start the command with pipes for its input and output."""
    before = descendants()
    inside, writes = os.pipe()
    reads, outside = os.pipe()
    popen = subprocess.Popen(
        [COMMAND, *arguments], stdin=inside, stdout=outside, stderr=errors, cwd=folder, env=environment(more)
    )
    os.close(inside)
    os.close(outside)
    return Dialogue(popen, writes, reads, before)


def talk_on_a_terminal(
    *arguments: str,
    under_a_shell: bool = False,
    more: Mapping[str, str] | None = None,
    command: Sequence[str] = (COMMAND,),
) -> Dialogue:
    """Start the command as the leader of a session of its own, or under a shell that is, on a new terminal."""
    before = descendants()
    ours, theirs = os.openpty()
    start = '"$@"; exit $?' if under_a_shell else 'exec "$@"'
    leader = f"exec <>/proc/self/fd/0 >&0 2>&0; {start}"  # a leader without a terminal gets the first that it opens
    popen = subprocess.Popen(
        ["/bin/sh", "-c", leader, "sh", *command, *arguments],
        stdin=theirs,
        cwd=APPLICATIONS,
        env=environment({"TERM": "xterm", "NO_COLOR": "1", **(more or {})}),
        start_new_session=True,
    )
    os.close(theirs)
    return Dialogue(popen, ours, ours, before)
