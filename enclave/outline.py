"""The top level of OpenPGP data that comes from outside: out of its armor, which packets, and not too much inside.

May import: our errors. Invariant: what Sequoia is given to read whole has passed here first, so that a small input
cannot become a large one: it decompresses without a limit, and a list of packets too, 1000 octets out of one.

Of a packet no more is read here than its header (RFC 9580, section 4.2). What is cut off passes: Sequoia
refuses it, in the words of the operation.
"""

from __future__ import annotations

import binascii
import bz2
import functools
import re
import zlib
from typing import TYPE_CHECKING, Final, TypeAlias

from trollbridge.messages.errors import NotOpenPGP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Body: TypeAlias = "list[memoryview]"

MAX_CONTENT: Final = 96 << 20
"""Octets that may come out of what is compressed: as much as one call to the vault may bring."""
CLEAR_SIGNED: Final = b"SIGNED MESSAGE"
MOST_HEADERS: Final = 1 << 16
"""Octets that the headers of one block of armor may have: sq writes a line for each user id."""
MIN_PART: Final = 512
"""Octets that the first part of a body has at least (section 4.2.1.4), and here every part on the average."""
MIN_PACKET: Final = 32
"""Octets that packets have at least on the average: what is kept of each one takes some 300."""
_FEW: Final = 64
"""Parts and packets that may be smaller."""
_IN_PARTS: Final = {8, 9, 11, 18, 20}
"""What may come in parts: data, of whatever kind."""
_BEGIN: Final = re.compile(rb"^-----BEGIN PGP ([A-Z ]{1,40})-----[ \t]*\r?\n", re.MULTILINE)
_FRAME: Final = re.compile(rb"^-----BEGIN PGP ([A-Z ]{1,40})-----", re.MULTILINE)
_CHECKSUM: Final = re.compile(rb"\n=[A-Za-z0-9+/]{4}[ \t\r]*\n?$")
_COMPRESSED: Final = 8
_STEP: Final = 1 << 20
_LINE: Final = 80
"""More octets than a line of armor has."""


def is_clear_signed(data: bytes) -> bool:
    """Return whether the first block of armor frames a text that can be read as it is."""
    first = None if data[:1] >= b"\x80" else _FRAME.search(data)
    return first is not None and first[1] == CLEAR_SIGNED


def binary(data: bytes) -> bytes:
    """Return the packets of data that may be in ASCII armor, all blocks of one kind; raises `NotOpenPGP`."""
    if data[:1] >= b"\x80":
        return data
    blocks = list(_blocks(data))
    if not blocks or len({kind for kind, _ in blocks}) > 1:
        raise NotOpenPGP
    return b"".join(packets for _, packets in blocks)


def _blocks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind of each block and what is in it; text around them counts for nothing."""
    at = 0
    while begun := block(data, at):
        kind, start = begun
        at = data.find(b"\n-----END PGP " + kind + b"-----", start - 1)
        if at < 0:
            raise NotOpenPGP
        end = at + 1
        checksum = _CHECKSUM.search(data, max(start - 1, end - _LINE), end)
        try:
            yield kind, binascii.a2b_base64(memoryview(data)[start : checksum.start() if checksum else end])
        except binascii.Error:
            raise NotOpenPGP from None


def block(data: bytes, at: int = 0) -> tuple[bytes, int] | None:
    """Return the kind of the next block of armor, and where its text starts, behind its headers; None if none begins.

    Looks at each octet once, and on no line again: a search with a way back would take longer than anybody waits.
    Raises `NotOpenPGP` for more headers than are read.
    """
    while begun := _BEGIN.search(data, at):
        at = begun.end()
        while (end := data.find(b"\n", at, begun.end() + MOST_HEADERS)) >= 0:
            line = data[at:end].rstrip(b" \t\r")
            if not line:
                return begun[1], end + 1
            if b":" not in line[1:]:  # no header, so that was no block; it may be the beginning of one
                break
            at = end + 1
        else:
            if len(data) > begun.end() + MOST_HEADERS:
                raise NotOpenPGP
            return None
    return None


def top(data: bytes | bytearray) -> Iterator[tuple[int, Body]]:
    """Yield (tag, parts of the body) of each packet.

    Raises `NotOpenPGP` where none begins, and for more small packets, or parts, than anybody has use for.
    """
    view, at, count = memoryview(data), 0, 0
    while at < len(view):
        first = view[at]
        if first < 0x80:  # noqa: PLR2004  # every header has this bit
            raise NotOpenPGP
        if first & 0x40:
            tag, body = first & 0x3F, _Lengths(view, at + 1, in_parts=first & 0x3F in _IN_PARTS)
            parts, at = body.parts, body.end
        else:
            tag, kind, start = (first >> 2) & 15, first & 3, at + 1 + (1 << (first & 3))
            size = len(view) if kind == 3 else int.from_bytes(view[at + 1 : start], "big")  # noqa: PLR2004  # no length
            start = at + 1 if kind == 3 else start  # noqa: PLR2004
            parts, at = [view[start : start + size]], start + size
        count += 1
        if count > _FEW + at // MIN_PACKET:
            raise NotOpenPGP
        yield tag, parts


class _Lengths:
    """The body of a packet in the current format: one part, or several whose lengths are powers of two."""

    def __init__(self, view: memoryview, at: int, *, in_parts: bool) -> None:
        self.parts: Final[Body] = []
        begin = at
        while True:
            if at >= len(view):
                raise NotOpenPGP
            first = view[at]
            more = 224 <= first < 255  # noqa: PLR2004  # a part, after which comes another length
            if first < 192:  # noqa: PLR2004
                size, at = first, at + 1
            elif more:
                size, at = 1 << (first & 31), at + 1
            elif first < 224:  # noqa: PLR2004
                size, at = ((first - 192) << 8) + int.from_bytes(view[at + 1 : at + 2], "big") + 192, at + 2
            else:
                size, at = int.from_bytes(view[at + 1 : at + 5], "big"), at + 5
            if more and (not in_parts or (size < MIN_PART and not self.parts)):
                raise NotOpenPGP
            self.parts.append(view[at : at + size])
            at += size
            if len(self.parts) > _FEW + (at - begin) // MIN_PART:
                raise NotOpenPGP
            if not more or at >= len(view):
                self.end = at
                return


def check_content(data: bytes) -> None:
    """Raise `NotOpenPGP` for packets in binary out of which too much would come, or that are compressed twice."""
    room = MAX_CONTENT
    for tag, body in top(data):
        if tag == _COMPRESSED:
            inside = decompressed(b"".join(body), room)
            room -= len(inside)
            if any(each == _COMPRESSED for each, _ in top(inside)):
                msg = "What is compressed twice is not opened."
                raise NotOpenPGP(msg)


def decompressed(body: bytes, most: int = MAX_CONTENT) -> bytearray:
    """Return what is in a compressed packet, of at most so many octets; raises `NotOpenPGP`."""
    steps = _STEPS.get(body[:1])
    if steps is None:
        raise NotOpenPGP
    found = bytearray()
    try:
        for part in steps(body[1:]):
            found += part
            if len(found) > most:
                msg = f"More than {MAX_CONTENT >> 20} MiB would come out of what is compressed."
                raise NotOpenPGP(msg)
    except (zlib.error, OSError):
        raise NotOpenPGP from None
    return found


def _as_it_is(data: bytes) -> Iterator[bytes]:
    yield data


def _inflated(data: bytes, window: int) -> Iterator[bytes]:
    made = zlib.decompressobj(window)
    while not made.eof and data:
        yield made.decompress(data, _STEP)
        data = made.unconsumed_tail


def _unzipped(data: bytes) -> Iterator[bytes]:
    made = bz2.BZ2Decompressor()
    while not made.eof and (not made.needs_input or data):
        yield made.decompress(data, _STEP)
        data = b""


_STEPS: Final[dict[bytes, Callable[[bytes], Iterator[bytes]]]] = {
    b"\0": _as_it_is,
    b"\1": functools.partial(_inflated, window=-zlib.MAX_WBITS),
    b"\2": functools.partial(_inflated, window=zlib.MAX_WBITS),
    b"\3": _unzipped,
}
"""How what each algorithm of RFC 9580, section 9.4, has compressed comes out, in steps."""
