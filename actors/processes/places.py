"""Where in the code something happened, without any value: safe for a log.

May import: nothing of ours. Invariant: what it returns holds names of files or modules and numbers of lines only.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType, TracebackType

_OURS: Final = ("trollbridge.", "pykka.")
"""What stands between any two parts of an application."""
_PYTHON: Final = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120  # a text, without importing pathlib
"""Where the standard library is."""
_INSTALLED: Final = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_SOURCE: Final = re.compile(r"\w[\w.-]{0,95}\.py")
"""What a source file is called; code that was put together has other names."""


def place(traceback: TracebackType | None) -> str:
    """Return where a traceback's error was raised, without any value: `file.py:line`, of the application's own files.

    It is the innermost of them. Where there is none, it is `module:line`: of an installed package, or else of whatever
    raised it.
    """
    frames = list(_frames(traceback))
    if not frames:
        return ""
    theirs = [each for each in frames if _is_source(each[0])]
    own = [each for each in theirs if _INSTALLED.search(each[0].f_code.co_filename) is None]
    if own:
        frame, line = own[-1]
        return _called(frame.f_code, line)
    frame, line = (theirs or frames)[-1]
    return f"{frame.f_globals.get('__name__', '?')}:{line}"


def defined(code: CodeType) -> str:
    """Return where a function is defined, as `file.py:line`."""
    return _called(code, code.co_firstlineno)


def _frames(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _called(code: CodeType, line: int) -> str:
    return f"{os.path.basename(code.co_filename)}:{line}"  # noqa: PTH119  # a text


def _is_source(frame: FrameType) -> bool:
    """Return whether a frame runs a source file that is neither Python's nor ours."""
    path = frame.f_code.co_filename
    return (
        not str(frame.f_globals.get("__name__", "")).startswith(_OURS)
        and (not path.startswith(_PYTHON) or _INSTALLED.search(path) is not None)
        and _SOURCE.fullmatch(os.path.basename(path)) is not None  # noqa: PTH119  # a text
    )
