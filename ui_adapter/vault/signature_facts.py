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
_TIME: Final = 4
_KEY_ID: Final = 8
_FINGERPRINTS: Final = {_V4: 20, _V6: 32}
"""Octets of a time, of a key id, and of a key's fingerprint by its version."""
_PACKET, _SUBPACKET = 223, 254
"""Up to which first octet a length has two (sections 4.2.1 and 5.2.3.7)."""
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
    """Return what the first signature in armored or binary data says; None if that is none of version 4 or 6.

    None also if it does not read as RFC 9580 has it; whatever is in `data`, nothing is raised.
    """
    try:
        return _facts(_body(_dearmored(data)))
    except (IndexError, ValueError, binascii.Error):
        return None


def alone(data: bytes) -> bool:
    """Return whether data is signatures and nothing else, armored or not: a detached signature."""
    if data.lstrip().startswith(_BEGIN):
        return True
    try:
        while data:
            _, end = _packet(data)
            data = data[end:]
            if not data:
                return True
    except (IndexError, ValueError):
        pass
    return False


def _dearmored(data: bytes) -> bytes:
    start = data.find(_BEGIN)
    if start < 0:
        return data
    lines = data[start:].partition(_END)[0].replace(b"\r\n", b"\n").partition(b"\n\n")[2].split(b"\n")
    return base64.b64decode(b"".join(line for line in lines if not line.startswith(b"=")), validate=True)


def _length(data: bytes, at: int, two: int) -> tuple[int, int]:
    """Return (length, where what it counts begins) of a new-format length of one, two or five octets.

    `two`: the last first octet of a length of two.
    """
    first = data[at]
    if first < 192:  # noqa: PLR2004  # RFC 9580, section 4.2.1
        return first, at + 1
    if first <= two:
        return ((first - 192) << 8) + data[at + 1] + 192, at + 2
    if first != 255:  # noqa: PLR2004  # a part of a packet; a signature has none
        raise ValueError
    return int.from_bytes(data[at + 1 : at + 5]), at + 5


def _body(data: bytes) -> bytes:
    """Return the body of the first packet, which must be a signature."""
    at, end = _packet(data)
    return data[at:end]


def _packet(data: bytes) -> tuple[int, int]:
    """Return where the body of the first packet begins and ends; raises `ValueError` if that is no signature."""
    first = data[0]
    if first & _NEW == _NEW:
        kind, (length, at) = first & 0x3F, _length(data, 1, _PACKET)
    elif first & 0x80:
        size = 1 << (first & 3)
        kind, length, at = (first & 0x3F) >> 2, int.from_bytes(data[1 : 1 + size]), 1 + size
    else:
        raise ValueError
    if kind != _SIGNATURE or len(data) < at + length:
        raise ValueError
    return at, at + length


def _subpackets(area: bytes) -> dict[int, bytes]:
    """Return the first subpacket of each type."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(area):
        length, at = _length(area, at, _SUBPACKET)
        if not length or at + length > len(area):
            raise ValueError
        found.setdefault(area[at] & 0x7F, area[at + 1 : at + length])
        at += length
    return found


def _time(found: dict[int, bytes], kind: int) -> int:
    octets = found.get(kind, bytes(_TIME))
    if len(octets) != _TIME:
        raise ValueError
    return int.from_bytes(octets)


def _issuer(found: dict[int, bytes]) -> str:
    """Return the maker's fingerprint, else its key id, else nothing."""
    whole, short = found.get(_ISSUER_FINGERPRINT), found.get(_ISSUER)
    if whole is not None and len(whole) - 1 != _FINGERPRINTS.get(whole[0]):
        raise ValueError
    if short is not None and len(short) != _KEY_ID:
        raise ValueError
    return whole[1:].hex() if whole is not None else (short or b"").hex()


def _facts(body: bytes) -> Facts:
    version = body[0]
    if version not in _FINGERPRINTS:
        raise ValueError
    width = 2 if version == _V4 else 4
    areas: list[dict[int, bytes]] = []
    at = 4
    for _ in range(2):
        begin = at + width
        at = begin + int.from_bytes(body[at:begin])
        if at > len(body):
            raise ValueError
        areas.append(_subpackets(body[begin:at]))
    hashed, other = areas  # only the first is signed; it says when, and goes before the other about who
    return Facts(
        version,
        body[1],
        body[2],
        body[3],
        _time(hashed, _CREATED),
        _time(hashed, _EXPIRES),
        _issuer({**other, **hashed}),
    )
