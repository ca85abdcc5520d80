"""What the servers of an application export, asked of their classes before anything runs, in a process of its own.

May import: our actors and messages. Invariants: no module of an enclave or a host is imported in this process; what the
other process answers is decoded as the types below and never run; it is gone when this returns.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.messages.errors import ActorNotLoadable
from trollbridge.messages.payloads import HandlerEntry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trollbridge.actors.app import App

PATIENCE: Final = 60.0
"""Seconds that importing all the modules may take."""
_ENTRY: Final = "from trollbridge.ui_adapter.manifest_teller import main; main()"


class Described(msgspec.Struct, frozen=True):
    """One handler of a class. Its `entry` has zeros for the session code, since there is no session."""

    entry: HandlerEntry
    core: bool
    """Whether only the core UI may call it."""
    doc: str
    """The first paragraph of its docstring, in one line; empty without one."""


class Manifest(msgspec.Struct, frozen=True):
    """What one server exports, by the handlers' names, or why its class could not be asked."""

    handlers: tuple[Described, ...]
    error: str = ""


class Question(msgspec.Struct, frozen=True):
    """Which classes to ask, and where their modules are looked for."""

    path: tuple[str, ...]
    actors: tuple[str, ...]


class Answer(msgspec.Struct, frozen=True):
    """One manifest for each class, in the order of the question."""

    manifests: tuple[Manifest, ...]


QUESTION: Final = msgspec.msgpack.Decoder(Question)
ANSWER: Final = msgspec.msgpack.Decoder(Answer)


def manifest_of(app: App) -> Mapping[str, Manifest]:
    """Return what each enclave and host of an application exports, under the name that its handlers go by.

    Raises `ActorNotLoadable` if the process that imports the classes ends without an answer; a class that cannot be
    asked says so in its manifest.
    """
    servers = {str(child.service): str(child.actor) for child, _ in app.servers}
    if not servers:
        return {}
    actors = tuple(dict.fromkeys(servers.values()))
    of = dict(zip(actors, _ask(Question(tuple(sys.path), actors)), strict=True))
    return {service: of[actor] for service, actor in servers.items()}


def _ask(question: Question) -> tuple[Manifest, ...]:
    with tempfile.TemporaryFile() as answer:
        try:
            subprocess.run(  # noqa: S603  # our own program
                [sys.executable, "-I", "-c", _ENTRY, str(answer.fileno())],
                input=msgspec.msgpack.encode(question),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                pass_fds=(answer.fileno(),),
                timeout=PATIENCE,
                check=True,
            )
            answer.seek(0)
            found = ANSWER.decode(answer.read()).manifests
        except (subprocess.SubprocessError, msgspec.DecodeError) as error:
            msg = f"the classes of {', '.join(question.actors)} cannot be asked: {_why(error)}"
            raise ActorNotLoadable(msg) from None
    if len(found) != len(question.actors):
        msg = f"the classes of {', '.join(question.actors)} cannot be asked"
        raise ActorNotLoadable(msg)
    return found


def _why(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"importing them takes longer than {PATIENCE:.0f} seconds"
    return "importing them ended the process"
