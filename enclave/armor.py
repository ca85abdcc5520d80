"""ASCII armor around a message that passes in pieces (RFC 9580, section 6.2): Sequoia, line by line, takes far longer.

May import: the standard library. Invariant: armor is made here, never read: what comes out is a function of the bytes.
"""

from __future__ import annotations

import binascii
from typing import Final

_LINE: Final = 64
_OCTETS: Final = 48
"""That make a line."""
_BEGIN: Final = b"-----BEGIN PGP MESSAGE-----\n\n"
_END: Final = b"-----END PGP MESSAGE-----\n"


class Armor:
    """A message that is being armored, without a checksum: nobody is to rely on one (section 6.1)."""

    __slots__ = ("_begun", "_held")

    def __init__(self) -> None:
        """Begin with nothing."""
        self._begun = False
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take more of the message; return what more of it is armored."""
        if not data:
            return b""
        data = self._held + data
        whole = len(data) // _OCTETS * _OCTETS
        self._held = data[whole:]
        text = binascii.b2a_base64(memoryview(data)[:whole], newline=False)
        lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
        if lines:
            lines.append(b"")
        return self._first() + b"\n".join(lines)

    def _first(self) -> bytes:
        begun, self._begun = self._begun, True
        return b"" if begun else _BEGIN

    def finish(self) -> bytes:
        """Return the rest."""
        return self._first() + (binascii.b2a_base64(self._held) if self._held else b"") + _END
