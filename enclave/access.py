"""Who may open the vault: missing, locked or open, and the way from one to the next. `vault` gives it a process.

May import: our enclave's database, keystore, passwords, sealing and storage, our messages. Invariants: a `Keystore`
exists only while the vault is open, and only a right proof or a creation makes one; the vault's file is claimed from
the first call until `close`.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

from trollbridge.enclave import passwords
from trollbridge.enclave.database import Database
from trollbridge.enclave.keystore import Keystore
from trollbridge.enclave.storage import Records, first_index
from trollbridge.messages.errors import (
    DeclarationError,
    StorageFailed,
    VaultExists,
    VaultLocked,
    VaultMissing,
    WrongPassword,
)
from trollbridge.messages.password import STANDARD
from trollbridge.messages.vault import LOCKED, MISSING, OPEN, PASSWORD_ONLY, VaultStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.enclave.sealing import VaultKey
    from trollbridge.messages.vault import Challenge, PasswordParameters, Proof, Verifier


class Access:
    """One vault file and what may be done with it now."""

    __slots__ = ("_challenges", "_database", "_floor", "_keystore", "_path")

    def __init__(
        self, path: str, *, floor: PasswordParameters = STANDARD, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the absolute path of the file.

        `floor`: the least that a guess at the password may cost; only tests lower it. Raises `DeclarationError` for a
        path that is not absolute.
        """
        if not path.startswith("/") or "\0" in path:
            msg = f"the vault's path must be absolute, not {path!r}"
            raise DeclarationError(msg)
        self._path: Final = path
        self._floor: Final = floor
        self._challenges: Final = passwords.Challenges(clock)
        self._database: Database | None = None
        self._keystore: Keystore | None = None

    def claim(self) -> None:
        """Open the file, if it is there, so that no other process can; raises as `Database.open` does otherwise."""
        with contextlib.suppress(VaultMissing):
            self._claimed()

    def _claimed(self) -> Database:
        if self._database is None:
            self._database = Database.open(self._path)
        return self._database

    def _header(self) -> tuple[passwords.Header, int]:
        stored, failures = self._claimed().header()
        return passwords.decode_header(stored), failures

    def status(self) -> VaultStatus:
        """Return where the vault stands; raises `VaultInUse`, `VaultCorrupt` or `StorageFailed` if it cannot tell."""
        try:
            header, failures = self._header()
        except VaultMissing:
            return VaultStatus(MISSING, PASSWORD_ONLY, 0)
        return VaultStatus(LOCKED if self._keystore is None else OPEN, header.mode, failures)

    def challenge(self) -> Challenge:
        """Return a challenge for one proof; raises `VaultMissing`, and as `status` does."""
        return self._challenges.issue(self._header()[0])

    def create(self, verifier: Verifier) -> VaultStatus:
        """Make the vault, open.

        Raises `VaultExists`, `WeakParameters`, `VaultInUse`, or `StorageFailed` with no vault made.
        """
        if self._database is not None:
            raise VaultExists
        header, key = passwords.new_header(verifier, self._floor)
        database = Database.create(self._path, passwords.encode_header(header), [first_index(key)])
        self._database = database
        self._open(database, key)
        return self.status()

    def unlock(self, proof: Proof) -> bytes:
        """Open the vault and return the server's signature, which only the true vault can make.

        Raises `WrongPassword` for a wrong proof and for a challenge that is unknown, used or stale; the first is
        counted in the file. Raises `VaultCorrupt` for a file that was altered. An open vault stays open, whatever the
        proof.
        """
        database = self._claimed()
        challenge = self._challenges.take(proof.nonce)
        header, failures = self._header()
        try:
            unwrapped = passwords.unwrap(header, challenge, proof)
        except WrongPassword:
            self._count(database, failures + 1)
            raise
        if self._keystore is None:
            self._open(database, unwrapped.key)
        else:
            unwrapped.key.drop()
        if failures:
            self._count(database, 0)
        return unwrapped.server_signature

    def _open(self, database: Database, key: VaultKey) -> None:
        try:
            self._keystore = Keystore(Records(database, key))
        except BaseException:
            key.drop()
            raise

    def _count(self, database: Database, failures: int) -> None:
        with contextlib.suppress(StorageFailed):  # a vault on a read-only disk can still be opened
            database.set_failures(failures)

    def lock(self) -> None:
        """Forget every key and void every challenge; the file stays claimed."""
        self._challenges.void()
        keystore, self._keystore = self._keystore, None
        if keystore is not None:
            keystore.drop()

    def keys(self) -> Keystore:
        """Return the keys; raises `VaultLocked`, or `VaultMissing` if there is no vault."""
        if self._keystore is None:
            self._claimed()
            raise VaultLocked
        return self._keystore

    def close(self) -> None:
        """Lock the vault and give the file up."""
        self.lock()
        database, self._database = self._database, None
        if database is not None:
            database.close()
