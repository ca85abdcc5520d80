"""Whether a text can be shown on a terminal as it is.

May import: the standard library. Functions of values. Invariant: what passes has no character that steers a terminal
or reorders a line: no control character but the end of a line and the tabulator, none that is not to be seen.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_HARMLESS: Final = re.compile("[\n\t\u00a0\u1680\u2000-\u200a\u200c\u200d\u202f\u205f\u3000]+")
"""What is not `printable` in Python's sense and steers nothing: ends of lines, spaces, joiners inside of words."""


def shows(pieces: Iterable[bytes]) -> bool:
    """Return whether the pieces are one UTF-8 text of printable characters, in lines that end with LF or CR LF."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    held = ""
    try:
        for piece in pieces:
            text = held + decoder.decode(piece)
            held = "\r" if text.endswith("\r") else ""  # its LF may come with the next piece
            if not _printable(text.removesuffix("\r")):
                return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return not held


def _printable(text: str) -> bool:
    return _HARMLESS.sub("", text.replace("\r\n", "\n")).isprintable()
