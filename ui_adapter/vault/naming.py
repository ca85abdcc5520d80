"""Which key a person means.

May import: our messages. Invariant: a name that fits more than one living key is refused, never guessed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trollbridge.messages.vault import VALID, standing
from trollbridge.ui_adapter.vault.refusals import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.messages.vault import KeyInfo

_FINGERPRINT: Final = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})!?", re.ASCII)
_KEY_ID: Final = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{16})!?", re.ASCII)
_V4: Final = 40
"""Digits of a version 4 fingerprint."""
_SHOWN: Final = 5


def fingerprint(name: str) -> str:
    """Return the fingerprint that `name` is, in small letters, or nothing; 0x before it and ! behind it are allowed."""
    found = _FINGERPRINT.fullmatch(name.replace(" ", ""))
    return found[1].lower() if found else ""


def key_id(whole: str) -> str:
    """Return the key id of a fingerprint: 16 hexadecimal digits, its end in version 4, its beginning in 6."""
    return whole[-16:] if len(whole) == _V4 else whole[:16]


def address(user_id: str) -> str:
    """Return the e-mail address of a user id, in small letters; empty if it has none."""
    found = re.fullmatch(r"(?:.*<)?([^<>\s@]+@[^<>\s@]+)>?", user_id)
    return found[1].lower() if found else ""


def _fits(key: KeyInfo, name: str) -> bool:
    if whole := fingerprint(name):
        return key.fingerprint == whole
    if short := _KEY_ID.fullmatch(name):
        return key_id(key.fingerprint) == short[1].lower()
    return name in key.user_ids or ("@" in name and any(address(each) == name.lower() for each in key.user_ids))


def described(key: KeyInfo) -> str:
    """Return a key in a few words."""
    return f"{key.fingerprint} {key.user_ids[0] if key.user_ids else ''}".rstrip()


def find(keys: Sequence[KeyInfo], name: str, now: int, *, own: bool = False) -> KeyInfo:
    """Return the key that a fingerprint, a key id, an exact user id or an e-mail address names.

    `own`: only keys whose secret half is in the vault. `now` in seconds since 1970: valid keys go before others.
    Raises `NotFound`, which lists what the name fits.
    """
    found = [key for key in keys if (key.secret or not own) and _fits(key, name)]
    valid = [key for key in found if standing(key, now) == VALID]
    match valid or found:
        case [one]:
            return one
        case []:
            what = "own key" if own else "key"
            msg = f"the vault holds no {what} {name!r}; name it by fingerprint, key id, user id or e-mail address"
            raise NotFound(msg)
        case several:
            listed = "; ".join(described(each) for each in several[:_SHOWN])
            msg = f"several keys are called {name!r}; name one by its fingerprint: {listed}"
            raise NotFound(msg)


def signing(keys: Sequence[KeyInfo], name: str, now: int) -> KeyInfo:
    """Return the key to sign with: the one that is named, or the vault's only own valid key. Raises `NotFound`."""
    if name:
        return find(keys, name, now, own=True)
    own = [key for key in keys if key.secret and standing(key, now) == VALID]
    match own:
        case [one]:
            return one
        case []:
            msg = "the vault holds no valid key to sign with; make one with `trollbridge key generate`"
            raise NotFound(msg)
        case _:
            listed = "; ".join(described(each) for each in own[:_SHOWN])
            msg = f"the vault holds several keys to sign with; name one with -u: {listed}"
            raise NotFound(msg)
