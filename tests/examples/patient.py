"""The clerk of the log redactor, who waits for a line at a tenth of the long log, and for another when all is done.

So whoever looks at the processes finds them all there, and knows how far they are.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.ui_adapter.bridge import Bridge

honest: Any = import_module("honest_clerk")  # the test puts this in its place, and itself under that name
report_on = honest.reporter


def reporter(name: str) -> Callable[[int, int], None]:
    """Return what shows how far a log is, and of the long one waits once."""
    report = report_on(name)
    waits = name == "b.log"

    def patient(done: int, total: int) -> None:
        nonlocal waits
        report(done, total)
        if waits and 10 * done >= total:
            waits = False
            sys.stdin.readline()

    return patient


class Clerk(honest.Clerk):  # type: ignore[misc]  # a class that is found when this is run
    """Has logs redacted, and stays."""

    def main(self, bridge: Bridge) -> int:
        """Do as the clerk does, then wait for a line."""
        honest.reporter = reporter
        failed: int = honest.Clerk.main(self, bridge)
        print("all done", flush=True)  # noqa: T201  # this is how it tells
        sys.stdin.readline()
        return failed
