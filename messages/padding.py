"""Padmé: lengths shown on the wire, with at most 12 % overhead (Nikitin et al., PURBs, PoPETs 2019/4).

May import: nothing. Invariant: `padded(n) >= n`, and `padded` is monotonic, so size classes do not overlap.
"""

from __future__ import annotations

from typing import Final

SMALLEST: Final = 128
"""Bytes; every shorter plaintext is padded to this."""


def padded(length: int) -> int:
    """Return the padded length in bytes of a plaintext of `length` bytes."""
    if length <= SMALLEST:
        return SMALLEST
    exponent = length.bit_length() - 1
    kept = exponent.bit_length()
    mask = (1 << (exponent - kept)) - 1
    return (length + mask) & ~mask
