"""Whom a message is encrypted to, from its beginning alone (RFC 9580, sections 5.1 and 6): it may go on for ever.

May import: our enclave's outline, our messages. Invariant: a function of bytes; what is cut off is left out, what is
not a message is refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from trollbridge.enclave import outline
from trollbridge.messages.errors import NotOpenPGP

_MESSAGE: Final = b"MESSAGE"
_LINE: Final = re.compile(rb"[A-Za-z0-9+/]+={0,2}[ \t]*\r?\n")
_BINARY: Final = 0x80
_TO_A_KEY, _WITH_A_PASSWORD, _MARKER, _PADDING = 1, 3, 10, 21
_ENCRYPTED: Final = {9, 18, 20}
_VERSION_3, _VERSION_6 = 3, 6
_KEY_ID: Final = 8
_ANYBODY: Final = bytes(_KEY_ID)


def named(beginning: bytes) -> tuple[str, ...]:
    """Return the handles of whom a message is encrypted to, an empty one for somebody who is not named.

    Raises `NotOpenPGP` for what is not encrypted.
    """
    found: list[str] = []
    for tag, parts in outline.top(binary(beginning)):
        if tag == _TO_A_KEY:
            found.append(_recipient(b"".join(parts)))
        elif tag in _ENCRYPTED:
            return tuple(dict.fromkeys(found))
        elif tag not in {_WITH_A_PASSWORD, _MARKER, _PADDING}:
            break
    else:
        if found:  # their list goes on beyond the beginning
            return tuple(dict.fromkeys(found))
    msg = "The message is not encrypted."
    raise NotOpenPGP(msg)


def binary(data: bytes) -> bytes:
    """Return the octets of a message's beginning, out of its armor if it has one; raises `NotOpenPGP`."""
    if not data or data[0] & _BINARY:
        return data
    begun = outline.block(data)
    if begun is None or begun[0] != _MESSAGE:
        raise NotOpenPGP
    lines: list[bytes] = []
    at = begun[1]
    while line := _LINE.match(data, at):
        lines.append(line[0].strip())
        at = line.end()
    text = b"".join(lines)
    try:
        return base64.b64decode(text[: len(text) // 4 * 4])
    except binascii.Error:
        raise NotOpenPGP from None


def _recipient(body: bytes) -> str:
    if body[:1] == bytes([_VERSION_3]):
        key_id = body[1 : 1 + _KEY_ID]
        return "" if key_id == _ANYBODY else key_id.hex()
    if body[:1] == bytes([_VERSION_6]) and len(body) > 1:
        return body[3 : 2 + body[1]].hex()  # a version, then the fingerprint; nothing at all for somebody unnamed
    return ""
