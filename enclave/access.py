"""Who may open the vault: missing, locked or open, and the way from one to the next. `vault` gives it a process.

May import: our enclave's checking, contents, database, header, keychain_client, layers, opened, passwords, sealing and
storage, our messages. Invariants: what is open exists only while the vault is open, and only all of its layers or a
creation make it; the vault's file is claimed from the first call until `close`; a vault that nobody used for its idle
time opens nothing any more, whether or not anything has woken up to lock it.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import secret_memory
from trollbridge.enclave import checking, contents, layers, passwords
from trollbridge.enclave.database import Database
from trollbridge.enclave.gate import Caller
from trollbridge.enclave.header import encode_header, has_keychain, has_password, lay
from trollbridge.enclave.keychain_client import NoKeychain, RootKeeper
from trollbridge.enclave.opened import Opened
from trollbridge.enclave.sealing import KEY_SIZE, VaultKey
from trollbridge.enclave.storage import first_index
from trollbridge.messages.errors import (
    DeclarationError,
    DeclaredError,
    VaultCorrupt,
    VaultExists,
    VaultLocked,
    VaultMissing,
    WrongMode,
)
from trollbridge.messages.password import STANDARD, VAULT_ID_SIZE
from trollbridge.messages.vault import LOCKED, MISSING, OPEN, CheckReport, VaultStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.enclave.layers import Layers, Taken
    from trollbridge.messages.vault import Challenge, PasswordParameters, Proof, Verifier

IDLE: Final = 900
"""Seconds without use after which a vault locks itself, if nothing else was said."""
_FIRST_ROOT: Final = 1


def awake() -> float:
    """Return seconds by a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Access:
    """One vault file and what may be done with it now."""

    __slots__ = (
        "_caller", "_challenges", "_clock", "_damage", "_database", "_floor", "_idle", "_keeper", "_layers", "_now",
        "_opened", "_path", "_used",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913  # each but the path is for a test, or for the process around it
        self,
        path: str,
        *,
        floor: PasswordParameters = STANDARD,
        clock: Callable[[], float] = awake,
        now: Callable[[], float] = time.time,
        caller: Callable[[], Caller] = lambda: Caller("", ""),
        keychain: RootKeeper | None = None,
        idle: int = IDLE,
    ) -> None:
        """Take the absolute path of the file, what says who makes the call that runs now, and where roots are kept.

        `floor`: the least that a guess at the password may cost; only tests lower it. `idle`: seconds without use
        after which it locks itself, 0: never. Raises `DeclarationError` for a path that is not absolute.
        """
        if not path.startswith("/") or "\0" in path:
            msg = f"the vault's path must be absolute, not {path!r}"
            raise DeclarationError(msg)
        self._path: Final = path
        self._floor: Final = floor
        self._clock: Final = clock
        self._now: Final = now
        self._caller: Final = caller
        self._keeper: Final[RootKeeper] = NoKeychain() if keychain is None else keychain
        self._idle: Final = idle
        self._challenges: Final = passwords.Challenges(clock)
        self._database: Database | None = None
        self._layers: Layers | None = None
        self._opened: Opened | None = None
        self._used = 0.0
        self._damage: CheckReport | None = None

    def claim(self) -> None:
        """Open the file, if it is there, so that no other process can; raises as `Database.open` does otherwise."""
        with contextlib.suppress(VaultMissing):
            self._claimed()

    def _claimed(self) -> Layers:
        if self._layers is None:
            if self._database is None:
                self._database = Database.open(self._path)
            clocks = (self._clock, self._now)
            self._layers = layers.Layers(self._database, self._keeper, self._challenges, self._floor, clocks)
        return self._layers

    def status(self) -> VaultStatus:
        """Return where the vault stands; raises `VaultInUse`, `VaultCorrupt` or `StorageFailed` if it cannot tell."""
        self.expire()
        try:
            claimed = self._claimed()
        except VaultMissing:
            return VaultStatus(MISSING, "", 0, 0.0, self._idle, b"")
        header, attempts = claimed.header(), claimed.attempts
        state = LOCKED if self._opened is None else OPEN
        return VaultStatus(state, header.mode, attempts.failures, attempts.wait(), self._idle, header.vault)

    def mode(self) -> str:
        """Return the mode that the file says; empty if there is no vault, or if it cannot be read."""
        try:
            return self._claimed().header().mode
        except DeclaredError:
            return ""

    def challenge(self) -> Challenge:
        """Return a challenge for one proof.

        Raises `VaultMissing`, `WrongMode` for a vault without a password, `TooManyAttempts`, and as `status` does.
        """
        return self._claimed().challenge()

    def create(self, mode: str, verifier: Verifier | None) -> VaultStatus:
        """Make the vault in that mode, open.

        Raises `VaultExists`, `WrongMode`, `WeakParameters`, `VaultInUse`, `KeychainFailed`, or `StorageFailed` with
        no vault made.
        """
        self.claim()
        if self._database is not None:
            raise VaultExists
        layers.check_mode(mode, verifier, self._floor)
        with self._keeper.together():
            self._open(self._made(mode, verifier))
        return self.status()

    def _made(self, mode: str, verifier: Verifier | None) -> VaultKey:
        """Make the root, if the mode has one, and then the file; leave none of both if that fails."""
        vault, key = os.urandom(VAULT_ID_SIZE), secret_memory.secret(KEY_SIZE)
        secret_memory.fill_random(key.view)
        root = layers.new_root(self._keeper, vault, _FIRST_ROOT) if has_keychain(mode) else None
        vault_key = VaultKey(key, vault)
        try:
            header = lay(vault, mode, _FIRST_ROOT, key=key, verifier=verifier, root=root)
            self._database = Database.create(self._path, encode_header(header), [first_index(vault_key)])
        except BaseException:
            vault_key.drop()
            if root is not None:
                layers.forget(self._keeper, vault, _FIRST_ROOT)
            raise
        finally:
            if root is not None:
                root.drop()
        return vault_key

    def unlock(self, mode: str, proof: Proof | None) -> bytes:
        """Open the vault and return the server's signature, which only the true vault can make.

        It is empty for a vault without a password. Raises `WrongMode` if the vault is in another mode, before
        anything else; `WrongPassword` for a wrong proof and for a challenge that is unknown, used or stale: the first
        is counted in the file; `TooManyAttempts`; `KeychainFailed` and `RootMissing`, before a proof is judged;
        `VaultCorrupt` for a file that was altered. An open vault stays open, whatever the proof.
        """
        claimed = self._claimed()
        if claimed.header().mode != mode:
            raise WrongMode
        self.expire()
        taken = claimed.take(proof)
        try:
            claimed.renew(taken)
            signature = taken.signature()
            if self._opened is None:
                self._open(self._copied(taken))
        finally:
            taken.close()
        return signature

    @staticmethod
    def _copied(taken: Taken) -> VaultKey:
        key = secret_memory.secret(KEY_SIZE)
        key.view[:] = taken.unwrapped.key.view
        return VaultKey(key, taken.header.vault)

    def _open(self, key: VaultKey) -> None:
        if self._database is None:
            raise VaultMissing
        try:
            self._opened = Opened.of(self._database, key, self._caller)
        except VaultCorrupt:
            self._damage = checking.examine(
                self._database, key, contents.complaint
            )  # the key is here now, and not later
            key.drop()
            raise
        except BaseException:
            key.drop()
            raise
        self._damage = None
        self._touch()

    def prove(self, proof: Proof | None) -> None:
        """Check a fresh proof of the password; raises as `unlock` does.

        A keychain-only vault has nothing to prove: here everything passes, so whoever can call a handler that asks for
        a proof can do there what it guards, such as exporting a secret key or loosening a constraint.
        """
        claimed = self._claimed()
        if has_password(claimed.header().mode):
            claimed.take(proof).close()

    def change_password(self, proof: Proof, verifier: Verifier) -> None:
        """Put another password in the place of the one of `proof`; raises as `unlock` does, and `StorageFailed`."""
        claimed = self._claimed()
        layers.check_mode(claimed.header().mode, verifier, self._floor)
        with contextlib.closing(claimed.take(proof)) as taken:
            claimed.change_password(taken, verifier)

    def rotate_root(self, proof: Proof | None) -> None:
        """Put another root in the place of the one in the keychain; raises as `unlock` does, and `StorageFailed`."""
        claimed = self._claimed()
        claimed.check_root(claimed.header())
        with self._keeper.together(), contextlib.closing(claimed.take(proof)) as taken:
            claimed.rotate_root(taken)

    def change_mode(self, proof: Proof | None, mode: str, verifier: Verifier | None) -> None:
        """Protect the vault by other layers from now on.

        A password that both modes have is kept, unless `verifier` is another. Raises as `unlock` does, and
        `StorageFailed`.
        """
        claimed = self._claimed()
        with self._keeper.together(), contextlib.closing(claimed.take(proof)) as taken:
            claimed.change_mode(taken, mode, verifier)

    def export_recovery(self, proof: Proof | None, verifier: Verifier) -> bytes:
        """Return the recovery file: the root, sealed under the password of `verifier`; raises as `unlock` does."""
        claimed = self._claimed()
        claimed.check_root(claimed.header())
        with contextlib.closing(claimed.take(proof)) as taken:
            return claimed.export_recovery(taken, verifier)

    def recovery_challenge(self, data: bytes) -> Challenge:
        """Return a challenge for a recovery file's password; raises `NotARecoveryFile`, `WrongMode`, `VaultMissing`."""
        return self._claimed().recovery_challenge(data)

    def recover(self, data: bytes, recovery: Proof) -> None:
        """Put a recovery file's root into this machine's keychain; where there is a password, it is still needed.

        Raises `WrongPassword` for a wrong recovery password, `KeychainFailed`, and as `recovery_challenge` does.
        """
        self._claimed().recover(data, recovery)

    def check(self) -> CheckReport:
        """Look for damage: at everything while the vault is open, and at what shows without the key while it is not.

        If the last unlocking failed on damaged records, it is known which, and they are told.
        """
        self.expire()
        try:
            if self._database is None:
                self._database = Database.open(self._path)
        except VaultCorrupt as problem:
            return checking.unreadable(self._path, str(problem))
        if self._opened is not None:
            return self._opened.records.check(contents.complaint)
        return self._damage or checking.examine(self._database, None, contents.complaint)

    def lock(self) -> None:
        """Forget every key and void every challenge; the file stays claimed."""
        self._challenges.void()
        self._keeper.rest()
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.drop()

    def opened(self) -> Opened:
        """Return what is open, which counts as a use; raises `VaultLocked`, or `VaultMissing` if there is no vault."""
        self.expire()
        if self._opened is None:
            self._claimed()
            raise VaultLocked
        self._touch()
        return self._opened

    def _touch(self) -> None:
        self._used = self._clock()

    def idle_left(self) -> float | None:
        """Return in how many seconds the vault is to be locked, unless it is used; None: never, or it is locked."""
        if self._opened is None or not self._idle:
            return None
        return max(self._used + self._idle - self._clock(), 0.0)

    def idle_deadline(self) -> float | None:
        """Return by `time.monotonic` when to call `expire`; None as in `idle_left`."""
        left = self.idle_left()
        return None if left is None else time.monotonic() + left

    def expire(self) -> bool:
        """Lock the vault if nobody has used it for its idle time; return whether that was done."""
        if self.idle_left() != 0:
            return False
        self.lock()
        return True

    def close(self) -> None:
        """Lock the vault and give the file up."""
        self.lock()
        self._layers = None
        database, self._database = self._database, None
        if database is not None:
            database.close()
