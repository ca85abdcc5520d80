"""Runs a command as on a kernel that lacks something: an outer filter answers for it, inherited by all that it starts.

`lacking(command, {"seccomp": errno.ENOSYS})` and `old_landlock(command, 3)` return what to execute instead of the
command; the process that is started becomes the command, so its PID, its end and its streams are the command's own.
The filters are an independent library's. The command runs with no_new_privs set. Imports nothing of ours.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from seccompy import ArgCmp, CmpOp, Filter, FilterFlag, SeccompError, notify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_QUERY: Final = "landlock_create_ruleset"
_VERSION: Final = 1  # LANDLOCK_CREATE_RULESET_VERSION
_FLAGS: Final = 2
"""Which argument of the query holds its flags."""
_WORD: Final = "landlock="


def lacking(command: Sequence[str], refused: Mapping[str, int]) -> list[str]:
    """Return a command that runs `command` where the calls named in `refused` fail with these error numbers."""
    return _wrapped(command, [f"{name}={number}" for name, number in refused.items()])


def old_landlock(command: Sequence[str], abi: int) -> list[str]:
    """Return a command that runs `command` where Landlock says that it is of version `abi`."""
    return _wrapped(command, [f"{_WORD}{abi}"])


def _wrapped(command: Sequence[str], what: list[str]) -> list[str]:
    return [sys.executable, "-I", __file__, *what, "--", *command]


def refuse(refused: Mapping[str, int]) -> None:
    """Have the calls of this process fail with these error numbers from now on."""
    outer = Filter()
    for name, number in refused.items():
        outer.errno(name, number)
    outer.load()


def pretend(abi: int) -> None:
    """Have Landlock say from now on that it is of version `abi`; a process of its own, nobody's child, answers."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        if os.fork():
            os._exit(0)
        ours.close()
        _answer(theirs, abi)
    os.waitpid(child, 0)
    theirs.close()
    outer = Filter(flags=FilterFlag.NEW_LISTENER)
    outer.notify(_QUERY, args=[ArgCmp(_FLAGS, CmpOp.EQ, _VERSION)])
    listener = outer.load()
    if listener is None:
        msg = "seccomp(2) returned no listener"
        raise OSError(msg)
    with listener, ours:
        socket.send_fds(ours, [b"\0"], [listener.fileno()])


def _answer(end: socket.socket, abi: int) -> NoReturn:
    """Answer until the last process that could ask has ended."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):  # whoever reads what the command writes must see its end
            os.dup2(null, stream)
        _, descriptors, _, _ = socket.recv_fds(end, 1, 1)
        end.close()
        with notify.Listener(descriptors[0]) as listener:
            poll = select.poll()
            poll.register(listener.fileno(), select.POLLIN)
            while poll.poll()[0][1] & select.POLLIN:
                _answer_one(listener, abi)
    finally:
        os._exit(0)


def _answer_one(listener: notify.Listener, abi: int) -> None:
    try:
        listener.respond(listener.recv().id, val=abi)
    except SeccompError as gone:  # it was killed while it asked
        if gone.errno != errno.ENOENT:
            raise


def main(arguments: list[str]) -> NoReturn:
    """Take `CALL=ERRNO …` or `landlock=ABI`, then `--` and the command."""
    split = arguments.index("--")
    for each in arguments[:split]:
        if each.startswith(_WORD):
            pretend(int(each.removeprefix(_WORD)))
    refused = dict(each.split("=") for each in arguments[:split] if not each.startswith(_WORD))
    if refused:
        refuse({name: int(number) for name, number in refused.items()})
    command = arguments[split + 1 :]
    os.execvp(command[0], command)  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
