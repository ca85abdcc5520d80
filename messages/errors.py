"""Every error of Trollbridge, under one root; the docstring's first line is the sentence that a person reads.

May import: our error codes and words. Invariant: no text in here, and none given to these classes, carries a secret.
Errors that cross a session travel as an `ErrorCode` and a safe text; `from_wire` gives the class back.
"""

from __future__ import annotations

from typing import ClassVar

from trollbridge.messages import error_words
from trollbridge.messages.error_codes import ErrorCode as ErrorCode  # noqa: PLC0414  # re-exported
from trollbridge.messages.error_codes import Outcome as Outcome  # noqa: PLC0414  # re-exported


class TrollbridgeError(Exception):
    """Trollbridge could not do what was asked."""

    def __init__(self, text: str = "") -> None:
        """Take the sentence to show; without one, the class's own sentence is shown."""
        super().__init__(text or (type(self).__doc__ or "").strip().splitlines()[0])

    def __str__(self) -> str:
        """Return the sentence that a person reads."""
        return str(self.args[0])


class UsageError(TrollbridgeError):
    """The calling code used Trollbridge wrongly; nothing was sent."""


class StreamEnded(TrollbridgeError):
    """The stream has no more items; what its handler returned is in its result."""


# What a peer did wrong. Told to nobody but our own log: the sender gets one opaque refusal.


class ProtocolError(TrollbridgeError):
    """A peer sent something that the protocol does not allow."""


class Malformed(ProtocolError):
    """A message is not exactly what its type says."""


class AuthenticationFailed(ProtocolError):
    """A sealed message was forged, altered, replayed or meant for somebody else."""


class HandshakeFailed(ProtocolError):
    """The handshake failed: wrong join token, wrong peer or altered message."""


class OutOfSequence(ProtocolError):
    """A message came again, or too far ahead of its turn."""


# What a caller is told.


class CallError(TrollbridgeError):
    """The call was not carried out."""

    code: ClassVar[ErrorCode]


class Refused(CallError):
    """The call was refused; the reason is in the supervisor's log."""

    code = ErrorCode.REFUSED


class NotGranted(CallError):
    """No grant lets this member call that handler; add it to App(grants=…)."""

    code = ErrorCode.NOT_GRANTED


class NoSuchHandler(CallError):
    """No such handler is exported; check its name and its @handler mark."""

    code = ErrorCode.NO_SUCH_HANDLER


class InvalidArguments(CallError):
    """The arguments do not fit the handler's parameters."""

    code = ErrorCode.INVALID_ARGUMENTS


class TooLarge(CallError):
    """The arguments or the result exceed the handler's max_bytes."""

    code = ErrorCode.TOO_LARGE


class DeadlineExceeded(CallError):
    """The deadline passed before the call was started."""

    code = ErrorCode.DEADLINE_EXCEEDED


class Cancelled(CallError):
    """The call was cancelled."""

    code = ErrorCode.CANCELLED


class Overloaded(CallError):
    """Too many calls are waiting; take some replies first."""

    code = ErrorCode.OVERLOADED


class HandlerFailed(CallError):
    """The handler failed inside the enclave; its log has the incident."""

    code = ErrorCode.HANDLER_FAILED


class Quarantined(CallError):
    """The call was running at two ends of its server; it is not run again before an operator restarts that."""

    code = ErrorCode.QUARANTINED

    def __init__(self, text: str = "", *, handler: str = "") -> None:
        """Take the handler's full name, for a sentence that says who lifts it, and how."""
        super().__init__(text or error_words.quarantined(handler))


class RingDismantled(CallError):
    """The trust ring was dismantled before the reply came; the error's outcome says whether to call again."""

    def __init__(self, text: str = "", *, outcome: Outcome = Outcome.UNKNOWN, handler: str = "") -> None:
        """Take the outcome: what is known of the call that was outstanding; and the handler's full name."""
        super().__init__(text or error_words.fallen(outcome, handler))
        self.outcome = outcome


class ServerLost(CallError):
    """The host ended before the reply came; the error's outcome says whether to call again."""

    def __init__(
        self, text: str = "", *, outcome: Outcome = Outcome.UNKNOWN, handler: str = "", gone: bool = False
    ) -> None:
        """Take outcome and handler as `RingDismantled` does; `gone`: the host is not started again in this ring."""
        super().__init__(text or error_words.lost(outcome, handler, gone=gone))
        self.outcome = outcome


class DeclaredError(CallError):
    """A handler refused the request for a reason that it declares.

    Subclass it in an enclave for errors whose text the caller may read; the caller gets a `DeclaredError`
    with the subclass's name in `name`: it does not load the enclave's code, so it does not have the subclass.
    """

    code = ErrorCode.DECLARED

    def __init__(self, text: str = "", *, name: str = "") -> None:
        """Take the safe text, and the class name as it came over the wire."""
        super().__init__(text)
        self.name = name or type(self).__name__

    def __repr__(self) -> str:
        """Show the name that the handler declares, too."""
        return f"{type(self).__name__}({str(self)!r}, name={self.name!r})"


class WrongPassword(DeclaredError):
    """The password is wrong.

    Raised too for an answer that belongs to another challenge.
    """

    code = ErrorCode.WRONG_PASSWORD


class VaultLocked(DeclaredError):
    """The vault is locked; unlock it with the password first."""

    code = ErrorCode.VAULT_LOCKED


class VaultCorrupt(DeclaredError):
    """The vault file is damaged or not a vault; restore it from a copy."""

    code = ErrorCode.VAULT_CORRUPT


class VaultInUse(DeclaredError):
    """Another application or command has this vault open; wait for it, or stop it."""

    code = ErrorCode.VAULT_IN_USE


class VaultExists(DeclaredError):
    """A vault is already there; unlock it, or choose another path."""

    code = ErrorCode.VAULT_EXISTS


class VaultMissing(DeclaredError):
    """There is no vault at this path yet; create one."""

    code = ErrorCode.VAULT_MISSING


class NoSuchKey(DeclaredError):
    """The vault holds no key of that name."""

    code = ErrorCode.NO_SUCH_KEY


class KeyUnusable(DeclaredError):
    """The key is expired, revoked or cannot do this."""

    code = ErrorCode.KEY_UNUSABLE


class CannotDecrypt(DeclaredError):
    """The message cannot be decrypted here."""

    code = ErrorCode.CANNOT_DECRYPT


class BadSignature(DeclaredError):
    """The signature does not fit the document and the key."""

    code = ErrorCode.BAD_SIGNATURE


class NotOpenPGP(DeclaredError):
    """The input is not OpenPGP data that can be read here."""

    code = ErrorCode.NOT_OPENPGP


class StorageFailed(DeclaredError):
    """The vault could not be written: the disk is full or read-only; nothing was changed."""

    code = ErrorCode.STORAGE_FAILED


class InvalidName(DeclaredError):
    """The name is empty, too long or holds characters that are not allowed."""

    code = ErrorCode.INVALID_NAME


class TooManyAttempts(DeclaredError):
    """Too many wrong passwords; wait before the next attempt."""

    code = ErrorCode.TOO_MANY_ATTEMPTS


class WrongMode(DeclaredError):
    """The vault is protected in another mode than was asked for; it is not opened in any other."""

    code = ErrorCode.WRONG_MODE


class KeychainFailed(DeclaredError):
    """The OS keychain cannot be used: there is none, it is locked, or it refused."""

    code = ErrorCode.KEYCHAIN_FAILED


class RootMissing(DeclaredError):
    """The OS keychain does not hold this vault's root; use the recovery file."""

    code = ErrorCode.ROOT_MISSING


class NotARecoveryFile(DeclaredError):
    """It is no recovery file of this vault, or it is damaged."""

    code = ErrorCode.NOT_A_RECOVERY_FILE


class KeyLocked(DeclaredError):
    """The key has a password of its own; unlock it with that first."""

    code = ErrorCode.KEY_LOCKED


class KeyExists(DeclaredError):
    """The vault already holds the secret half of this key."""

    code = ErrorCode.KEY_EXISTS


class NoSuchSecret(DeclaredError):
    """The vault holds no API key of that name."""

    code = ErrorCode.NO_SUCH_SECRET


class SecretExists(DeclaredError):
    """The vault already holds an API key of that name; delete it, or say that it is to be replaced."""

    code = ErrorCode.SECRET_EXISTS


class UseOnly(DeclaredError):
    """The API key can be used and never be shown."""

    code = ErrorCode.USE_ONLY


class NotAllowed(DeclaredError):
    """The key's constraints do not allow this use."""

    code = ErrorCode.NOT_ALLOWED


class ApprovalNeeded(DeclaredError):
    """Each use of the key must be approved, and nobody has approved this one yet; ask again once it is."""

    code = ErrorCode.APPROVAL_NEEDED


class ApprovalRefused(DeclaredError):
    """The use of the key was refused."""

    code = ErrorCode.APPROVAL_REFUSED


class NotASealedFile(DeclaredError):
    """It is no file that this vault has sealed."""

    code = ErrorCode.NOT_A_SEALED_FILE


class FileDamaged(DeclaredError):
    """The sealed file is damaged or cut off; nothing of it is to be trusted."""

    code = ErrorCode.FILE_DAMAGED


class NoSuchJob(DeclaredError):
    """There is no such job: it has ended, or the vault was locked meanwhile."""

    code = ErrorCode.NO_SUCH_JOB


# Starting and keeping an application.


class DeclarationError(TrollbridgeError):
    """The application's declaration is wrong; nothing was started."""


class ActorNotLoadable(DeclarationError):
    """A module or class that the application names cannot be loaded."""


class BootFailed(TrollbridgeError):
    """The trust ring could not be formed; nothing was left running."""


class NotIsolated(BootFailed):
    """The kernel isolates a process less well than the application asks for; nothing was left running."""


class AlreadyRunning(BootFailed):
    """The application runs already; nothing was started."""


class RingLost(TrollbridgeError):
    """Members kept dying faster than the restart intensity allows; the ring was dismantled for good."""


def _travelling() -> dict[ErrorCode, type[CallError]]:
    found: dict[ErrorCode, type[CallError]] = {}
    waiting: list[type[CallError]] = [CallError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if "code" in vars(kind):
            found[kind.code] = kind
    return found


_BY_CODE = _travelling()


def from_wire(code: int, name: str, text: str) -> CallError:
    """Return the error that a Fault stands for; an unknown code becomes `Refused`.

    `name` is the class name that the handler declared, `text` its safe text.
    """
    try:
        kind = _BY_CODE[ErrorCode(code)]
    except (ValueError, KeyError):
        kind = Refused
    if kind is DeclaredError:
        return DeclaredError(text, name=name)
    return kind(text)
