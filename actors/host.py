"""The host actor: offers something of the machine, such as files or programs, to granted members.

May import: our actors. Invariant: a host is a member of the ring without the ring key; nothing reaches it but calls of
its handlers under UIDs that the broker issued.
"""

from __future__ import annotations

from typing import ClassVar

from trollbridge.actors.handlers import exported
from trollbridge.actors.process_actor import ProcessActor
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.ids import Role


class HostActor(ProcessActor):
    """An actor that reaches what its `sandbox` declares, and exports functions over it with `@handler`.

    Handlers run one at a time, in the process's main thread. None may be `sensitive`: only enclaves can seal a result
    to the core UI.
    """

    role: ClassVar[Role] = Role.HOST

    def __init__(self, **settings: str) -> None:
        """Take the settings of the actor's declaration; raises `DeclarationError` for a `sensitive` handler."""
        for each in exported(type(self)).values():
            if each.mark.sensitive:
                where = f"{type(self).__name__}.{each.name}"
                msg = f"{where} is sensitive: only an enclave can seal a result to the core UI"
                raise DeclarationError(msg)
        super().__init__(**settings)
