"""The process that imports the classes of servers and says what they export; it runs nothing else of theirs.

May import: our actors and messages; the servers' own modules by the names that the application declares. Invariant: a
class that cannot be asked costs its own manifest only, and its error's text is about the code.
"""

from __future__ import annotations

import inspect
import os
import signal
import sys
from typing import TYPE_CHECKING

import msgspec

from trollbridge.actors.entry.child import load
from trollbridge.actors.handlers import exported
from trollbridge.actors.isolation import kernel
from trollbridge.messages.errors import TrollbridgeError
from trollbridge.ui_adapter.manifests import QUESTION, Answer, Described, Manifest

if TYPE_CHECKING:
    from trollbridge.actors.handlers import Exported

_NO_SESSION = bytes(16)


def _described(actor: type, found: Exported) -> Described:
    doc = inspect.getdoc(getattr(actor, found.name)) or ""
    return Described(found.entry(_NO_SESSION), found.mark.core, " ".join(doc.partition("\n\n")[0].split()))


def _manifest(reference: str, path: tuple[str, ...]) -> Manifest:
    try:
        actor = load(reference, path)
        return Manifest(tuple(_described(actor, each) for _, each in sorted(exported(actor).items())))
    except TrollbridgeError as error:
        return Manifest((), str(error))


def main() -> None:
    """Answer one question, from standard input, on the descriptor that the command line names."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    question = QUESTION.decode(sys.stdin.buffer.read())
    answer = msgspec.msgpack.encode(Answer(tuple(_manifest(each, question.path) for each in question.actors)))
    with open(int(sys.argv[1]), "wb") as out:  # noqa: PTH123  # a descriptor
        out.write(answer)
    os._exit(0)  # whatever the modules have started ends here
