"""An application that has a name, and so an operator; and what a process of it may try at the operator's socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from tests.harness.stage import puppet_app
from trollbridge.messages.operator import LARGEST_ANSWER, REQUEST, Stop, application_name

if TYPE_CHECKING:
    from tests.harness.puppet import Strings
    from trollbridge.actors.app import App

NAME = "operated"


def operated_app(**settings: Any) -> App:  # noqa: ANN401  # as `puppet_app` takes them
    """Return the stage's application under a name."""
    app = puppet_app(**settings)
    app.name = application_name(NAME)
    return app


def operate(_strings: Strings, path: str) -> str:
    """Ask for the application to be stopped; return what is answered, in hexadecimal."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end:
        end.settimeout(20)
        end.connect(path)
        try:
            end.send(REQUEST.encode(Stop()))
            return end.recv(LARGEST_ANSWER).hex()
        except (BrokenPipeError, ConnectionResetError):
            return ""
