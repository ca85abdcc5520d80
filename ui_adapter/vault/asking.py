"""Questions that a person answers at the terminal with yes or no.

May import: our passwords, `messages`. Invariants: what is shown cannot steer the terminal; without a terminal the
answer is no, said as an error; only `yes` or `y` is a yes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trollbridge.messages.vault import printable
from trollbridge.ui_adapter.vault.passwords import terminal
from trollbridge.ui_adapter.vault.refusals import NotSure

if TYPE_CHECKING:
    from collections.abc import Sequence


def confirmed(question: str, facts: Sequence[str] = ()) -> bool:
    """Show the facts, ask, and return whether the answer was yes; the end of input is a no. Raises `OSError`."""
    with open("/dev/tty", "r+b", buffering=0) as tty:  # noqa: PTH123  # what is typed is read where it was asked
        lines = [*facts, f"{question} [yes/no] "]
        tty.write("\n".join(map(printable, lines)).encode())
        while True:
            answer = tty.readline().decode(errors="replace").strip().lower()
            if answer in {"yes", "y", "no", "n", ""}:
                return answer in {"yes", "y"}
            tty.write(b"Please type yes or no: ")


def demand(question: str, *, sure: bool) -> None:
    """Return if the person is sure, or says so now; raises `NotSure`."""
    if sure:
        return
    if not terminal():
        msg = "there is no terminal to ask on, so nothing was done; --yes confirms it"
        raise NotSure(msg)
    if not confirmed(question):
        msg = "nothing was done"
        raise NotSure(msg)
