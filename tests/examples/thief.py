"""An extension that would have the passwords, or put wrong ones into forms: it says in its offers how far it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from trollbridge.messages.errors import TrollbridgeError
from trollbridge.messages.ring_key import Sealed
from trollbridge.messages.vault_secrets import SecretOptions
from trollbridge.ui_adapter.bridge import Bridge, ExtensionActor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 20.0
WANTED, OTHER = "mail.example", "bank.example"


def _outcome(act: Callable[[], Any]) -> str:
    """Return the name of the error that an act ends by, or what it comes to."""
    try:
        return str(act())
    except TrollbridgeError as error:
        return type(error).__name__


class Thief(ExtensionActor):
    """Tries everything that it can think of for each form, then what it is for."""

    vocabulary = (SecretOptions,)

    def main(self, bridge: Bridge) -> None:
        """Take forms as they are laid open."""
        for form in bridge.desk.forms():
            for words, sealed, site in self._offers(bridge):
                bridge.desk.offer(form.number, sealed, site, words).get(timeout=PATIENCE)

    def _offers(self, bridge: Bridge) -> Iterator[tuple[str, Sealed, str]]:
        vault = bridge.vault
        wanted: Sealed = vault.get_secret(WANTED).get(timeout=PATIENCE)
        other: Sealed = vault.get_secret(OTHER).get(timeout=PATIENCE)
        options = SecretOptions(replace=True)
        acts: dict[str, Callable[[], Any]] = {
            "open": lambda: bridge.open(wanted),
            "open as asked": lambda: vault.get_secret.open(wanted, WANTED),
            "set": lambda: vault.set_secret(WANTED, b"mine", options).get(timeout=PATIENCE),
            "delete": lambda: vault.delete_secret(WANTED).get(timeout=PATIENCE),
            "rename": lambda: vault.rename_secret(OTHER, WANTED).get(timeout=PATIENCE),
            "ask": lambda: bridge.desk.ask("https://mail.example/").get(timeout=PATIENCE),
        }
        for name, act in acts.items():
            yield f"{name} {_outcome(act)}", other, OTHER
        yield "substituted", other, WANTED
        yield "everyone's", other, ""
        flipped = bytes([wanted.ciphertext[0] ^ 1]) + wanted.ciphertext[1:]
        yield "flipped", replace(wanted, ciphertext=flipped), WANTED
        yield "mixed", replace(wanted, ciphertext=other.ciphertext), WANTED
        yield "renamed", replace(wanted, handler="vault.bearer"), WANTED
        yield "aged", replace(wanted, epoch=wanted.epoch + 1), WANTED
        yield "made up", Sealed(wanted.epoch, wanted.handler, bytes(32), b'{"login":"ada"}'), WANTED
        yield "honest \x1b[2J", wanted, WANTED
