"""What a caller is told of an error, as a payload: its code, the name of a declared one, and no more text than is read.

May import: our messages. Invariant: whatever an error's text holds, what is returned can be sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages import payloads

if TYPE_CHECKING:
    from trollbridge.messages.errors import CallError

LONGEST_TEXT: Final = 2000
"""Characters of an error's text that travel."""


def safe(text: str) -> str:
    """Return what of a text may travel: no lone surrogates, and not more of it than a person reads."""
    return text.encode("utf-8", "replace").decode()[:LONGEST_TEXT]


def fault(error: CallError) -> bytes:
    """Return the encoded `Fault` of an error."""
    return payloads.encode(payloads.Fault(error.code, safe(getattr(error, "name", "")), safe(str(error))))
