"""The application of the document soak: a user interface that has a document encrypted and decrypted again at once.

Imports trollbridge's ui_adapter, actors and messages. Nothing is stored: what comes out of one job goes into the other,
and what comes out of that is compared with what was made, piece by piece.
"""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING, Final

from trollbridge.actors.app import App, Child
from trollbridge.messages.vault import PASSWORD_ONLY, VOCABULARY
from trollbridge.messages.vault_documents import DECRYPT, ENCRYPT, FEED, Job
from trollbridge.ui_adapter import unlocking
from trollbridge.ui_adapter.bridge import Bridge, UiActor

if TYPE_CHECKING:
    from trollbridge.messages.vault_documents import Piece, Report
    from trollbridge.ui_adapter.bridge import MemberProxy

PATIENCE: Final = 60.0
TELL_EVERY: Final = 1024
"""MiB between two lines."""
HANDLERS: Final = "create challenge generate begin feed feed_plain finish finish_plain cancel"


class Lost(Exception):
    """What came out is not what went in."""


class Way:
    """One job of the vault, fed piece by piece."""

    def __init__(self, vault: MemberProxy, job: Job, *, plain: bool) -> None:
        """Begin it."""
        self._feed = vault.feed_plain if plain else vault.feed
        self._finish = vault.finish_plain if plain else vault.finish
        self._number: int = vault.begin(job).get(timeout=PATIENCE)
        self._at = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Feed it; return what comes out until little of it waits."""
        made: list[bytes] = []
        for at in range(0, len(data), FEED):
            made += self._step(data[at : at + FEED])
        return made

    def _step(self, data: bytes) -> list[bytes]:
        made: list[bytes] = []
        waiting = FEED + 1
        while waiting > FEED:
            piece: Piece = self._feed(self._number, self._at, data).get(timeout=PATIENCE)
            self._at += len(data)
            data, waiting = b"", piece.waiting
            made.append(piece.data)
        return made

    def finish(self) -> tuple[list[bytes], Report]:
        """End it; return the rest, and the report."""
        made: list[bytes] = []
        while True:
            piece: Piece = self._finish(self._number).get(timeout=PATIENCE)
            made.append(piece.data)
            if piece.report is not None:
                return made, piece.report


class Carrier(UiActor):
    """For each line of standard input, a number, carries a document of so many MiB there and back and says so."""

    vocabulary = VOCABULARY

    def main(self, bridge: Bridge) -> int:
        """Carry until standard input ends."""
        unlocking.create(bridge.vault, "a password for the soak", PASSWORD_ONLY)
        ada = bridge.vault.generate("ada").get(timeout=PATIENCE).fingerprint
        for line in sys.stdin:
            carry(bridge.vault, int(line), ada)
            say(f"{int(line)} MiB")
        return 0


def say(text: str) -> None:
    """Write one line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def carry(vault: MemberProxy, size: int, key: str) -> None:
    """Have `size` MiB encrypted, signed, decrypted and checked."""
    block, fed, found, length = os.urandom(FEED), hashlib.sha256(), hashlib.sha256(), 0
    there = Way(vault, Job(ENCRYPT, (key,), key, "", armored=False, signature=None, again=False), plain=False)
    back = Way(vault, Job(DECRYPT, (), None, "", armored=False, signature=None, again=False), plain=True)

    def take(pieces: list[bytes]) -> int:
        for each in pieces:
            found.update(each)
        return sum(map(len, pieces))

    for number in range(size):
        document = number.to_bytes(8, "big") + block[8:]
        fed.update(document)
        for message in there.feed(document):
            length += take(back.feed(message))
        if number % TELL_EVERY == TELL_EVERY - 1:
            say(f"{number + 1} of {size} MiB, {length >> 20} of them back")
    rest, _ = there.finish()
    for message in rest:
        length += take(back.feed(message))
    rest, report = back.finish()
    length += take(rest)
    signers = [each.fingerprint for each in report.signers]
    if (length, found.digest(), signers) != (size * FEED, fed.digest(), [key]):
        raise Lost


def application(place: str) -> App:
    """Return a carrier and its vault."""
    return App(
        ui=Child("tests.soak.carrier:Carrier"),
        enclaves=[Child("trollbridge.enclave.vault:Vault", name="vault", settings={"path": f"{place}/vault/a.vault"})],
        grants={"carrier": [f"vault.{each}" for each in HANDLERS.split()]},
    )
