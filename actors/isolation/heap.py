"""The C library's heap: gives back what is free.

May import: the standard library. Invariant: it only costs time; nothing depends on it.

A child keeps freed memory (`child`), lest each long body cost fresh pages. Between bodies of many sizes the heap comes
to have gaps that nothing fits into; who handles very many of them, one after the other, gives them back now and then.

Source: malloc_trim(3).
"""

from __future__ import annotations

import ctypes
from typing import Final

_LIBC: Final = ctypes.CDLL(None)


def give_back() -> None:
    """Return the pages of the heap that hold nothing to the kernel, where the C library can; its other pages stay."""
    if hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)
