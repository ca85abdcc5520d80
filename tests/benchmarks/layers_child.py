"""The entry of a process of `ours_layers`: leaves layers out, or times them, and then is the entry that ships.

Imports trollbridge's actors layer, and that only inside functions: what a variant does without, it must not import.
"""

from __future__ import annotations

import gc
import json
import sys
from functools import partial
from importlib import import_module
from time import thread_time_ns
from types import ModuleType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from tests.benchmarks.layers import TIMED, Layer
from tests.harness.replacing import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trollbridge.messages.posture import Evidence

P = ParamSpec("P")
R = TypeVar("R")

MARK = "durations: "
"""How the text begins in which a timed process tells its durations."""
PACKAGE = "trollbridge.actors.isolation"
MEASURED = (
    ("landlock", "restrict", "Landlock"),
    ("seccomp", "install", "seccomp"),
    ("secret_memory", "prepare", "secret memory"),
    ("capabilities", "drop", "capabilities"),
    ("capabilities", "no_new_privileges", "no new privileges"),
    ("imports", "seal", "imports sealed"),
)
"""Module, function, and what people call it."""
IMPORTS, REHEARSAL, COLLECTION, WHOLE = "its modules", "rehearsal", "garbage collection", "the lock as a whole"

durations: dict[str, int] = {}
"""Nanoseconds of this thread's processor time, so that others on the machine do not count."""


def timed(function: Callable[P, R], name: str, *arguments: P.args, **named: P.kwargs) -> R:
    """Call a function and keep how long it took, added up under a name."""
    began = thread_time_ns()
    try:
        return function(*arguments, **named)
    finally:
        durations[name] = durations.get(name, 0) + thread_time_ns() - began


def time_each_mechanism() -> None:
    """Have this process time what the lock does, and tell the supervisor beside its evidence."""
    for shared in ("ctypes", *(f"trollbridge.messages.{each}" for each in ("control", "posture", "sandbox"))):
        import_module(shared)  # what the rest needs too
    lock_module = timed(import_module, IMPORTS, f"{PACKAGE}.lock")
    for module, function, name in MEASURED:
        found = import_module(f"{PACKAGE}.{module}")
        replace(found, **{function: partial(timed, getattr(found, function), name)})
    replace(lock_module, settle=partial(timed, vars(lock_module)["settle"], COLLECTION))
    child = import_module("trollbridge.actors.entry.child")
    replace(child, lock=partial(telling_lock, child.lock), rehearse=partial(timed, child.rehearse, REHEARSAL))


def telling_lock(own: Callable[..., tuple[Evidence, ...]], *arguments: object, **named: object) -> tuple[Evidence, ...]:
    """Lock this process; add the durations to its evidence."""
    from trollbridge.messages.posture import Evidence, Mechanism, State  # noqa: PLC0415  # see above

    evidence = timed(own, WHOLE, *arguments, **named)
    told = Evidence(Mechanism.SEALED_IMPORTS, State.MISSING, MARK + json.dumps(durations))
    return *evidence, told


def leave_out(layers: Iterable[str]) -> None:
    """Replace what a layer does by nothing, in this process."""
    for layer in layers:
        if layer == Layer.REST:
            _leave_out_lock()
        elif layer == Layer.LANDLOCK:
            replace(import_module(f"{PACKAGE}.landlock"), prepare=_nothing, restrict=partial(_missing, "LANDLOCK"))
        elif layer == Layer.SECCOMP:
            replace(import_module(f"{PACKAGE}.seccomp"), install=partial(_missing, "SECCOMP"))
        elif layer == Layer.MEMORY:
            memory = import_module(f"{PACKAGE}.secret_memory")
            memory.SecretMemory._lay = staticmethod(partial(_missing, "SECRET_MEMORY"))


def _nothing(*_: object) -> None:
    """Do nothing."""


def _missing(mechanism: str, *_: object, **_named: object) -> Evidence:
    from trollbridge.messages.posture import Evidence, Mechanism, State  # noqa: PLC0415  # see above

    return Evidence(Mechanism[mechanism], State.MISSING, "left out by the benchmark")


def _leave_out_lock() -> None:
    """Put an empty lock in the place of the module, before anything imports it and what it imports."""
    empty = ModuleType(f"{PACKAGE}.lock")
    empty.__dict__.update(__file__="", harden=_nothing, lock=_no_lock, unlocked=_no_lock, settle=gc.enable)
    sys.modules[empty.__name__] = empty
    replace(import_module("trollbridge.actors.entry.child"), rehearse=_nothing)


def _no_lock(*_: object, **_named: object) -> tuple[Evidence, ...]:
    """Lay nothing, and have nothing to show."""
    gc.enable()
    return ()


def enter(words: str) -> None:
    """Run one process of an application without the layers named in `words`."""
    chosen = [each for each in words.split(",") if each]
    if Layer.REST in chosen:  # it takes the others' modules with it
        chosen = [each for each in chosen if each not in (Layer.LANDLOCK, Layer.SECCOMP)]
    leave_out(each for each in chosen if each != TIMED)
    if TIMED in chosen:
        time_each_mechanism()
    import_module("trollbridge.actors.entry.child").main()
