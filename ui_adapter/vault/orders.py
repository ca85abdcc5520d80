"""What a person has asked for, as values: the supervisor parses them, the UI carries them out.

May import: `msgspec`. Invariants: an order holds names, paths and choices, never a password, a document or the value
of an API key; `calls` lists every handler of the vault that an order needs besides those that open it, and the UI is
granted no other.
"""

from __future__ import annotations

from typing import ClassVar, Final, TypeAlias

import msgspec

MEMBER: Final = "command"
"""The name of the commands' UI in the ring: what a constraint on members knows it by."""
OPENING: Final = ("status", "challenge", "unlock")
"""The handlers that open a vault."""
APPROVING: Final = ("approvals", "approve", "refuse")
"""What using an API key may need besides: an approval."""
USING: Final = (*APPROVING, "key_locks", "unlock_key")
"""What using an OpenPGP key may need besides: an approval, or the key's own password."""


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a password is read from: the first line of a file, or the next line of a descriptor; else the terminal."""

    file: str = ""
    descriptor: int = -1

    @property
    def given(self) -> bool:
        """Whether it names anything."""
        return bool(self.file) or self.descriptor >= 0


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a result goes: a file, or standard output (`-`). `force`: a file that is there is replaced.

    `mode`: the permissions of a new file.
    """

    path: str = "-"
    force: bool = False
    mode: int = 0o600


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to change about a key's constraints; None: it stays. `until` in seconds since 1970, 0 for no end."""

    approval: bool | None = None
    members: tuple[str, ...] | None = None
    per_hour: int | None = None
    until: int | None = None


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing to do."""

    calls: ClassVar[tuple[str, ...]] = ()


# The vault itself.


class CreateVault(Order, frozen=True, tag="create"):
    """Make a vault in a mode; the request's password is the new one."""

    calls = ("create",)
    mode: str


class ShowStatus(Order, frozen=True, tag="status"):
    """Tell where the vault stands; it is not opened."""


class TryUnlock(Order, frozen=True, tag="unlock-test"):
    """Open the vault, and that is all."""


class AdoptVault(Order, frozen=True, tag="adopt"):
    """Open the vault that is at the path now, and note it as the one that belongs there."""


class ChangePassword(Order, frozen=True, tag="change-password"):
    """Put the vault under another password."""

    calls = ("change_password",)
    new: Source = Source()


class RotateRoot(Order, frozen=True, tag="rotate"):
    """Replace the root in the keychain."""

    calls = ("rotate_root",)


class ChangeMode(Order, frozen=True, tag="change-mode"):
    """Protect the vault in another mode; with a password where it had none, under a new one."""

    calls = ("change_mode",)
    mode: str
    new: Source = Source()


class ExportRecovery(Order, frozen=True, tag="recovery-export"):
    """Write the recovery file."""

    calls = ("export_recovery",)
    target: Target
    recovery: Source = Source()


class ImportRecovery(Order, frozen=True, tag="recovery-import"):
    """Put the root of a recovery file into the keychain."""

    calls = ("recovery_challenge", "recover")
    file: str
    recovery: Source = Source()


class CheckVault(Order, frozen=True, tag="check"):
    """Look for damage."""

    calls = ("check",)
    locked: bool = False


VaultOrder: TypeAlias = (
    CreateVault
    | ShowStatus
    | TryUnlock
    | AdoptVault
    | ChangePassword
    | RotateRoot
    | ChangeMode
    | ExportRecovery
    | ImportRecovery
    | CheckVault
)
