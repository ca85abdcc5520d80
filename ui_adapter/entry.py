"""Where the command begins: a supervisor is started again, execute-only, before it has learnt anything.

May import: our actors' isolation; the command only once that is done. Invariant: what holds an application together is
never a process that others of its user could have looked into from its start.
"""

from __future__ import annotations

import sys
from typing import Final, NoReturn

SUPERVISING: Final = frozenset({"run", "demo"})
"""The commands whose own process supervises an application with secrets."""


def main() -> NoReturn:
    """Run the command and exit."""
    if sys.platform == "linux" and SUPERVISING & set(sys.argv[1:2]):
        from trollbridge.actors.isolation.interpreter import start_over  # noqa: PLC0415  # other commands need not wait

        start_over()
    from trollbridge.ui_adapter.cli import main as command  # noqa: PLC0415  # after that

    command()
