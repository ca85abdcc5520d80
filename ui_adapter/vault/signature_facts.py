"""What a signature says about itself, before anybody has checked it: what git wants to be told besides the verdict.

May import: nothing of ours. Functions of values. Invariant: nothing in here decides whether a signature is valid.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, NamedTuple

_BEGIN: Final = b"-----BEGIN PGP SIGNATURE-----"
_END: Final = b"-----END PGP SIGNATURE-----"
_SIGNATURE: Final = 2
"""The packet type (RFC 9580, section 5)."""
_CREATED, _EXPIRES, _ISSUER, _ISSUER_FINGERPRINT = 2, 3, 16, 33
"""Types of subpackets (section 5.2.3.7)."""
_V4, _V6 = 4, 6
_NEW: Final = 0xC0
"""The bits of a packet's first octet in the new format (section 4.2)."""


class Facts(NamedTuple):
    """One signature. Numbers as in RFC 9580; `issuer` is a fingerprint or a key id in small letters, or empty."""

    version: int
    kind: int
    algorithm: int
    hash: int
    created: int
    lifetime: int
    issuer: str


def of(data: bytes) -> Facts | None:
    """Return what the first signature in armored or binary data says; None if that is none of version 4 or 6."""
    try:
        return _facts(_body(_dearmored(data)))
    except (IndexError, ValueError, binascii.Error):
        return None


def _dearmored(data: bytes) -> bytes:
    start = data.find(_BEGIN)
    if start < 0:
        return data
    lines = data[start:].partition(_END)[0].replace(b"\r\n", b"\n").partition(b"\n\n")[2].split(b"\n")
    return base64.b64decode(b"".join(line for line in lines if not line.startswith(b"=")), validate=True)


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return (length, where what it counts begins) of a new-format length of one, two or five octets."""
    first = data[at]
    if first < 192:  # noqa: PLR2004  # RFC 9580, section 4.2.1
        return first, at + 1
    if first < 224:  # noqa: PLR2004
        return ((first - 192) << 8) + data[at + 1] + 192, at + 2
    return int.from_bytes(data[at + 1 : at + 5]), at + 5


def _body(data: bytes) -> bytes:
    """Return the body of the first packet, which must be a signature."""
    first = data[0]
    if first & _NEW == _NEW:
        kind, (length, at) = first & 0x3F, _length(data, 1)
    elif first & 0x80:
        size = 1 << (first & 3)
        kind, length, at = (first & 0x3F) >> 2, int.from_bytes(data[1 : 1 + size]), 1 + size
    else:
        raise ValueError
    if kind != _SIGNATURE or len(data) < at + length:
        raise ValueError
    return data[at : at + length]


def _facts(body: bytes) -> Facts:
    version = body[0]
    if version not in {_V4, _V6}:
        raise ValueError
    width = 2 if version == _V4 else 4
    found: dict[int, bytes] = {}
    at = 4
    for _ in range(2):  # the hashed ones, then the others, which do not replace them
        end = at + width + int.from_bytes(body[at : at + width])
        at += width
        while at < end:
            length, at = _length(body, at)
            found.setdefault(body[at] & 0x7F, body[at + 1 : at + length])
            at += length
    return Facts(
        version,
        body[1],
        body[2],
        body[3],
        int.from_bytes(found.get(_CREATED, b"")),
        int.from_bytes(found.get(_EXPIRES, b"")),
        found.get(_ISSUER_FINGERPRINT, b"\0")[1:].hex() or found.get(_ISSUER, b"").hex(),
    )
