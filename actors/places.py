"""Where in the code something happened, without any value: safe for a log.

May import: nothing of ours. Invariant: what it returns holds names of modules and numbers of lines only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


def place(traceback: TracebackType | None) -> str:
    """Return the innermost place of a traceback as `module:line`, without any value."""
    if traceback is None:
        return ""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return f"{traceback.tb_frame.f_globals.get('__name__', '?')}:{traceback.tb_lineno}"
