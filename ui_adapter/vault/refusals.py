"""Why a command of the vault gives up by itself, before or after it has asked the vault.

May import: our errors. Invariant: those of `messages.errors`: the first line is the user's sentence, and no text given
to one carries a secret.
"""

from __future__ import annotations

from trollbridge.messages.errors import TrollbridgeError


class NoWayToAsk(TrollbridgeError):
    """There is no terminal to ask for the password on; give it by --password-file or --password-fd."""


class NotSure(TrollbridgeError):
    """It was not confirmed, so nothing was done; --yes confirms it."""


class NotFound(TrollbridgeError):
    """No key of that name is in the vault."""


class OutputExists(TrollbridgeError):
    """The output is there already, and was left as it is; --force replaces it."""


class WrongInput(TrollbridgeError):
    """The input is not what it must be."""


class WrongCommand(TrollbridgeError):
    """The command line asks for what cannot be."""
