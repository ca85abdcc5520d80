"""Why a command of the vault gives up by itself, and what every such reason means: an exit code, and a hint.

May import: our errors. Invariant: every error that the vault declares has a code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages import errors, password
from trollbridge.ui_adapter.vault import exit_codes
from trollbridge.ui_adapter.vault.refusals import (
    NotFound,
    NotSure,
    NoWayToAsk,
    OtherVault,
    OutputExists,
    WrongCommand,
    WrongInput,
)
from trollbridge.ui_adapter.whole_file import NotRead, NotWritten

if TYPE_CHECKING:
    from collections.abc import Mapping

_CODES: Final[Mapping[type[errors.TrollbridgeError], int]] = {
    errors.BadSignature: exit_codes.BAD_SIGNATURE,
    errors.NoSuchKey: exit_codes.NOT_FOUND,
    errors.NoSuchSecret: exit_codes.NOT_FOUND,
    errors.KeyExists: exit_codes.NOT_FOUND,
    errors.SecretExists: exit_codes.NOT_FOUND,
    errors.InvalidName: exit_codes.NOT_FOUND,
    NotFound: exit_codes.NOT_FOUND,
    errors.CannotDecrypt: exit_codes.CANNOT_OPEN,
    errors.NotASealedFile: exit_codes.CANNOT_OPEN,
    errors.FileDamaged: exit_codes.CANNOT_OPEN,
    errors.WrongPassword: exit_codes.WRONG_PASSWORD,
    errors.TooManyAttempts: exit_codes.WRONG_PASSWORD,
    errors.KeyLocked: exit_codes.WRONG_PASSWORD,
    NoWayToAsk: exit_codes.WRONG_PASSWORD,
    errors.VaultLocked: exit_codes.NOT_ALLOWED,
    errors.NotAllowed: exit_codes.NOT_ALLOWED,
    errors.ApprovalNeeded: exit_codes.NOT_ALLOWED,
    errors.ApprovalRefused: exit_codes.NOT_ALLOWED,
    errors.UseOnly: exit_codes.NOT_ALLOWED,
    NotSure: exit_codes.NOT_ALLOWED,
    errors.VaultMissing: exit_codes.NO_VAULT,
    errors.VaultExists: exit_codes.NO_VAULT,
    errors.VaultCorrupt: exit_codes.NO_VAULT,
    errors.VaultInUse: exit_codes.NO_VAULT,
    errors.StorageFailed: exit_codes.NO_VAULT,
    errors.KeychainFailed: exit_codes.KEYCHAIN,
    errors.RootMissing: exit_codes.KEYCHAIN,
    errors.WrongMode: exit_codes.KEYCHAIN,
    OtherVault: exit_codes.KEYCHAIN,
    errors.KeyUnusable: exit_codes.KEY_UNUSABLE,
    errors.NotOpenPGP: exit_codes.WRONG_DATA,
    errors.NotARecoveryFile: exit_codes.WRONG_DATA,
    errors.InvalidArguments: exit_codes.WRONG_DATA,
    errors.TooLarge: exit_codes.WRONG_DATA,
    WrongInput: exit_codes.WRONG_DATA,
    password.PasswordRefused: exit_codes.WRONG_PASSWORD,
    WrongCommand: exit_codes.WRONG_COMMAND,
    NotRead: exit_codes.NOT_READ,
    NotWritten: exit_codes.NOT_WRITTEN,
    OutputExists: exit_codes.NOT_WRITTEN,
}


def code_of(error: errors.TrollbridgeError) -> int:
    """Return the exit code of an error: that of its class, or of the nearest class above it."""
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), exit_codes.FAILED)
