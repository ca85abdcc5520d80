"""One OpenPGP job: what the vault tells its scribe, which keys it lends it, and what it makes of the outcome.

May import: our enclave's armor, certificate, gate, keystore, scribe_account, scribe_client and scribe_words, our
messages. Invariants: a scribe gets the keys that its one document needs, under a password of that document alone; of
what a key makes or opens nothing comes out before the gate has admitted the use, on the content that was measured here
where a use is approved; nothing is reported of a document that the scribe has not accounted for.

When a use is admitted:

    detached signature      once all of the document is in, by its digest; until then the signature is withheld
    all else                before the key is lent, so with no content: a key whose every use is approved is refused
"""

from __future__ import annotations

import codecs
import hashlib
from typing import TYPE_CHECKING, Final

from trollbridge.enclave.armor import Armor
from trollbridge.enclave.certificate import Certificate
from trollbridge.enclave.gate import HEAD_SIZE, Content
from trollbridge.enclave.scribe_account import Account, failure
from trollbridge.enclave.scribe_client import Scribe
from trollbridge.enclave.scribe_words import (
    BEGINNING,
    MOST_SIGNERS,
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
)
from trollbridge.messages.errors import BadSignature, CannotDecrypt, InvalidArguments, Malformed, Overloaded
from trollbridge.messages.vault import CLEAR, DETACHED, INLINE, SIGNATURE_MODES
from trollbridge.messages.vault_documents import DECRYPT, ENCRYPT, FEED, PIECE, SIGN, VERIFY, Job, Report
from trollbridge.messages.vault_secrets import SUBJECT_OF_KEYS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from trollbridge.enclave.gate import Gate
    from trollbridge.enclave.keystore import Keystore
    from trollbridge.enclave.scribe_words import Done, FromScribe, ToScribe
    from trollbridge.messages.errors import CallError

PATIENCE: Final = 0.1
"""Seconds that one feed waits for the scribe to take what is too much to let wait."""
LAST_PATIENCE: Final = 0.25
"""Seconds that one call for the rest waits for it."""
SILENCE: Final = 30.0
"""Seconds after which a scribe is given up that does nothing, though it has all of the document."""
UNSEEN: Final = Content(b"", 0, b"")
"""A document of which it is not known yet what it will be; a key whose every use is approved is not used on it."""
LONGEST_SIGNATURE: Final = 256 * 1024
"""Bytes of a detached signature."""
_ROOM: Final = PIECE * 2 // 3
"""Bytes that are taken at once: armored, they still fit into a piece."""
_LOST: Final = "The process that worked on the document could not be had, or was ended; try again."
_NONSENSE: Final = "The process that worked on the document said what it may not, and was ended."


class Measure:
    """What a document has come to so far."""

    __slots__ = ("_head", "_sha256", "_size")

    def __init__(self) -> None:
        """Begin with nothing."""
        self._sha256 = hashlib.sha256()
        self._head = b""
        self._size = 0

    def add(self, data: bytes) -> None:
        """Take note of more."""
        self._sha256.update(data)
        self._head += data[: HEAD_SIZE - len(self._head)]
        self._size += len(data)

    def content(self) -> Content:
        """Return what it comes to."""
        return Content(self._sha256.digest(), self._size, self._head)


class ScribeJob:
    """A document on its way through a scribe."""

    __slots__ = (
        "_account", "_armor", "_beginning", "_done", "_gate", "_held", "_keys", "_lent", "_measure", "_parked",
        "_scribe", "_sighted", "_signature", "_task", "_text",
    )  # fmt: skip

    def __init__(self, task: Job, keys: Keystore, gate: Gate, start: Callable[[int, int], socket.socket]) -> None:
        """Admit the use of the keys it names, start the scribe, and tell it what there is to do.

        Raises what using the keys raises, and `InvalidArguments`.
        """
        self._task: Final = task
        self._keys: Final = keys
        self._gate: Final = gate
        self._account: Final = Account(task, keys)
        self._lent: tuple[str, ...] = ()
        """Fingerprints of the keys that were lent, in their order."""
        detached = task.kind == SIGN and task.mode == DETACHED
        self._signature: Final = bytearray() if detached else None
        """A detached signature, until its making is admitted."""
        self._measure: Measure | None = Measure() if detached or task.kind == DECRYPT else None
        """Of what is fed, where it may have to be approved, or to come again."""
        message = task.kind == ENCRYPT or (task.kind == SIGN and task.mode == INLINE)
        self._armor: Final = Armor() if message and task.armored else None
        clear = task.kind == SIGN and task.mode == CLEAR
        self._text: Final = codecs.getincrementaldecoder("utf-8")() if clear else None
        first = self._first()
        self._held: list[bytes] | None = [] if first is None else None
        """The message's beginning, until there is enough of it to look at."""
        self._beginning = b""
        self._parked = 0
        self._sighted = False
        self._done: Done | None = None
        self._scribe: Final = Scribe(start, self._answer)
        if first is not None:
            self._scribe.say(first)

    @property
    def waiting(self) -> int:
        """How many bytes were fed and not taken yet."""
        return self._parked + self._scribe.waiting

    @property
    def subjects(self) -> tuple[str, ...]:
        """The keys that were lent, as the gate calls them."""
        return tuple(SUBJECT_OF_KEYS + each for each in self._lent)

    @property
    def busy(self) -> bool:
        """Whether a process works on it."""
        return self._done is None

    @property
    def content(self) -> Content | None:
        """What was fed, if that is known."""
        return None if self._measure is None else self._measure.content()

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
        """Return the key to sign with; its use is admitted, but for a detached signature, which is later."""
        key = Key(*self._keys.signing_parts(name, SIGN, UNSEEN if self._signature is None else None))
        self._lent = (Certificate.stored(key.certificate).fingerprint,)
        if self._signature is not None:
            for each in self.subjects:
                self._gate.check(each)
        return key

    def _answer(self, word: FromScribe) -> ToScribe | None:
        """Answer a scribe; raises what using a key raises, and `Malformed` for what it may not say now."""
        decrypts = self._task.kind == DECRYPT
        match word:
            case Ask(handles):
                return self._account.answer(handles)
            case Sighted() if decrypts and self._lent and not self._sighted and not self._task.again:
                self._sighted, self._measure = True, None
                return None
            case Seen(handles) if decrypts and self._held is None and not self._lent and len(handles) <= MOST_SIGNERS:
                parts = self._keys.decrypting_parts(handles, UNSEEN, self._beginning)
                self._lent = tuple(Certificate.stored(each.certificate).fingerprint for each in parts)
                return Decrypt(tuple(Key(*each) for each in parts), not self._task.again)
            case _:
                raise Malformed

    def feed(self, data: bytes) -> bytes:
        """Take more of the document; return what has come out. Raises what is wrong with it, as soon as that shows."""
        if self._measure is not None:
            self._measure.add(data)
        if self._text is not None:
            self._decode(self._text, data)
        if self._held is None:
            self._scribe.feed(data)
        else:
            self._held.append(data)
            self._parked += len(data)
            if self._parked >= BEGINNING:
                self._look(self._held)
        made, done = self._pumped(FEED, PATIENCE)
        if done is not None:  # before the document has ended
            raise self._loss(_NONSENSE)
        return made

    @staticmethod
    def _decode(text: codecs.IncrementalDecoder, data: bytes, *, final: bool = False) -> None:
        try:
            text.decode(data, final)
        except UnicodeDecodeError:
            msg = "Only UTF-8 text can be signed in clear; choose another mode."
            raise InvalidArguments(msg) from None

    def _look(self, held: list[bytes]) -> None:
        beginning = b"".join(held)[:BEGINNING]
        if self._task.kind == DECRYPT:
            self._beginning = beginning
        self._scribe.say(Look(beginning) if self._task.kind == DECRYPT else Read(beginning))
        self._held, self._parked = None, 0
        for each in held:
            self._scribe.feed(each)

    def _pumped(self, enough: int, seconds: float) -> tuple[bytes, Done | None]:
        """Return what has come out meanwhile, but a signature, and the outcome; raises what went wrong."""
        try:
            made = self._scribe.pump(_ROOM, enough, seconds)
            done = self._outcome()
            if self._signature is not None:
                self._signature.extend(made)
                if len(self._signature) > LONGEST_SIGNATURE:
                    raise Malformed
                return b"", done
        except Malformed:
            raise self._loss(_NONSENSE) from None
        return made if self._armor is None else self._armor.feed(made), done

    def _loss(self, text: str) -> CallError:
        return CannotDecrypt(text) if self._task.kind == DECRYPT else Overloaded(text)

    def _outcome(self) -> Done | None:
        """Return how it went, if it went well and is over; raises what went wrong."""
        outcome = self._scribe.outcome
        if isinstance(outcome, Failed):
            raise failure(outcome)
        if self._scribe.finished and outcome is not None:
            return outcome
        if self._scribe.finished or self._scribe.silent > SILENCE:
            raise self._loss(_LOST)
        return None

    def finish(self) -> tuple[bytes, Report | None]:
        """Return more of what comes out, and the report if that was all; raises what is wrong with the document.

        What the gate raises about a complete signature can be mended: `finish` may be called again.
        """
        made, done = (b"", self._done) if self._done is not None else self._rest()
        if done is None:
            return made, None
        self._done = done
        self._scribe.close()
        report = self._report(done)
        if self._signature is not None:
            self._admit()
            made = bytes(self._signature)
        return made + (b"" if self._armor is None else self._armor.finish()), report

    def _rest(self) -> tuple[bytes, Done | None]:
        if self._text is not None:
            self._decode(self._text, b"", final=True)
        if self._held is not None:
            self._look(self._held)
        self._scribe.end_input()
        return self._pumped(-1, LAST_PATIENCE)

    def _admit(self) -> None:
        content = self.content
        if content is None:
            raise Malformed
        for each in self.subjects:
            self._gate.admit(each, SIGN, content)

    def _report(self, done: Done) -> Report:
        decrypts = self._task.kind == DECRYPT
        again = decrypts and not self._sighted and not self._task.again
        try:
            if decrypts and not self._lent:
                raise Malformed
            found = self._account.found(done, len(self._lent), again=again)
        except Malformed:
            raise self._loss(_NONSENSE) from None
        if self._task.kind == VERIFY and not found.valid:
            raise BadSignature
        recipient = self._lent[done.key] if decrypts else ""
        return Report(self._keys.signers(found.valid), found.unknown, recipient, done.again)

    def close(self) -> None:
        """Let go of the scribe, which ends it."""
        self._scribe.close()
