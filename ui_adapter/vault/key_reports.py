"""Keys as people read them, and what a file of keys holds.

May import: our messages. Functions of values.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

from trollbridge.messages.vault import standing
from trollbridge.ui_adapter.vault import times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.messages.vault import KeyInfo
    from trollbridge.messages.vault_secrets import Constraints

_SECRET_ARMOR: Final = b"-----BEGIN PGP PRIVATE KEY BLOCK-----"
_ARMOR: Final = b"-----BEGIN PGP "
_SECRET_KEY: Final = 5
"""The packet type of a secret key (RFC 9580, section 5)."""


def _packet_type(first: int) -> int:
    """Return the type that a packet's first octet names, in the new or in the old format; -1 for none."""
    if not first & 0x80:
        return -1
    return first & 0x3F if first & 0x40 else (first & 0x3F) >> 2


def holds_secret(data: bytes) -> bool:
    """Return whether a file of keys begins with a secret one, armored or not; the vault reads it strictly."""
    if data[:1] and data[0] & 0x80:
        return _packet_type(data[0]) == _SECRET_KEY
    if _SECRET_ARMOR in data:
        return True
    body = data[data.find(_ARMOR) :].replace(b"\r\n", b"\n").partition(b"\n\n")[2].lstrip()[:4]
    try:
        first = base64.b64decode(body, validate=True)[:1]
    except (binascii.Error, ValueError):
        return False
    return bool(first) and _packet_type(first[0]) == _SECRET_KEY


def _flags(key: KeyInfo, now: int) -> str:
    parts = [standing(key, now)]
    if key.secret:
        parts.append("secret")
    if key.own_password:
        parts.append("own password")
    return ", ".join(parts)


def rows(keys: Sequence[KeyInfo], now: int) -> list[tuple[str, ...]]:
    """Return the table of keys, with its head."""
    return [("fingerprint", "key", "trust", "expires", "user id"), *(_row(each, now) for each in keys)]


def _row(key: KeyInfo, now: int) -> tuple[str, ...]:
    return key.fingerprint, _flags(key, now), key.trust, times.shown(key.expires), _user_id(key)


def _user_id(key: KeyInfo) -> str:
    return key.user_ids[0] if key.user_ids else "(no user id)"


def lines(key: KeyInfo, now: int, limits: Constraints | None = None) -> list[str]:
    """Return everything about one key."""
    found = [
        f"fingerprint  {key.fingerprint}",
        *(f"user id      {each}" for each in key.user_ids),
        *(f"user id      {each} (not vouched for)" for each in key.unvouched),
        f"key          {_flags(key, now)}; version {key.version}, {key.algorithm}",
        f"trust        {key.trust}",
        f"made         {times.shown(key.created)}",
        f"expires      {times.shown(key.expires)}",
    ]
    for each in key.subkeys:
        uses = " ".join(each.uses) or "nothing"
        state = "revoked" if each.revoked else f"expires {times.shown(each.expires)}"
        found.append(f"subkey       {each.fingerprint} {each.algorithm}, to {uses}; {state}")
    return found + ([] if limits is None else limit_lines(limits))


def limit_lines(limits: Constraints) -> list[str]:
    """Return the constraints of a key."""
    found: list[str] = []
    if limits.approval:
        found.append("each use must be approved")
    if limits.members:
        found.append(f"only for {', '.join(limits.members)}")
    if limits.per_hour:
        found.append(f"at most {limits.per_hour} uses an hour")
    if limits.until is not None:
        found.append(f"until {times.shown(limits.until)}")
    return [f"constraint   {each}" for each in found or ["none"]]
