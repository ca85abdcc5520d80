"""Which call of the code an exception comes out of, by the names that stand there; never a value.

May import: the standard library, loaded before the lock. Invariant: what it returns are names of modules, functions
and variables, as the code has them.
"""

from __future__ import annotations

import dis
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

_ATTRIBUTES: Final = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR")
_NAMES: Final = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FAST", "LOAD_DEREF")


def modules(error: BaseException) -> tuple[str, ...]:
    """Return the module of each frame that an exception passed, the innermost last."""
    return tuple(str(each.tb_frame.f_globals.get("__name__", "")) for each in _frames(error))


def functions(error: BaseException) -> tuple[str, ...]:
    """Return the name of each function that an exception passed, the innermost last."""
    return tuple(each.tb_frame.f_code.co_name for each in _frames(error))


def call(error: BaseException) -> str:
    """Return the call that raised, such as `os.uname`; empty if code in Python raised it, or nobody knows."""
    passed = list(_frames(error))
    if not passed:
        return ""
    innermost = passed[-1]
    instructions = list(dis.get_instructions(innermost.tb_frame.f_code))
    raised = next((each for each in instructions if each.offset == innermost.tb_lasti), None)
    if raised is None or not raised.opname.startswith("CALL"):
        return ""
    start, end = _span(raised)
    if start is None or end is None:
        return ""
    before = instructions[: instructions.index(raised)]
    found = "".join(_called(each for each in before if _span(each)[0] == start and (_span(each)[1] or end) < end))
    return "" if found.endswith(")") else found.removeprefix(".")


def _frames(error: BaseException) -> Iterator[TracebackType]:
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _called(instructions: Iterable[dis.Instruction]) -> Iterator[str]:
    """Yield the parts of what is called, from instructions that begin where it does: `os`, `.uname`; `f`, `()`."""
    begun = False
    for each in instructions:
        if each.opname.startswith(_ATTRIBUTES):
            yield f".{each.argval}"
        elif not begun and each.opname.startswith(_NAMES) and isinstance(each.argval, str):
            begun = True
            yield each.argval
        elif each.opname.startswith("CALL"):
            yield "()"


def _span(instruction: dis.Instruction) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """Return where the source of an instruction begins and ends, as line and column; None if that was left out."""
    at = instruction.positions
    if at is None or at.lineno is None or at.end_lineno is None or at.col_offset is None or at.end_col_offset is None:
        return None, None
    return (at.lineno, at.col_offset), (at.end_lineno, at.end_col_offset)
