"""The key of a log: a file that moves on with each run, and the verification key that stays elsewhere.

May import: the standard library, our messages, `chain`. Invariant: the key of a run is gone from the file before the
run's first line is written; nothing that is left on the machine leads back to it.

The file has 40 bytes: the number of the run that comes next (u64, from 1), and its key. The verification key is the
first of them, in hex; whoever has it can compute all. It must not stay on the machine whose log it is to verify.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from typing import Final, NamedTuple

from trollbridge.actors.operations.chain import next_key, run_key

SIZE: Final = 40


class RunKey(NamedTuple):
    """The key of one run."""

    run: int
    key: bytes

    def __repr__(self) -> str:
        """Show the number only."""
        return f"<RunKey {self.run}>"


def make(path: str) -> str:
    """Make a key file, 0600; return the verification key in hex. Raises `OSError`, also if the file exists."""
    key = os.urandom(32)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, (1).to_bytes(8, "big") + key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return key.hex()


def look(path: str) -> None:
    """Look whether a key could be taken; raises what `take` does."""
    os.close(_opened(path))


def take(path: str) -> RunKey:
    """Return the key of the run that begins, and leave the next one's in the file.

    Raises `OSError` if it cannot be read and written, and with EPERM for a file that is not ours alone, EINVAL for one
    that holds no key.
    """
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        content = os.pread(descriptor, SIZE, 0)
        run, key = int.from_bytes(content[:8], "big"), content[8:]
        os.pwrite(descriptor, (run + 1).to_bytes(8, "big") + next_key(key), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return RunKey(run, run_key(key))


def _opened(path: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != SIZE:
            raise OSError(errno.EINVAL, "it holds no log key; make one with trollbridge log key")
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise OSError(errno.EPERM, "others may read it; it must be yours, with mode 0600")
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
