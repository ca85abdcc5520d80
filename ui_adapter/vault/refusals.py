"""Why a command of the vault gives up by itself, before or after it has asked the vault.

May import: our errors. Invariant: those of `messages.errors`: the first line is the user's sentence, and no text given
to one carries a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.errors import TrollbridgeError

if TYPE_CHECKING:
    from collections.abc import Sequence


class NoWayToAsk(TrollbridgeError):
    """There is no terminal to ask for the password on; give it by --password-file or --password-fd."""


class NotSure(TrollbridgeError):
    """It was not confirmed, so nothing was done; --yes confirms it."""


class NotFound(TrollbridgeError):
    """No key of that name is in the vault."""

    def __init__(self, text: str = "", listed: Sequence[str] = ()) -> None:
        """Take the sentence, and what a person may choose from."""
        super().__init__(text)
        self.listed: Final = tuple(listed)


class OtherVault(TrollbridgeError):
    """Another vault is at this path than the one that was opened here before."""


class OutputExists(TrollbridgeError):
    """The output is there already, and was left as it is; --force replaces it."""


class WrongInput(TrollbridgeError):
    """The input is not what it must be."""


class WrongCommand(TrollbridgeError):
    """The command line asks for what cannot be."""
