"""What the demonstration has shown: each part with its verdict; a part that fails is recorded and the rest goes on.

May import: our screen. Invariant: nothing that a part raises ends the demonstration, and nothing that failed is
counted as shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.ui_adapter.screen import Screen

SHOWN: Final = "shown"
LEFT_OUT: Final = "left out"
FAILED: Final = "FAILED"
_STYLES: Final = {SHOWN: "good", LEFT_OUT: "faint", FAILED: "bad"}


class NotShown(Exception):
    """What was to be shown did not happen."""


class LeftOut(Exception):
    """Something that this part needs is not installed."""


def expect(condition: object, otherwise: str) -> None:
    """Raise `NotShown` with the sentence `otherwise` unless the condition holds."""
    if not condition:
        raise NotShown(otherwise)


class Part(NamedTuple):
    """One line of the table at the end."""

    what: str
    verdict: str
    seen: str


class Report:
    """The parts so far."""

    def __init__(self, screen: Screen) -> None:
        """Take where headings and the table are written."""
        self._screen = screen
        self.parts: list[Part] = []

    def show(self, what: str, act: Callable[[], str]) -> None:
        """Run one part under a heading; `act` returns what was seen, or raises. Raises `OSError` only of the screen."""
        self._screen.heading(what)
        try:
            part = Part(what, SHOWN, act())
        except LeftOut as reason:
            part = Part(what, LEFT_OUT, str(reason))
        except BrokenPipeError:
            raise  # nobody reads any more
        except Exception as error:  # noqa: BLE001  # whatever it was, it was not shown
            told = str(error) if isinstance(error, NotShown) else f"{type(error).__name__}: {error}"
            part = Part(what, FAILED, " ".join(told.split()))
        self.parts.append(part)
        self._screen.line(f"  {self._screen.paint(f'{part.verdict}: {part.seen}', _STYLES[part.verdict])}")

    def conclude(self) -> int:
        """Write the table; return 0 if nothing failed, else 1."""
        self._screen.heading("What was shown")
        self._screen.table([(part.verdict, part.what) for part in self.parts])
        failed = sum(part.verdict == FAILED for part in self.parts)
        total = len(self.parts)
        text = f"{failed} of {total} parts FAILED." if failed else f"All {total} parts are as they should be."
        self._screen.line(f"\n{self._screen.paint(text, 'bad' if failed else 'good')}")
        return 1 if failed else 0
