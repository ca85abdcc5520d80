"""UIs that do one thing each, named by a setting, and let its error go, as an application that handles none does."""

from __future__ import annotations

import sys
from pathlib import Path

from trollbridge.messages.errors import KeychainFailed
from trollbridge.messages.vault import PASSWORD_ONLY, TWO_LAYERS, VOCABULARY
from trollbridge.ui_adapter import documents, unlocking
from trollbridge.ui_adapter.bridge import Bridge, UiActor

PASSWORD = "correct horse battery staple"
PATIENCE = 20.0


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


class Asker(UiActor):
    """Asks the clerk, wrongly or rightly."""

    def __init__(self, act: str) -> None:
        """Take what to do."""
        super().__init__()
        self._act = act

    def main(self, bridge: Bridge) -> int | None:
        """Do it; let the error go."""
        clerk = bridge.clerk
        match self._act:
            case "right":
                sys.stdout.write(f"{clerk.copy('as it is').get(timeout=PATIENCE)}\n")
            case "missing":
                clerk.burn()
            case "withheld":
                clerk.withheld()
            case "types":
                clerk.copy(5)
            case "size":
                clerk.copy("x" * 2000)
            case "crash":
                msg = "the first line of main"
                raise LookupError(msg)
            case "seven":
                return 7
            case act:
                return _talk(act)
        return 0


def _talk(act: str) -> int | None:
    """Say that the ring is there, wait for a line of input, and do the rest."""
    _say("ready")
    sys.stdin.readline()
    if act == "print":
        for _ in range(100_000):
            sys.stdout.write("a line that somebody may read\n")
    return 0


class Rash(UiActor):
    """Cannot even be made."""

    def __init__(self) -> None:
        """Fail."""
        super().__init__()
        msg = "no such thing"
        raise KeyError(msg)

    def main(self, bridge: Bridge) -> None:
        """Never run."""


class Keeper(UiActor):
    """Uses a vault."""

    vocabulary = VOCABULARY

    def __init__(self, act: str) -> None:
        """Take what to do."""
        super().__init__()
        self._act = act

    def main(self, bridge: Bridge) -> None:
        """Do it; let the error go."""
        vault = bridge.vault
        match self._act:
            case "create":
                _say(unlocking.create(vault, PASSWORD, PASSWORD_ONLY).state)
            case "layers":
                try:
                    unlocking.create(vault, PASSWORD, TWO_LAYERS)
                except KeychainFailed:
                    _say("no keychain")
            case "guess":
                unlocking.unlock(vault, "incorrect horse", PASSWORD_ONLY)
            case "hold":
                _say(unlocking.create(vault, PASSWORD, PASSWORD_ONLY).state)
                sys.stdin.readline()
                _say(vault.generate("Ada").get(timeout=PATIENCE).user_ids[0])
            case "count":
                unlocking.unlock(vault, PASSWORD, PASSWORD_ONLY)
                _say(len(vault.list_keys().get(timeout=PATIENCE)))
            case "fill":
                unlocking.unlock(vault, PASSWORD, PASSWORD_ONLY)
                for number in range(1000):
                    _say(vault.generate(f"Key {number}").get(timeout=PATIENCE).user_ids[0])
            case "write":
                documents.write(Path(sys.stdin.readline().strip()), bytes(1 << 20))
            case _:
                _say(vault.status().get(timeout=PATIENCE).state)
