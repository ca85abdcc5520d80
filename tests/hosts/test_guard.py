"""The guard kills what a host has left, whichever way the host ends, and nothing else."""

from __future__ import annotations

import os
import select
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from trollbridge.actors.hosts.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

PATIENCE: Final = 10.0


def program(told: int, guard: Guard) -> int:
    """Start a process in a group of its own that announces itself; return its PID once it has begun."""
    begun, open_until_then = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setpgid(0, 0)
            guard.announce()
            os.write(told, b"%d " % os.getpid())
            os.execv("/bin/sleep", ["sleep", "1000"])  # noqa: S606  # every descriptor of ours is closed
        finally:
            os._exit(1)
    os.close(open_until_then)
    os.read(begun, 1)
    return child


def announced(told: int, guard: Guard) -> None:
    """Be a host that is killed before it can say that its program has begun."""
    program(told, guard)


def kept(told: int, guard: Guard) -> None:
    """Be a host with two programs that have begun, and a third that could not."""
    for _ in range(2):
        guard.keep(program(told, guard))
    guard.keep(0)


def forgotten(told: int, guard: Guard) -> None:
    """Be a host that takes a program for ended; nobody may be killed whose number it was once."""
    number = program(told, guard)
    guard.keep(number)
    guard.forget(number)


def failed(told: int, guard: Guard) -> None:
    """Be a host whose program could not begin, and that says so."""
    program(told, guard)
    guard.keep(0)


@contextmanager
def hosted(act: Callable[[int, Guard], None]) -> Generator[list[int]]:
    """Have a host do that, and kill it; yield the pidfds of its programs, once its guard has ended. All are adopted."""
    told, ours = os.pipe()
    done, also = os.pipe()
    host = os.fork()
    if not host:
        try:
            guard = Guard()
            act(ours, guard)
            os.write(also, b"%d" % guard.pid)
            signal.pause()
        finally:
            os._exit(1)
    for each in (ours, also):
        os.close(each)
    guards = int(os.read(done, 100))
    os.kill(host, signal.SIGKILL)
    os.waitpid(host, 0)
    os.waitpid(guards, 0)
    numbers = [int(each) for each in os.read(told, 100).split()]
    ends = [os.pidfd_open(each) for each in numbers]
    try:
        yield ends
    finally:
        for each in ends:
            signal.pidfd_send_signal(each, signal.SIGKILL)
            os.waitid(os.P_PIDFD, each, os.WEXITED)
        for each in (told, done, *ends):
            os.close(each)


@pytest.mark.parametrize("act", [announced, kept])
def test_what_was_announced_ends_with_the_host(act: Callable[[int, Guard], None]) -> None:
    """A16, R8: from before the exec on, whether or not the host has come to say that it has begun."""
    with hosted(act) as ends:
        assert len(ends) == (1 if act is announced else 2)
        assert all(select.select([each], [], [], PATIENCE)[0] for each in ends)


@pytest.mark.parametrize("act", [forgotten, failed])
def test_a_number_that_is_free_again_is_not_killed(act: Callable[[int, Guard], None]) -> None:
    """A16: the guard has ended, and would have killed before that."""
    with hosted(act) as ends:
        assert len(ends) == 1
        assert not select.select(ends, [], [], 0.1)[0]


def test_no_signal_that_asks_for_an_end_ends_a_guard() -> None:
    """A16: from its first moment on: it ends in good order, once its host has closed the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        guard = Guard()
        os.kill(guard.pid, number)
        guard.close()
        assert os.waitpid(guard.pid, 0) == (guard.pid, 0)


def test_a_guard_that_was_killed_is_known_to_have_ended_and_stops_no_host() -> None:
    """A16: whoever starts a program asks; what is told to nobody is no error."""
    guard = Guard()
    assert not guard.has_ended()
    os.kill(guard.pid, signal.SIGKILL)
    os.waitid(os.P_PID, guard.pid, os.WEXITED | os.WNOWAIT)
    assert guard.has_ended()
    guard.keep(1)
    guard.forget(1)
    guard.close()
    other = Guard()
    other.dismiss()
    with pytest.raises(ChildProcessError):
        os.waitpid(other.pid, 0)
