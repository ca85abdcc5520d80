"""Which pieces of a file have come: in any order, none twice, and whether one is missing.

May import: our messages. Invariant: what is counted is what is covered, so as many bytes as the file has have come.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from trollbridge.messages.errors import InvalidArguments

MOST_GAPS: Final = 256
"""Gaps between pieces that have come, at a time; more are no pieces that overtook each other on their way."""


class Pieces:
    """The stretches that have come, each as long as it can be, in order."""

    def __init__(self) -> None:
        """Begin with none."""
        self.bytes = 0
        """How many have come."""
        self.end = 0
        """Where the last piece ends, empty ones too."""
        self._starts: Final[list[int]] = []
        self._ends: Final[list[int]] = []

    @property
    def whole(self) -> bool:
        """Whether nothing is missing before the end."""
        return self.bytes == self.end

    def add(self, offset: int, length: int) -> None:
        """Note a piece; raises `InvalidArguments` for one that overlaps another, or leaves too many gaps."""
        end = offset + length
        if not length:
            self.end = max(self.end, end)
            return
        starts, ends = self._starts, self._ends
        at = bisect_right(starts, offset)
        if (at and ends[at - 1] > offset) or (at < len(starts) and starts[at] < end):
            msg = "a piece overlaps one that has come"
            raise InvalidArguments(msg)
        before, after = bool(at) and ends[at - 1] == offset, at < len(starts) and starts[at] == end
        if not before and not after and len(starts) > MOST_GAPS:
            msg = f"there are {MOST_GAPS} gaps between the pieces; fill them first"
            raise InvalidArguments(msg)
        if before and after:
            ends[at - 1] = ends[at]
            del starts[at], ends[at]
        elif before:
            ends[at - 1] = end
        elif after:
            starts[at] = offset
        else:
            starts.insert(at, offset)
            ends.insert(at, end)
        self.bytes += length
        self.end = max(self.end, end)
