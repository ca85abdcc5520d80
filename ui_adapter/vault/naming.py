"""Which key a person means.

May import: our messages. Invariant: a name that fits several keys names one only if it is trusted more than all
others; whoever can bring a certificate into the vault cannot have it taken for another one, not even for one that is
expired or revoked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trollbridge.messages.vault import OWN, TRUSTED, UNKNOWN, VALID, standing
from trollbridge.ui_adapter.vault.refusals import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.messages.vault import KeyInfo

_FINGERPRINT: Final = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})!?", re.ASCII)
_KEY_ID: Final = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{16})!?", re.ASCII)
_V4: Final = 40
"""Digits of a version 4 fingerprint."""
_ADDRESS: Final = re.compile(r"[^<>\s@]+@[^<>\s@]+")
_SHOWN: Final = 5
_RANK: Final = {OWN: 2, TRUSTED: 1, UNKNOWN: 0}


def fingerprint(name: str) -> str:
    """Return the fingerprint that `name` is, in small letters, or nothing; 0x before it and ! behind it are allowed."""
    found = _FINGERPRINT.fullmatch(name.replace(" ", ""))
    return found[1].lower() if found else ""


def key_id(whole: str) -> str:
    """Return the key id of a fingerprint: 16 hexadecimal digits, its end in version 4, its beginning in 6."""
    return whole[-16:] if len(whole) == _V4 else whole[:16]


def address(user_id: str) -> str:
    """Return the e-mail address that a user id is, or ends with in angle brackets; in small letters, or empty."""
    _, bracket, last = user_id.rpartition("<")
    found = last.removesuffix(">") if bracket and last.endswith(">") else user_id
    return _small(found) if _ADDRESS.fullmatch(found) else ""


def _small(text: str) -> str:
    """Return `text` with ASCII letters small: other alphabets have letters whose small form is an ASCII one."""
    return text.encode(errors="surrogateescape").lower().decode(errors="surrogateescape")


def trust(key: KeyInfo, name: str) -> str | None:
    """Return how far a key is trusted to be the one of that name; None if the name is not its own at all."""
    if _fits(key, name):
        return key.trust
    return UNKNOWN if _among(key.unvouched, name) else None


def _among(user_ids: tuple[str, ...], name: str) -> bool:
    return name in user_ids or ("@" in name and any(address(each) == _small(name) for each in user_ids))


def _fits(key: KeyInfo, name: str) -> bool:
    if whole := fingerprint(name):
        return key.fingerprint == whole
    if short := _KEY_ID.fullmatch(name):
        return key_id(key.fingerprint) == short[1].lower()
    return _among(key.user_ids, name)


def described(key: KeyInfo) -> str:
    """Return a key in a few words."""
    return f"{key.fingerprint} {key.user_ids[0] if key.user_ids else ''}".rstrip()


def find(keys: Sequence[KeyInfo], name: str, now: int, *, own: bool = False) -> KeyInfo:
    """Return the key that a fingerprint, a key id, an exact user id or an e-mail address names.

    `own`: only keys whose secret half is in the vault. Of several, the one is meant that is trusted more than all
    others, valid or not; and of several own ones, the only valid one, `now` in seconds since 1970: a key that was
    replaced gives way to what its owner has made. Raises `NotFound`, which lists what the name fits.
    """
    trusts = {key.fingerprint: _RANK[known] for key in keys if (known := trust(key, name)) and (key.secret or not own)}
    found = [key for key in keys if key.fingerprint in trusts]
    most = [key for key in found if trusts[key.fingerprint] == max(trusts.values())]
    valid = [key for key in most if key.secret and standing(key, now) == VALID]
    match valid if len(valid) == 1 else most:
        case [one]:
            return one
        case []:
            what = "own key" if own else "key"
            msg = f"the vault holds no {what} {name!r}; name it by fingerprint, key id, user id or e-mail address"
            raise NotFound(msg)
        case _:
            listed = "; ".join(described(each) for each in found[:_SHOWN])
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
            msg = "the vault holds several keys to sign with; name one with -u:"
            more = [] if len(own) <= _SHOWN else [f"and {len(own) - _SHOWN} more"]
            raise NotFound(msg, [*map(described, own[:_SHOWN]), *more])
