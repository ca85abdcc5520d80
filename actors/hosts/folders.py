"""What is declared of a files host, as a value that travels: which folders it opens, under which names.

May import: `msgspec`, our messages. Invariant: the sandbox of its process is made of these very folders.
"""

from __future__ import annotations

import msgspec

from trollbridge.messages.sandbox import Sandbox


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an application declares of its files; it travels as a setting, in JSON."""

    read: dict[str, str]
    """Folders that may be read: paths by the names that callers use."""
    write: dict[str, str]
    """Folders that may be read and written."""
    hidden: bool
    """Whether names that begin with a dot are in scope."""
    largest: int
    """Bytes of the longest file that may be written."""

    @property
    def sandbox(self) -> Sandbox:
        """What the host's process needs."""
        return Sandbox(read=tuple(self.read.values()), write=tuple(self.write.values()))
