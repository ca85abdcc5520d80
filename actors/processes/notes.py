"""The notes that were added to an exception, as a person is shown them.

May import: our messages. Invariant: what is returned is printable and bounded, whatever the notes are.
"""

from __future__ import annotations

from typing import Final, cast

from trollbridge.messages.vault import printable

_MOST: Final = 40
"""Lines that are shown."""
_LONGEST: Final = 200
"""Characters of each."""


def beneath(error: BaseException | None) -> str:
    """Return the notes as lines that follow the one that tells of the exception."""
    return "".join(f"\n  {line}" for line in _lines(error))


def behind(error: BaseException | None) -> str:
    """Return the notes as the end of the line that tells of the exception."""
    return "".join(f"; {line.strip()}" for line in _lines(error))


def _lines(error: BaseException | None) -> tuple[str, ...]:
    """Return the lines of an exception's notes, the first so many, without what is empty."""
    added: object = getattr(error, "__notes__", None)
    if not isinstance(added, list):
        return ()
    given = cast("list[object]", added)
    lines = (
        line for note in given[: _MOST + 1] if isinstance(note, str) for line in note[: _MOST * _LONGEST].splitlines()
    )
    shown = [printable(line.expandtabs(4))[:_LONGEST] for line in lines if line.strip()]
    return tuple(shown if len(shown) <= _MOST else [*shown[: _MOST - 1], "…"])
