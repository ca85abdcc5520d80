"""What a scribe may ask for and say of its document, and what the vault makes of it.

May import: our enclave's keystore and scribe_words, our messages. Invariants: of a scribe that was taken over nothing
is believed that this vault can judge by itself; it names certificates and keys that are here or is told of as somebody
unknown; how much it may ask is bounded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.enclave.scribe_words import MOST_ASKS, MOST_HANDLES, MOST_SIGNERS, UNNAMED, Witnesses
from trollbridge.messages.error_codes import ErrorCode
from trollbridge.messages.errors import CallError, Malformed, from_wire
from trollbridge.messages.vault import printable
from trollbridge.messages.vault_documents import DECRYPT, VERIFY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trollbridge.enclave.keystore import Keystore
    from trollbridge.enclave.scribe_words import Done, Failed
    from trollbridge.messages.vault_documents import Job

MOST_OF_AN_ANSWER: Final = 8 << 20
"""Bytes of certificates in one answer."""
LATEST: Final = 1 << 32
"""Signatures hold their time in 32 bits (RFC 9580, section 3.5)."""
_HANDLE: Final = re.compile(rf"[0-9a-f]{{16}}|[0-9a-f]{{40}}|[0-9a-f]{{64}}|{UNNAMED}")
_FAILURES: Final = frozenset(
    {
        *(ErrorCode.BAD_SIGNATURE, ErrorCode.CANNOT_DECRYPT, ErrorCode.NOT_OPENPGP, ErrorCode.KEY_UNUSABLE),
        ErrorCode.INVALID_ARGUMENTS,
    }
)
"""What a document can fail by; whatever else goes wrong, the vault says itself."""
_LONGEST_TEXT: Final = 500


class Found(NamedTuple):
    """What is known of a document's signatures: who made the valid ones, and who cannot be checked."""

    valid: tuple[tuple[str, str, int | None], ...]
    """By the fingerprints of certificate and signing key, and the time."""
    unknown: tuple[str, ...]


class Account:
    """What one scribe has asked for, and what it may say in the end."""

    __slots__ = ("_asks", "_checks", "_keys", "_task")

    def __init__(self, task: Job, keys: Keystore) -> None:
        """Take what it is to do, and the keys of the vault."""
        self._task: Final = task
        self._keys: Final = keys
        self._checks: Final = task.kind == VERIFY or (task.kind == DECRYPT and not task.again)
        self._asks = 0

    def answer(self, handles: tuple[str, ...]) -> Witnesses:
        """Return the certificates that it asks for; raises `Malformed` if it may not, or not so many."""
        self._asks += 1
        if not self._checks or self._asks > MOST_ASKS or len(handles) > MOST_HANDLES or not _are_handles(handles):
            raise Malformed
        found = Witnesses(tuple(self._keys.witnesses([each]) for each in handles))
        if sum(len(each) for certificates in found.certificates for each in certificates) > MOST_OF_AN_ANSWER:
            raise Malformed
        return found

    def found(self, done: Done, keys: int, *, again: bool) -> Found:
        """Return what an outcome says of signatures; raises `Malformed` for one that cannot be.

        `keys`: so many were lent to decrypt with; `again`: the message may have to come again. A signer that is not
        here, with that key, is unknown, whatever the scribe calls valid.
        """
        if done.key not in range(max(1, keys)) or (done.again and not again):
            raise Malformed
        said = (*done.unknown, *(name for each in done.valid for name in (each.certificate, each.signing_key)))
        if len(said) > MOST_SIGNERS or not _are_handles(dict.fromkeys(said)):
            raise Malformed
        if not self._checks and done.valid:
            raise Malformed
        if not all(each.created is None or 0 <= each.created < LATEST for each in done.valid):
            raise Malformed
        here = [each for each in done.valid if self._keys.is_signer(each.certificate, each.signing_key)]
        strangers = (each.signing_key for each in done.valid if each not in here)
        return Found(
            tuple((each.certificate, each.signing_key, each.created) for each in here),
            tuple(dict.fromkeys((*done.unknown, *strangers))),
        )


def _are_handles(given: Iterable[str]) -> bool:
    """Return whether these are fingerprints and key ids, each once."""
    listed = tuple(given)
    return all(map(_HANDLE.fullmatch, listed)) and len(set(listed)) == len(listed)


def failure(failed: Failed) -> CallError:
    """Return the error that a scribe tells of; raises `Malformed` for one that a document cannot fail by."""
    if failed.code not in _FAILURES:
        raise Malformed
    return from_wire(failed.code, "", printable(failed.text)[:_LONGEST_TEXT])
