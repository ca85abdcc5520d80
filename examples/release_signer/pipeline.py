"""The CI job: opens the vault, asks for the release, and puts what was signed beside what was built.

Exit codes:

    0  signed
    1  something failed
    3  the vault cannot be opened
    4  the declaration does not grant it: no release has such a tag
    5  the gate refuses: the checkout is not what was tagged, nothing was built, or it is the wrong key
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from trollbridge.actors import Sandbox
from trollbridge.messages.errors import DeclaredError, NotAllowed, WrongPassword
from trollbridge.messages.vault import MISSING, PASSWORD_ONLY, VOCABULARY
from trollbridge.ui_adapter import UiActor, files, unlocking

if TYPE_CHECKING:
    from trollbridge.ui_adapter.bridge import Bridge

SIGNED, NOT_OPENED, NOT_GRANTED, REFUSED = 0, 3, 4, 5
PATIENCE = 600.0
"""Seconds that a release may take."""


class Pipeline(UiActor):
    """Runs without anybody, and reaches nothing but its bridge and the descriptors that it was started with."""

    sandbox = Sandbox()
    vocabulary = VOCABULARY

    def __init__(self, tag: str, key: str) -> None:
        """Take what is to be released, and the user id of the key that the first run makes."""
        super().__init__()
        self._tag, self._key = tag, key

    def main(self, bridge: Bridge) -> int:
        """Release."""
        try:
            self._open(bridge)
        except WrongPassword as error:
            return _said(error, NOT_OPENED)
        try:
            stream = bridge.gate.release.progress(_report)(self._tag)
            release = stream.result.get(timeout=PATIENCE)
        except NotAllowed as error:
            return _said(f"{self._tag or 'no TAG'}: {error}", NOT_GRANTED)
        except DeclaredError as error:
            return _said(error, REFUSED)
        files.upload(bridge.files, "signed/SHA256SUMS", io.BytesIO(release.sums))
        files.upload(bridge.files, "signed/SHA256SUMS.asc", io.BytesIO(release.signature))
        print(f"{self._tag}: {len(release.sums.splitlines())} files, signed")
        return SIGNED

    def _open(self, bridge: Bridge) -> None:
        with os.fdopen(3, encoding="utf-8") as source:
            password = source.readline().rstrip("\n")
        if bridge.vault.status().get(timeout=5).state != MISSING:
            unlocking.unlock(bridge.vault, password, PASSWORD_ONLY)
            return
        unlocking.create(bridge.vault, password, PASSWORD_ONLY)
        bridge.vault.generate(self._key).get(timeout=20)
        certificate = bridge.vault.export_public(self._key).get(timeout=5)
        files.upload(bridge.files, "signed/release-key.asc", io.BytesIO(certificate))


def _report(done: int, total: int) -> None:
    print(f"{done} of {total} bytes", flush=True)


def _said(error: DeclaredError | str, code: int) -> int:
    print(error, file=sys.stderr, flush=True)
    return code
