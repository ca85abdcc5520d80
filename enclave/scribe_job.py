"""One OpenPGP job: what the vault tells its scribe, which keys it lends it, and what it makes of the outcome.

May import: our enclave's armor, certificate, gate, keystore, scribe_client and scribe_words, our messages. Invariants:
a scribe gets the keys that its one document needs, under a password of that document alone, and only after the gate
has admitted the use; nothing is reported of a document that the scribe has not accounted for.
"""

from __future__ import annotations

import codecs
import hashlib
from typing import TYPE_CHECKING, Final

from trollbridge.enclave.armor import Armor
from trollbridge.enclave.certificate import Certificate
from trollbridge.enclave.gate import Content
from trollbridge.enclave.scribe_client import Scribe
from trollbridge.enclave.scribe_words import (
    BEGINNING,
    Ask,
    Check,
    Decrypt,
    Encrypt,
    Failed,
    Key,
    Look,
    Read,
    Seen,
    Sighted,
    Sign,
    Witnesses,
)
from trollbridge.messages.errors import CannotDecrypt, InvalidArguments, Malformed, Overloaded, from_wire
from trollbridge.messages.vault import CLEAR, INLINE, SIGNATURE_MODES
from trollbridge.messages.vault_documents import DECRYPT, ENCRYPT, FEED, HEAD, PIECE, SIGN, Digest, Job, Report

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from trollbridge.enclave.keystore import Keystore
    from trollbridge.enclave.scribe_words import Done, FromScribe, ToScribe

PATIENCE: Final = 0.1
"""Seconds that one feed waits for the scribe to take what is too much to let wait."""
LAST_PATIENCE: Final = 0.25
"""Seconds that one call for the rest waits for it."""
UNSEEN: Final = Content(b"", 0, b"")
"""A document of which nobody has said what it will be; a key whose every use is approved is not used on it."""
_ROOM: Final = PIECE * 2 // 3
"""Bytes that are taken at once: armored, they still fit into a piece."""
_LOST: Final = "The process that worked on the document could not be had, or was ended; try again."


class ScribeJob:
    """A document on its way through a scribe."""

    __slots__ = (
        "_armor", "_content", "_fingerprints", "_held", "_keys", "_parked", "_scribe", "_strangers", "_task", "_text",
        "to_be_known",
    )  # fmt: skip

    def __init__(
        self,
        task: Job,
        keys: Keystore,
        start: Callable[[int, int], socket.socket],
        strangers: tuple[str, ...] | None,
    ) -> None:
        """Admit the use of the keys it names, start the scribe, and tell it what there is to do.

        `strangers`: the signers of this very message, all of whom were unknown; it is then decrypted unchecked. Raises
        what using the keys raises, and `InvalidArguments`.
        """
        self._task: Final = task
        self._keys: Final = keys
        self._strangers: Final = strangers
        self.to_be_known = task.kind == DECRYPT
        """Whether the digest of what is fed is needed though nobody said one: it may have to come again."""
        self._content: Final = UNSEEN if task.content is None else content_of(task.content)
        self._fingerprints: tuple[str, ...] = ()
        """Of the keys that were lent, in their order."""
        message = task.kind == ENCRYPT or (task.kind == SIGN and task.mode == INLINE)
        self._armor: Final = Armor() if message and task.armored else None
        clear = task.kind == SIGN and task.mode == CLEAR
        self._text: Final = codecs.getincrementaldecoder("utf-8")() if clear else None
        first = self._first()
        self._held: list[bytes] | None = [] if first is None else None
        """The message's beginning, until there is enough of it to look at."""
        self._parked = 0
        self._scribe: Final = Scribe(start, self._answer)
        if first is not None:
            self._scribe.say(first)

    @property
    def waiting(self) -> int:
        """How many bytes were fed and not taken yet."""
        return self._parked + self._scribe.waiting

    def _first(self) -> ToScribe | None:
        """Return what the scribe is told at once; None if the message must be looked at first."""
        task = self._task
        if task.kind == ENCRYPT:
            recipients = tuple(self._keys.recipient_certs(task.recipients))
            return Encrypt(recipients, None if task.signer is None else self._signer(task.signer))
        if task.kind == SIGN:
            if task.mode not in SIGNATURE_MODES or task.signer is None:
                msg = f"Signing takes a signer and one of these modes: {', '.join(SIGNATURE_MODES)}."
                raise InvalidArguments(msg)
            return Sign(self._signer(task.signer), task.mode, task.armored and self._armor is None)
        return None if task.signature is None else Check(task.signature)

    def _signer(self, name: str) -> Key:
        return Key(*self._keys.signing_parts(name, SIGN, self._content))

    def _answer(self, word: FromScribe) -> ToScribe | None:
        """Answer a scribe; raises what using a key raises."""
        match word:
            case Ask(handles):
                return Witnesses(tuple(tuple(self._keys.witnesses([each])) for each in handles))
            case Sighted():
                self.to_be_known = False
                return None
            case Seen(handles) if self._task.kind == DECRYPT and not self._fingerprints:
                lent = tuple(Key(*each) for each in self._keys.decrypting_parts(handles, self._content))
                if not lent:
                    raise CannotDecrypt
                self._fingerprints = tuple(Certificate.stored(each.certificate).fingerprint for each in lent)
                return Decrypt(lent, self._strangers is None)
            case _:
                raise Malformed

    def feed(self, data: bytes) -> bytes:
        """Take more of the document; return what has come out. Raises what is wrong with it, as soon as that shows."""
        if self._text is not None:
            self._decode(self._text, data)
        if self._held is None:
            self._scribe.feed(data)
        else:
            self._held.append(data)
            self._parked += len(data)
            if self._parked >= BEGINNING:
                self._look(self._held)
        made = self._scribe.pump(_ROOM, FEED, PATIENCE)
        self._check()
        return made if self._armor is None else self._armor.feed(made)

    @staticmethod
    def _decode(text: codecs.IncrementalDecoder, data: bytes, *, final: bool = False) -> None:
        try:
            text.decode(data, final)
        except UnicodeDecodeError:
            msg = "Only UTF-8 text can be signed in clear; choose another mode."
            raise InvalidArguments(msg) from None

    def _look(self, held: list[bytes]) -> None:
        beginning = b"".join(held)[:BEGINNING]
        self._scribe.say(Look(beginning) if self._task.kind == DECRYPT else Read(beginning))
        self._held, self._parked = None, 0
        for each in held:
            self._scribe.feed(each)

    def _check(self) -> Done | None:
        """Return how it went, if it went well and is over; raises what went wrong."""
        outcome = self._scribe.outcome
        if isinstance(outcome, Failed):
            raise from_wire(outcome.code, "", outcome.text)
        if not self._scribe.finished:
            return None
        if outcome is None:
            raise CannotDecrypt(_LOST) if self._task.kind == DECRYPT else Overloaded(_LOST)
        return outcome

    def finish(self) -> tuple[bytes, Report | None]:
        """Return more of what comes out, and the report if that was all; raises what is wrong with the document."""
        if self._text is not None:
            self._decode(self._text, b"", final=True)
        if self._held is not None:
            self._look(self._held)
        self._scribe.end_input()
        made = self._scribe.pump(_ROOM, -1, LAST_PATIENCE)
        done = self._check()
        if self._armor is not None:
            made = self._armor.feed(made) + (b"" if done is None else self._armor.finish())
        return made, None if done is None else self._report(done)

    def _report(self, done: Done) -> Report:
        recipient = self._fingerprints[done.key] if self._fingerprints else ""
        unknown = done.unknown if self._strangers is None else self._strangers
        valid = [(each.certificate, each.signing_key, each.created) for each in done.valid]
        return Report(self._keys.signers(valid), unknown, recipient, None, done.again)

    def close(self) -> None:
        """Let go of the scribe, which ends it."""
        self._scribe.close()


def content_of(claimed: Digest) -> Content:
    """Return a claim as the gate takes it; raises `InvalidArguments` for one that can be none."""
    if len(claimed.sha256) != hashlib.sha256().digest_size or claimed.size < 0 or len(claimed.head) > HEAD:
        msg = "What is said of the document is no SHA-256, size and beginning."
        raise InvalidArguments(msg)
    return Content(claimed.sha256, claimed.size, claimed.head)
