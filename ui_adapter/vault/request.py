"""An order on its way from the supervisor, which parsed it, to the UI, which carries it out.

May import: `msgspec`, our orders. Invariant: what is decoded is exactly what was encoded; both ends are ours.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from trollbridge.ui_adapter.vault.key_orders import KeyOrder
from trollbridge.ui_adapter.vault.orders import Source, VaultOrder
from trollbridge.ui_adapter.vault.work_orders import DocumentOrder, GitOrder, SecretOrder

WAIT: Final = 10.0
"""Seconds that a command waits for a vault that is in use, if nothing else is said."""
AnyOrder: TypeAlias = VaultOrder | KeyOrder | DocumentOrder | GitOrder | SecretOrder


class Request(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One order, the vault that it is for, and how the person wants to be answered."""

    order: AnyOrder
    vault: str
    """The absolute path of the vault's file."""
    mode: str = ""
    """The only mode that the vault may be in; empty: the one that is known, or else the one that it says."""
    password: Source = Source()
    key_password: Source = Source()
    """The password of a key that has one of its own."""
    as_json: bool = False
    wait: float = WAIT
    """Seconds that it waits at most for a vault that another process has open."""
    known: str = ""
    """The folder of the notes about vaults that were opened before (`known_vaults`); `launch` names it."""


_DECODER: Final = msgspec.json.Decoder(Request)


def encode(request: Request) -> str:
    """Return the request as text, fit for an actor's settings."""
    return msgspec.json.encode(request).decode()


def decode(text: str) -> Request:
    """Return the request; raises `msgspec.ValidationError` for text that is none."""
    return _DECODER.decode(text)
