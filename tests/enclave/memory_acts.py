"""A user interface with a vault, and acts that leave no copy of the ring key behind: a scan looks for the others."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, ClassVar, Final

from tests.harness.puppet import Puppet
from trollbridge.actors.app import App, Child
from trollbridge.actors.isolation import secret_memory
from trollbridge.messages.sandbox import Sandbox
from trollbridge.messages.vault import PASSWORD_ONLY, VOCABULARY
from trollbridge.ui_adapter import unlocking

if TYPE_CHECKING:
    from collections.abc import Mapping

    import msgspec

    from tests.harness.puppet import Strings

GRANTED: Final = ("challenge", "create", "decrypt", "encrypt", "generate", "lock", "sign", "unlock", "verify")
HOLDER: Final = "tests.enclave.memory_acts:Holder"


class Holder(Puppet):
    """A puppet that knows the vault's types."""

    vocabulary: ClassVar[tuple[type[msgspec.Struct], ...]] = VOCABULARY


def application(*, path: str, extensions: Mapping[str, str] | None = None) -> App:
    """Return a puppet with the vault at `path`, and a second enclave that can be killed.

    `extensions`: as for `stage.puppet_app`.
    """
    return App(
        ui=Child(HOLDER, name="puppet"),
        enclaves=[
            Child("trollbridge.enclave.vault:Vault", settings={"path": path}),
            Child("trollbridge.enclave.target:Target"),
        ],
        extensions=[
            Child(HOLDER, name=name, settings={"strings": socket}, sandbox=Sandbox(network=("unix",)))
            for name, socket in (extensions or {}).items()
        ],
        grants={
            "puppet": [*(f"vault.{name}" for name in GRANTED), "target.echo"],
            **{name: ["target.echo"] for name in extensions or {}},
        },
    )


def create(strings: Strings, password: str) -> None:
    """Make the vault, as a user interface that ships does."""
    unlocking.create(strings.bridge.vault, password, PASSWORD_ONLY)


def unlock(strings: Strings, password: str) -> None:
    """Unlock the vault, as a user interface that ships does."""
    unlocking.unlock(strings.bridge.vault, password, PASSWORD_ONLY)


def decrypt(strings: Strings, message: bytes, name: str) -> None:
    """Decrypt a message, open what comes sealed under the ring key, and keep it under a name."""
    strings.kept[name] = strings.bridge.vault.decrypt(message).get(timeout=20)


def copy_ring_key(strings: Strings, path: str) -> int:
    """Write this epoch's ring key into a file, from where it lies; return its address."""
    membership = strings.client._membership
    if membership is None or membership.ring_key is None or membership.ring_key._key is None:
        raise ConnectionError
    view = membership.ring_key._key.view
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, view)
    os.close(descriptor)
    return ctypes.addressof((ctypes.c_char * len(view)).from_buffer(view))


def in_secret_pages(_strings: Strings, keys: list[bytes]) -> list[int]:
    """Return how often each key stands in this process's own secret pages. It copies them: nothing is scanned after."""
    content = bytes(secret_memory.arena()._whole)
    return [content.count(each) for each in keys]
