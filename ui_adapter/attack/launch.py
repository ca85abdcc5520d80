"""Starting the runner: as the user that we are, or as an ordinary one if we are root.

May import: our actors' isolation, `ground`, `plan`. Invariants: the runner has a clean environment and
ends in bounded time, or is killed with everything below it; nothing is asked of anybody.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
import subprocess
import sys
from typing import Final

import msgspec

from trollbridge.actors.isolation import kernel
from trollbridge.ui_adapter.attack.ground import remove_left
from trollbridge.ui_adapter.attack.plan import Plan, Records

NOBODY: Final = 65_534
PATIENCE: Final = 600.0
"""Seconds that a runner may take: some thirty times what it needs on a machine that does nothing else."""
_PASSED_ON: Final = ("TMPDIR", "XDG_RUNTIME_DIR")
_PR_SET_KEEPCAPS: Final = 8
_CAPABILITIES_3: Final = 0x20080522
_RUN: Final = "from trollbridge.ui_adapter.attack.runner import main; main()"
_DROP: Final = "from trollbridge.ui_adapter.attack.launch import become_nobody; become_nobody()"


class RunnerFailed(Exception):
    """The runner of the attacks did not come to its end; what it said last is in the message."""


def carry_out(plan: Plan, *, ordinary: bool = False, patience: float = PATIENCE) -> Records:
    """Carry out a plan in a process of its own; with `ordinary`, never as root.

    Raises `RunnerFailed`, also after `patience` seconds. Whatever happens, nothing is left behind.
    """
    entry = _DROP if ordinary and os.geteuid() == 0 else _RUN
    with subprocess.Popen(  # noqa: S603  # our own interpreter and code
        [sys.executable, "-I", "-c", entry],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"LC_ALL": "C.UTF-8", **{name: os.environ[name] for name in _PASSED_ON if name in os.environ}},
        cwd="/",
        start_new_session=True,
    ) as process:
        try:
            output, said = process.communicate(msgspec.json.encode(plan), patience)
        except BaseException as error:  # an interrupt too: nothing may be left
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                msg = f"it took more than {patience:g} seconds"
                raise RunnerFailed(msg) from None
            raise
        finally:
            remove_left(plan.token)  # the runner does it too, unless somebody has killed it
    try:
        return msgspec.json.decode(output, type=Records)
    except msgspec.DecodeError:
        last = said.decode(errors="replace").strip().splitlines()[-1:] or [f"it ended with {process.returncode}"]
        raise RunnerFailed(last[0]) from None


def become_nobody() -> None:
    """Give up root, then start the runner anew, so that it is an ordinary process of an ordinary user.

    Capabilities last until the exec, so that an interpreter in a folder of root's own is found.
    """
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    kernel.prctl(_PR_SET_KEEPCAPS, 1)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    header, data = struct.pack("=Ii", _CAPABILITIES_3, 0), ctypes.create_string_buffer(24)
    kernel.syscall("capget", header, data)
    sets = list(struct.unpack("=6I", data.raw))
    sets[0], sets[3] = sets[1], sets[4]  # effective = permitted
    kernel.syscall("capset", header, struct.pack("=6I", *sets))
    os.execv(sys.executable, [sys.executable, "-I", "-c", _RUN])  # noqa: S606  # no shell is wanted
