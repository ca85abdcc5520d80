"""The layers of one vault file: what has to be there to open it, and how they are changed.

May import: our actors' secret memory, our enclave's attempts, database, header, keychain_client, passwords and
recovery, our messages. Invariants: a password that is judged is counted first; nothing relies on a root before it was
read back from the keychain; where there is a root, nobody without it can judge a password, so it is fetched before
that; a change is one write of the header, so at any moment the old layers open the vault or the new ones do: the new
root is kept before that write, and the old one is forgotten after it.

A root that is left over when the process dies in between opens nothing. The next one of that number takes its place,
and the next removal takes along all that are older.
"""

from __future__ import annotations

import contextlib
import hmac
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.actors.isolation import secret_memory
from trollbridge.enclave import passwords, recovery
from trollbridge.enclave.attempts import Attempts
from trollbridge.enclave.header import (
    FIRST,
    ROOT_SIZE,
    Unwrapped,
    decode_header,
    encode_header,
    fits,
    has_keychain,
    has_password,
    lay,
    stored_key,
    unwrap,
)
from trollbridge.messages import password
from trollbridge.messages.errors import DeclaredError, KeychainFailed, RootMissing, WrongMode, WrongPassword
from trollbridge.messages.vault import MODES, RECOVERY, Verifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.enclave.database import Database
    from trollbridge.enclave.header import Header
    from trollbridge.enclave.keychain_client import RootKeeper
    from trollbridge.enclave.passwords import Answer, Challenges
    from trollbridge.messages.secret import Secret
    from trollbridge.messages.vault import Challenge, PasswordParameters, Proof

_NO_SUCH_MODE: Final = f"A vault's mode is one of {', '.join(MODES)}."
_NEEDS_PASSWORD: Final = "This mode needs a password."  # noqa: S105  # a sentence
_TAKES_NO_PASSWORD: Final = "A vault of this mode has no password."  # noqa: S105  # a sentence
_TAKES_NO_ROOT: Final = "A vault of this mode has no root in the OS keychain."
_SAME_MODE: Final = "The vault is in that mode already."
_FRESH: Final = "This needs the vault's password once more."
_OTHER_ROOT: Final = "The OS keychain holds another root than this vault's; use the recovery file."
_NOT_KEPT: Final = "The OS keychain did not keep what was stored in it."


class Taken(NamedTuple):
    """Every layer of a vault, checked, and what they open. To be closed."""

    header: Header
    answer: Answer | None
    root: Secret | None
    unwrapped: Unwrapped

    def close(self) -> None:
        """Wipe everything."""
        self.unwrapped.drop()
        if self.root is not None:
            self.root.drop()

    def signature(self) -> bytes:
        """Return the vault's own answer, which only the true vault can give; empty without a password."""
        if self.answer is None:
            return b""
        return password.mac(bytes(self.unwrapped.server_key.view), self.answer.message)

    def verifier(self) -> Verifier | None:
        """Return the password's layer as it is, to be laid anew."""
        if self.answer is None:
            return None
        server_key = bytes(self.unwrapped.server_key.view)
        return Verifier(self.header.salt, self.header.parameters, self.answer.client_key, server_key)


def check_mode(mode: str, verifier: Verifier | None, floor: PasswordParameters) -> None:
    """Raise `WrongMode` unless that is a mode and there is a password exactly if it has one; or `WeakParameters`."""
    if mode not in MODES:
        raise WrongMode(_NO_SUCH_MODE)
    if (verifier is not None) != has_password(mode):
        raise WrongMode(_TAKES_NO_PASSWORD if verifier is not None else _NEEDS_PASSWORD)
    if verifier is not None:
        password.check_verifier(verifier, floor)


def new_root(keeper: RootKeeper, vault: bytes, number: int) -> Secret:
    """Make a root, and return it once the keychain has shown that it keeps it; raises `KeychainFailed`."""
    root = secret_memory.secret(ROOT_SIZE)
    secret_memory.fill_random(root.view)
    return kept(keeper, vault, number, root)


def kept(keeper: RootKeeper, vault: bytes, number: int, root: Secret) -> Secret:
    """Store a root, read it back, and return it; raises `KeychainFailed`, with the root dropped."""
    try:
        keeper.store(vault, number, root)
        back = keeper.fetch(vault, number)
        same = hmac.compare_digest(back.view, root.view)
        back.drop()
        if not same:
            raise KeychainFailed(_NOT_KEPT)
    except RootMissing:
        root.drop()
        raise KeychainFailed(_NOT_KEPT) from None
    except BaseException:
        root.drop()
        raise
    return root


def forget(keeper: RootKeeper, vault: bytes, number: int) -> None:
    """Remove a root that nothing needs any more; if that fails it stays, and opens nothing."""
    with contextlib.suppress(DeclaredError):
        keeper.remove(vault, number)


class Layers:
    """The layers of an open file."""

    __slots__ = ("_challenges", "_database", "_floor", "_keeper", "attempts")

    def __init__(
        self,
        database: Database,
        keeper: RootKeeper,
        challenges: Challenges,
        floor: PasswordParameters,
        clocks: tuple[Callable[[], float], Callable[[], float]],
    ) -> None:
        """Take the file, where roots are kept, and two clocks: one that only moves forward, and the time of day."""
        self._database: Final = database
        self._keeper: Final = keeper
        self._challenges: Final = challenges
        self._floor: Final = floor
        self.attempts: Final = Attempts(database, *clocks)

    def header(self) -> Header:
        """Return the header as it is stored; raises `VaultCorrupt`."""
        return decode_header(self._database.header())

    def challenge(self) -> Challenge:
        """Return a challenge for the vault's password; raises `WrongMode` without one, `TooManyAttempts`.

        Its answer needs the root, if there is one, so the keychain is told.
        """
        header = self.header()
        if not has_password(header.mode):
            raise WrongMode(_TAKES_NO_PASSWORD)
        self.attempts.check()
        if has_keychain(header.mode):
            self._keeper.expect()
        return self._challenges.issue(header.vault, header.salt, header.parameters, header.mode)

    def take(self, proof: Proof | None) -> Taken:
        """Gather every layer and open the vault key with them; for a vault without a password, whatever the proof.

        Raises `WrongPassword`, counted if it is for an open challenge; `TooManyAttempts`; `StorageFailed` if the
        attempt cannot be counted; and, counting nothing and judging nothing, `KeychainFailed`, `RootMissing`, and
        `VaultCorrupt` for a header that was altered.
        """
        header = self.header()
        asked = self._asked(header, proof)
        root = self._root(header)
        try:
            answer = None if asked is None else self._judged(stored_key(header, root), *asked)
            unwrapped = unwrap(header, None if answer is None else answer.client_key, root)
        except BaseException:
            if root is not None:
                root.drop()
            raise
        return Taken(header, answer, root, unwrapped)

    def _asked(self, header: Header, proof: Proof | None) -> tuple[Challenge, Proof] | None:
        """Return the proof and the challenge that it answers, which is used up; None for a vault without a password."""
        if not has_password(header.mode):
            return None
        if proof is None:
            raise WrongPassword(_FRESH)
        self.attempts.check()
        return self._challenges.take(proof.nonce, header.salt, header.mode), proof

    def _judged(self, stored: bytes, challenge: Challenge, proof: Proof) -> Answer:
        self.attempts.begin()
        answer = passwords.judged(stored, challenge, proof)
        self.attempts.settle()
        return answer

    def _root(self, header: Header) -> Secret | None:
        if not has_keychain(header.mode):
            return None
        root = self._keeper.fetch(header.vault, header.number)
        if fits(header, root):
            return root
        root.drop()
        raise RootMissing(_OTHER_ROOT)

    def renew(self, taken: Taken) -> None:
        """Write a header of an older form in today's."""
        if taken.header.form == FIRST:
            self._write(taken, taken.header.mode, taken.header.number, taken.verifier(), taken.root)

    def change_password(self, taken: Taken, verifier: Verifier) -> None:
        """Put another password in the place of the one there is."""
        check_mode(taken.header.mode, verifier, self._floor)
        self._write(taken, taken.header.mode, taken.header.number, verifier, taken.root)

    def rotate_root(self, taken: Taken) -> None:
        """Put another root in the place of the one there is; raises `WrongMode` if there is none."""
        self.check_root(taken.header)
        self._lay_anew(taken, taken.header.mode, taken.verifier())

    def change_mode(self, taken: Taken, mode: str, verifier: Verifier | None) -> None:
        """Protect the vault by other layers. A password that both modes have is kept, unless another is given."""
        if mode == taken.header.mode:
            raise WrongMode(_SAME_MODE)
        if verifier is None and mode in MODES and has_password(mode):
            verifier = taken.verifier()
        check_mode(mode, verifier, self._floor)
        self._lay_anew(taken, mode, verifier)

    def _lay_anew(self, taken: Taken, mode: str, verifier: Verifier | None) -> None:
        """Lay the layers under the next number, with a new root if the mode has one; then forget the old root."""
        header, number = taken.header, taken.header.number + 1
        root = new_root(self._keeper, header.vault, number) if has_keychain(mode) else None
        try:
            self._write(taken, mode, number, verifier, root)
        finally:
            if root is not None:
                root.drop()
        if has_keychain(header.mode):
            forget(self._keeper, header.vault, header.number)

    def _write(self, taken: Taken, mode: str, number: int, verifier: Verifier | None, root: Secret | None) -> None:
        header = lay(taken.header.vault, mode, number, key=taken.unwrapped.key, verifier=verifier, root=root)
        self._database.set_header(encode_header(header))

    @staticmethod
    def check_root(header: Header) -> None:
        """Raise `WrongMode` unless a vault of this mode has a root."""
        if not has_keychain(header.mode):
            raise WrongMode(_TAKES_NO_ROOT)

    def export_recovery(self, taken: Taken, verifier: Verifier) -> bytes:
        """Return the root, sealed under the password that `verifier` was made of."""
        self.check_root(taken.header)
        password.check_verifier(verifier, self._floor)
        if taken.root is None:
            raise WrongMode(_TAKES_NO_ROOT)
        return recovery.seal(taken.header, taken.root, verifier)

    def recovery_challenge(self, data: bytes) -> Challenge:
        """Return a challenge for a recovery file's password; raises `NotARecoveryFile`, `WrongMode`."""
        header = self.header()
        self.check_root(header)
        file = recovery.parse(data, header)
        return self._challenges.issue(file.vault, file.salt, file.parameters, RECOVERY)

    def recover(self, data: bytes, proof: Proof) -> None:
        """Put a recovery file's root into the keychain; raises `WrongPassword`, and as `recovery_challenge` does."""
        header = self.header()
        self.check_root(header)
        file = recovery.parse(data, header)
        challenge = self._challenges.take(proof.nonce, file.salt, RECOVERY)
        answer = passwords.judged(file.stored_key, challenge, proof)
        root = recovery.open_root(file, header, answer.client_key)
        kept(self._keeper, header.vault, header.number, root).drop()
