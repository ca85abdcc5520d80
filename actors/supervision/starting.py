"""Starts the processes of members and tells each who it is; gives the UI the descriptors that it was declared with.

May import: our messages, `formation`, `spawn`. Invariants: a descriptor of the declaration is in one process besides
whoever made it: in this one until the UI is spawned, then in the UI; nothing here reads from one.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from trollbridge.actors.outcomes.verdicts import Verdicts
from trollbridge.actors.supervision.spawn import Besides
from trollbridge.actors.trust_ring.formation import boot
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.ids import Role

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from trollbridge.actors.app import App, Child
    from trollbridge.actors.operations.log import Log
    from trollbridge.actors.supervision.children import Children
    from trollbridge.messages.ids import Epoch, MemberId


class Starting:
    """Starts the members of one application."""

    def __init__(self, app: App, processes: Children, log: Log, learn: str) -> None:
        """Take the declaration, the table of processes, the log, and the folder of learn mode (`Postures`)."""
        self.verdicts: Final = Verdicts(app, processes, log)
        """Who reads the ledgers that servers are given."""
        self._children: dict[MemberId, Child] = {child.member: child for child, _ in app.children}
        self._ui = app.ui
        self._processes = processes
        self._log = log
        self._learn = learn
        self._path = tuple(os.path.abspath(each) for each in sys.path)  # noqa: PTH100  # '' must become the folder

    def start(self, member: MemberId, role: Role, link: socket.socket | None, epoch: Epoch) -> None:
        """Spawn a process and send it its Boot and its end of the link, which is closed here; raises `OSError`."""
        kept = self._ui.descriptors if role is Role.UI else ()
        process = self._processes.start(member, role, Besides(descriptors=kept))
        give_up(kept)
        self._log.line("process.started", epoch, **process.identity)
        descriptors = () if link is None else (link.fileno(), *self.verdicts.open(process))
        message = boot(member, role, self._children.get(member), self._path, self._learn)
        self._processes.tell(process, message, *descriptors)
        if link is not None:
            link.close()


def demand(descriptors: Sequence[int]) -> None:
    """Raise `DeclarationError` for a descriptor that is not open here."""
    for each in descriptors:
        try:
            os.fstat(each)
        except OSError:
            msg = f"descriptor {each} is declared for the UI, and is not open"
            raise DeclarationError(msg) from None


def hold(descriptors: Sequence[int]) -> None:
    """Have no child inherit these but the one that is given them."""
    for each in descriptors:
        os.set_inheritable(each, False)  # noqa: FBT003  # the standard library's signature


def give_up(descriptors: Sequence[int]) -> None:
    """Close these, now that the UI has them, and put /dev/null into their place.

    A pipe that stayed open here would never break for whoever writes into it, nor end for whoever reads from it. A UI
    that has to be started again finds the end of the file, as in a pipe that was read; and as the number stays taken,
    it never stands for a socket of ours.
    """
    for each in descriptors:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, each, inheritable=False)
        os.close(null)
