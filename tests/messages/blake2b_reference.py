"""BLAKE2b as RFC 7693 writes it, with the salt-less parameter block of the BLAKE2 paper: slow, and nobody else's code.

The tests recompute every key derivation with it, so that a frozen vector is never the program's own word for itself.
"""

from __future__ import annotations

from typing import Final

MASK: Final = 2**64 - 1
IV: Final = (
    *(0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1),
    *(0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179),
)
SIGMA: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)
COLUMNS_AND_DIAGONALS: Final = (
    *((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)),
    *((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)),
)
BLOCK: Final = 128


def _rotated(word: int, bits: int) -> int:
    return (word >> bits) | (word << (64 - bits)) & MASK


def _mix(v: list[int], places: tuple[int, int, int, int], x: int, y: int) -> None:
    a, b, c, d = places
    for add, first, second in ((x, 32, 24), (y, 16, 63)):
        v[a] = (v[a] + v[b] + add) & MASK
        v[d] = _rotated(v[d] ^ v[a], first)
        v[c] = (v[c] + v[d]) & MASK
        v[b] = _rotated(v[b] ^ v[c], second)


def _compressed(state: list[int], block: bytes, so_far: int, *, last: bool) -> list[int]:
    words = [int.from_bytes(block[8 * n : 8 * n + 8], "little") for n in range(16)]
    v = [*state, *IV]
    v[12] ^= so_far & MASK
    v[13] ^= so_far >> 64
    if last:
        v[14] ^= MASK
    for turn in range(12):
        order = SIGMA[turn % 10]
        for step, places in enumerate(COLUMNS_AND_DIAGONALS):
            _mix(v, places, words[order[2 * step]], words[order[2 * step + 1]])
    return [word ^ v[n] ^ v[n + 8] for n, word in enumerate(state)]


def blake2b(data: bytes, *, key: bytes = b"", person: bytes = b"", size: int = 64) -> bytes:
    """Return `size` bytes of keyed, personalised BLAKE2b."""
    parameters = bytes((size, len(key), 1, 1)) + bytes(44) + person.ljust(16, b"\0")
    state = [word ^ int.from_bytes(parameters[8 * n : 8 * n + 8], "little") for n, word in enumerate(IV)]
    whole = (key.ljust(BLOCK, b"\0") if key else b"") + data
    blocks = [whole[start : start + BLOCK] for start in range(0, max(len(whole), 1), BLOCK)]
    for number, block in enumerate(blocks):
        last = number == len(blocks) - 1
        so_far = len(whole) if last else (number + 1) * BLOCK
        state = _compressed(state, block.ljust(BLOCK, b"\0"), so_far, last=last)
    return b"".join(word.to_bytes(8, "little") for word in state)[:size]
