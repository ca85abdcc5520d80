"""The exit codes of the vault's commands.

May import: `actors.exits`. Invariant: a code means one thing, and never another than in `exits`.
"""

from __future__ import annotations

from typing import Final

from trollbridge.actors import exits

FAILED: Final = 1
WRONG_COMMAND: Final = 2
BAD_SIGNATURE: Final = 3
NOT_FOUND: Final = 4
CANNOT_OPEN: Final = 5
WRONG_PASSWORD: Final = 6
NOT_ALLOWED: Final = 7
NO_VAULT: Final = 8
KEYCHAIN: Final = 9
KEY_UNUSABLE: Final = 10
WRONG_DATA: Final = 65
NOT_READ: Final = 66
NOT_WRITTEN: Final = 73

TABLE: Final = (
    ("0", "It is done. For verify: every signature that can be checked is valid, and there is one."),
    (str(FAILED), "Something else failed; the line on standard error says what. check: the vault is damaged."),
    (str(WRONG_COMMAND), "The command line is wrong."),
    (str(BAD_SIGNATURE), "A signature is invalid, missing, or not by the key that was demanded."),
    (
        str(NOT_FOUND),
        "There is no such key or API key, or the name fits several; or one of that name is there already.",
    ),
    (str(CANNOT_OPEN), "The message or sealed file is not for this vault, or is damaged; nothing was written."),
    (str(WRONG_PASSWORD), "The password is wrong, must wait, or could not be asked for."),
    (str(NOT_ALLOWED), "A constraint, a missing approval or a refusal stands against it."),
    (str(NO_VAULT), "The vault is missing, damaged, in use, already there, or cannot be written."),
    (
        str(KEYCHAIN),
        "The keychain failed or lacks the root; or it is another vault, or in another mode, than was opened before.",
    ),
    (str(KEY_UNUSABLE), "A key is expired, revoked or cannot do this."),
    (str(WRONG_DATA), "The input is not what it must be."),
    (str(NOT_READ), "The input cannot be read."),
    (str(exits.RING_LOST), "A process of the command kept dying."),
    (str(exits.UI_CRASHED), "The command failed in a way that nobody has foreseen."),
    (str(exits.BOOT_FAILED), "The processes of the command could not be started."),
    (str(NOT_WRITTEN), "The output cannot be written, or is there already; what was there is unchanged."),
    (str(exits.OUTPUT_CLOSED), "Standard output was closed while something was written to it."),
    (str(exits.NOT_ISOLATED), "The kernel isolates a process less well than `--least` demands."),
    ("128+n", "Signal n ended it: 130 Ctrl-C, 143 SIGTERM."),
)
"""What a code means; every help page of the vault's commands shows it."""
