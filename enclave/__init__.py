"""Who keeps: the enclave actor, the vault, OpenPGP, passwords. Only an enclave's process imports this folder.

May import `actors` and `messages`. `EnclaveActor` is re-exported; it is loaded when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trollbridge.enclave.actor import EnclaveActor as EnclaveActor

__all__ = ["EnclaveActor"]


def __getattr__(name: str) -> object:
    """Load one of the re-exported names."""
    if name != "EnclaveActor":
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from trollbridge.enclave.actor import EnclaveActor  # noqa: PLC0415  # only where it is asked for

    return EnclaveActor
