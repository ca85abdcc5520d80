"""What a program is given before it begins: its limits and its walls, laid on in between fork and exec.

May import: `isolation`, our `program`. Invariants: everything is made ready before a fork; what runs after it only
makes system calls; a program has its own Landlock domain inside its host's, so it can signal neither its host nor
another program; and the list that keeps it from leaving its group.
"""

from __future__ import annotations

import os
import resource
import signal
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import bpf, deny_list, kernel, landlock, seccomp
from trollbridge.actors.isolation.syscalls import here

if TYPE_CHECKING:
    from trollbridge.actors.hosts.program import Spec

_DESCRIPTORS: Final = 256
"""What a program may have open."""
_NICE: Final = 10
"""Members come first where both want the processor."""


class Confinement:
    """The walls of one program, ready to be laid on."""

    def __init__(self, spec: Spec, home: str) -> None:
        """Make them; raises `DeclarationError`, `OSError`."""
        self._rules: Final = landlock.nested(spec.sandbox.resolved({}, home))
        self._filter: Final = bpf.translate(deny_list.programs(alone=not spec.starts), here())
        self._memory: Final = spec.memory
        self._host: Final = os.getpid()

    def enter(self) -> None:
        """Lay them on the calling process, which is about to be the program; raises `OSError`."""
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_DFL)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._host:  # it ended before that
            os._exit(1)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)  # set already, but in learn mode
        os.nice(_NICE)
        _lower(resource.RLIMIT_NOFILE, _DESCRIPTORS)
        landlock.enter(self._rules)
        _lower(resource.RLIMIT_AS, self._memory)
        seccomp.load(self._filter, 0)

    def close(self) -> None:
        """Let go of the ruleset."""
        if self._rules >= 0:
            os.close(self._rules)


def _lower(kind: int, wanted: int) -> None:
    """Lower a limit for good, soft and hard; one that is lower already stays."""
    hard = resource.getrlimit(kind)[1]
    least = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (least, least))
