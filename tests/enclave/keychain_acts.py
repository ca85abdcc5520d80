"""A user interface with a vault of two layers, and what it does, for the test in a whole ring."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tests.harness.puppet import Puppet
from trollbridge.actors.app import App, Child
from trollbridge.messages.vault import VOCABULARY
from trollbridge.ui_adapter import unlocking

if TYPE_CHECKING:
    import msgspec

    from tests.harness.puppet import Strings

GRANTED = (
    "challenge", "change_mode", "change_password", "check", "create", "export_public", "export_recovery", "generate",
    "lock", "recover", "recovery_challenge", "rotate_root", "status", "unlock",
)  # fmt: skip
HOLDER = "tests.enclave.keychain_acts:Holder"


class Holder(Puppet):
    """A puppet that knows the vault's types."""

    vocabulary: ClassVar[tuple[type[msgspec.Struct], ...]] = VOCABULARY


def application(*, path: str) -> App:
    """Return a puppet with the vault at `path`."""
    return App(
        ui=Child(HOLDER, name="puppet"),
        enclaves=[Child("trollbridge.enclave.vault:Vault", settings={"path": path})],
        grants={"puppet": [f"vault.{name}" for name in GRANTED]},
    )


def create(strings: Strings, password: str | None, mode: str) -> str:
    """Make the vault; return its mode."""
    return str(unlocking.create(strings.bridge.vault, password, mode).mode)


def unlock(strings: Strings, password: str | None, mode: str, known: bytes | None = None) -> None:
    """Open the vault, if it is the known one."""
    unlocking.unlock(strings.bridge.vault, password, mode, known)


def change_password(strings: Strings, password: str, new: str) -> None:
    """Put another password in its place."""
    unlocking.change_password(strings.bridge.vault, password, new)


def rotate_root(strings: Strings, password: str | None) -> None:
    """Put another root in its place."""
    unlocking.rotate_root(strings.bridge.vault, password)


def change_mode(strings: Strings, password: str | None, mode: str, new: str | None) -> None:
    """Protect it otherwise."""
    unlocking.change_mode(strings.bridge.vault, password, mode, new)


def export_recovery(strings: Strings, password: str | None, recovery_password: str) -> bytes:
    """Return the recovery file."""
    return unlocking.export_recovery(strings.bridge.vault, password, recovery_password)


def recover(strings: Strings, data: bytes, recovery_password: str) -> None:
    """Use a recovery file."""
    unlocking.recover(strings.bridge.vault, data, recovery_password)
