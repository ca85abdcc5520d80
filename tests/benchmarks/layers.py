"""The layers that a benchmark can leave out, and the variants of our application that it measures.

Pure: imports the standard library and the roster. It owns one rule: the variants run the same program, which differs in
nothing but the layers that are left out.
"""

from __future__ import annotations

from enum import StrEnum

from tests.benchmarks.roster import Entry


class Layer(StrEnum):
    """One thing that can be left out, as it stands in an argument."""

    START = "start"
    """The execute-only copy of the interpreter."""
    LANDLOCK = "landlock"
    SECCOMP = "seccomp"
    MEMORY = "memory"
    """Secret memory: keys lie in ordinary memory."""
    REST = "rest"
    """Everything else that the lock does, the code of all of it, and the look from outside."""


LOCKED = "locked"
UNLOCKED = "unlocked"
TIMED = "timed"
"""The argument with which each process tells how long each mechanism took it."""


def _variant(name: str, title: str, *left_out: Layer) -> Entry:
    return Entry(name, title, "ours_layers.py", arguments=tuple(left_out))


PAIR: tuple[Entry, ...] = (_variant(LOCKED, "locked"), _variant(UNLOCKED, "unlocked", *Layer))
"""The two that the targets compare."""
ALONE: tuple[Entry, ...] = (
    _variant("no-start", "all but the execute-only start", Layer.START),
    _variant("no-landlock", "all but Landlock", Layer.LANDLOCK),
    _variant("no-seccomp", "all but seccomp", Layer.SECCOMP),
    _variant("no-memory", "all but secret memory", Layer.MEMORY),
)
"""Each of the others lacks one layer."""
TELLING = Entry("timed", "locked, and tells how long it took", "ours_layers.py", arguments=(TIMED,))
