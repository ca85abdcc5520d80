"""One try of one attack: fork, lock, act, judge, and clear away whatever is left.

May import: our actors' isolation and messages, `attempt`, `ground`, `layers`, `victim`. Invariants: a try ends within
`PATIENCE`; when it has ended no process of it lives but the zygotes of victims; the attacker's word is never enough
where an effect can be seen.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from trollbridge.actors.isolation import kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.ui_adapter.attack.attempt import Attempt
    from trollbridge.ui_adapter.attack.ground import Ground, Site

    Lock = Callable[[], None]

PATIENCE: Final = 30.0
"""Seconds that one attack may take."""
_LARGEST: Final = 1 << 20
_REPORT: Final = 1
"""The attacker's descriptor for its report: standard output, so that a program that it executes can report too."""
_WORKED: Final = b"+"
_FAILED: Final = b"-"
_NOT_PREPARED: Final = b"!"


class Try(NamedTuple):
    """What came of one try."""

    worked: bool
    happened: str
    prepared: bool = True
    """False: the attack could not be set up, so that nothing was tried."""


def describe(error: BaseException) -> str:
    """Return an error as one word where there is one: `EACCES`."""
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, str(error.errno))
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _say(word: bytes, more: bytes = b"") -> None:
    report = word + more[:_LARGEST]
    while report:
        report = report[os.write(_REPORT, report) :]


def _attack(attempt: Attempt, ground: Ground, report: int, lock: Lock) -> NoReturn:
    """Be the attacker."""
    try:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.dup2(report, _REPORT)
        try:
            attempt.before(ground)
            _keep_only({ground.link.fileno(), *ground.kept})
            lock()
        except BaseException as error:  # noqa: BLE001  # whatever it is, the runner must hear it
            _say(_NOT_PREPARED, describe(error).encode())
            os._exit(1)
        try:
            found = attempt.act(ground) or b""
        except BaseException as error:  # noqa: BLE001  # as above
            _say(_FAILED, describe(error).encode())
        else:
            _say(_WORKED, found)
    finally:
        os._exit(0)


def _keep_only(kept: set[int]) -> None:
    """Close every descriptor but the three standard ones and `kept`, as a process that is to be locked does."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 2)
    first = 3
    for each in sorted(kept):
        os.closerange(first, each)
        first = each + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def _heard(reading: int, pid: int) -> tuple[bytes, bool]:
    """Return the whole report, and whether it came in time; who is late is killed."""
    deadline = time.monotonic() + PATIENCE
    report = bytearray()
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([reading], [], [], left)[0]:
            continue
        part = os.read(reading, 65536)
        if not part:
            return bytes(report), True
        report += part
    os.kill(pid, signal.SIGKILL)  # our own child, not reaped yet
    return bytes(report), False


def _judge(attempt: Attempt, ground: Ground, report: bytes, status: int) -> Try:
    word, more = report[:1], report[1:]
    if os.WIFSIGNALED(status):
        return Try(worked=False, happened=f"killed by {signal.Signals(os.WTERMSIG(status)).name}")
    if word == _NOT_PREPARED:
        return Try(worked=False, happened=f"not prepared: {more.decode()}", prepared=False)
    if word == _FAILED:
        return Try(worked=False, happened=more.decode())
    if word != _WORKED:
        return Try(worked=False, happened="ended without a word")
    try:
        proved = attempt.proof(ground, more)
    except Exception as error:  # noqa: BLE001  # what cannot be seen did not happen
        return Try(worked=False, happened=f"no effect ({describe(error)})")
    return Try(worked=True, happened="it worked") if proved else Try(worked=False, happened="no effect")


def try_once(
    attempt: Attempt,
    site: Site,
    lock: Callable[[Ground], Lock],
    bring: Callable[[Ground], None],
    spared: frozenset[int],
) -> Try:
    """Make one try on fresh ground.

    `lock`: what the attacker does to be locked. `bring`: gives the ground its victim. `spared`: children that stay.
    """
    ground = site.ground()
    try:
        if attempt.victim:
            bring(ground)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _attack(attempt, ground, writing, lock(ground))
        os.close(writing)
        try:
            report, in_time = _heard(reading, pid)
        finally:
            os.close(reading)
        status = os.waitpid(pid, 0)[1]
        if not in_time:
            return Try(worked=False, happened="ran out of time")
        return _judge(attempt, ground, report, status)
    finally:
        ground.close()
        _reap(spared)


def _reap(spared: frozenset[int]) -> None:
    """Kill and reap every child but `spared`; orphans of an attacker are our children too."""
    with suppress(OSError):
        with open("/proc/self/task/" + str(os.getpid()) + "/children", encoding="ascii") as file:  # noqa: PTH123
            left = {int(each) for each in file.read().split()} - spared
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
