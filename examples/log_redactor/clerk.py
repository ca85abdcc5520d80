"""The user interface: has every log redacted, several at a time, and shows how far they are."""

from __future__ import annotations

import getpass
import secrets
import sys
from typing import TYPE_CHECKING

from trollbridge.messages.errors import DeclaredError
from trollbridge.messages.vault import MISSING, PASSWORD_ONLY, VOCABULARY, printable
from trollbridge.messages.vault_secrets import HMAC, SecretOptions
from trollbridge.ui_adapter import UiActor, unlocking

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.ui_adapter.bridge import Bridge


class Clerk(UiActor):
    """Has logs redacted."""

    vocabulary = VOCABULARY

    def main(self, bridge: Bridge) -> int:
        """Open the vault, have the logs redacted; return 0 if all were."""
        self._open(bridge)
        logs = [each for each in bridge.files.list("logs").get(timeout=10) if each.kind == "file"]
        streams = {log.name: bridge.redactor.redact.progress(reporter(log.name))(log.name, log.size) for log in logs}
        failed = 0
        for name, stream in streams.items():
            try:
                summary = stream.result.get()
                print(f"{printable(name)}: {summary.addresses} addresses in {summary.size} bytes", flush=True)
            except DeclaredError as error:
                failed = 1
                print(f"{printable(name)}: {error}", file=sys.stderr, flush=True)
        return failed

    def _open(self, bridge: Bridge) -> None:
        password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        if bridge.vault.status().get(timeout=5).state != MISSING:
            unlocking.unlock(bridge.vault, password, PASSWORD_ONLY)
            return
        unlocking.create(bridge.vault, password, PASSWORD_ONLY)
        options = SecretOptions(HMAC, use_only=True)
        bridge.vault.set_secret("pseudonyms", secrets.token_bytes(32), options).get(timeout=5)


def reporter(name: str) -> Callable[[int, int], None]:
    """Return what shows how far a log is, whenever another tenth of it is done."""
    tenths = 0

    def report(done: int, total: int) -> None:
        nonlocal tenths
        if 10 * done // (total or 1) > tenths:
            tenths = 10 * done // total
            print(f"{printable(name)}: {10 * tenths} %", flush=True)

    return report
