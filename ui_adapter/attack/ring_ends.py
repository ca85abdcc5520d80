"""How a run ends: the application still works after every attack, ends in order, and leaves nothing, by force either.

May import: the stage, what a row is. Invariant: only processes of the attacked copy are ended by force, and none of the
application's own enclaves is among them.
"""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trollbridge.ui_adapter.attack.catalogue import Attack, Outcome, Position, Result
from trollbridge.ui_adapter.attack.ring_cast import alone
from trollbridge.ui_adapter.attack.ring_stage import Lost, Stage
from trollbridge.ui_adapter.attack.ring_trial import Row, row

if TYPE_CHECKING:
    from trollbridge.ui_adapter.attack.ring_cast import Cast

RIGHT: Final = "answered rightly"
WRONG: Final = "not answered rightly"
AFTER_A_KILL: Final = 2.0
"""Seconds within which nothing may be left of an application whose supervisor was killed."""
_LOOK_AGAIN: Final = 0.02
NOTHING_LEFT: Final = Attack("A59.nothing-left", Position.HOSTILE_UI, "leave a process behind", "every one has ended")
KILLED: Final = Attack(
    "K6.supervisor", Position.OUTSIDER, "kill the supervisor of a copy without your enclaves", "nothing is left"
)


def _honest(stage: Stage, word: str) -> list[str]:
    """Make honest calls, after which the target must have counted one."""
    stage.ui("attempt", method="mark", arguments=[word])
    answers = (stage.ui("echo", data=b"honest"), stage.extension("echo", data=b"honest"))
    return [RIGHT if each else WRONG for each in answers]


BEFORE: Final[Row] = row("A12.before", "call as an honest UI and an honest extension, before any attack", "it works",
                         _honest, fates=[RIGHT], runs=1)  # fmt: skip
AFTER: Final[Row] = row("A12.after", "call as an honest UI and an honest extension, after every attack", "it works",
                        _honest, fates=[RIGHT], runs=1)  # fmt: skip


def finish(stage: Stage) -> Result:
    """Have the application end by itself; return what was seen. Raises `Lost` if it does not end."""
    code = stage.finish()
    left = living(stage)
    happened = f"{', '.join(left)} left behind" if left else f"{len(_started(stage))} processes, none is left"
    right = not left and code == 0
    return Result(NOTHING_LEFT, Outcome.STOPPED if right else Outcome.THROUGH, f"{happened}; exit code {code}")


def kill(cast: Cast) -> Result:
    """Kill the supervisor of a copy; return what became of the others."""
    with Stage(alone(cast)) as stage:
        descriptor = os.pidfd_open(stage.supervisor)
        try:
            os.kill(stage.supervisor, signal.SIGKILL)
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll(1e3 * AFTER_A_KILL)
        finally:
            os.close(descriptor)
        until = time.monotonic() + AFTER_A_KILL
        while (left := living(stage)) and time.monotonic() < until:
            stage.wait(_LOOK_AGAIN)
    happened = f"{', '.join(left)} left behind" if left else f"{len(_started(stage))} processes, none is left"
    return Result(KILLED, Outcome.THROUGH if left else Outcome.STOPPED, happened)


def _started(stage: Stage) -> dict[int, str]:
    return {each.pid: each.member for each in stage.log if each.event == "process.started"}


def living(stage: Stage) -> list[str]:
    """Return the members whose processes live."""
    return sorted({member for pid, member in _started(stage).items() if _lives(pid)})


def _lives(pid: int) -> bool:
    """Return whether a process has this number and has not ended; a number does not come again within seconds."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


def broken(attack: Attack, lost: Lost) -> Result:
    """Return the result of an attack that could not be brought to its end."""
    return Result(attack, Outcome.NOT_TRIED, f"not brought to its end: {str(lost) or 'the hostile member is gone'}")


def unfinished(attack: Attack) -> Result:
    """Return the result of an attack that there was no time for."""
    return Result(attack, Outcome.NOT_TRIED, "no time was left for it")
