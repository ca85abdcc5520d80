"""Files on their way to the vault and back: read here, worked on in the enclave, written here whole or not at all.

May import: our bridge, `messages`. Invariant: what is written appears under its name complete and synced, readable by
its owner only; on any error nothing is left beside it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trollbridge.messages.errors import TooLarge, TrollbridgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trollbridge.messages.vault import Decrypted, Verified
    from trollbridge.ui_adapter.bridge import MemberProxy

    Progress = Callable[[int, int], None]

LARGEST: Final = 64 << 20
"""The largest document that the vault takes, in bytes; an encrypted or signed one may be half as long again."""
PATIENCE: Final = 120.0
"""Seconds that the vault may take over one document."""


class NotRead(TrollbridgeError):
    """The file cannot be read."""


class NotWritten(TrollbridgeError):
    """The file cannot be written; what was there before is unchanged."""


def _why(path: Path, what: str, error: OSError) -> str:
    return f"{path} cannot be {what}: {error.strerror or error}"


def read(source: Path, limit: int = LARGEST) -> bytes:
    """Return the content of a file of at most `limit` bytes; raises `TooLarge` before reading more, and `NotRead`."""
    try:
        with source.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise NotRead(_why(source, "read", error)) from None
    if len(content) > limit:
        msg = f"{source} is longer than {limit >> 20} MiB, the most that the vault takes"
        raise TooLarge(msg)
    return content


def write(target: Path, content: bytes) -> None:
    """Write a file atomically, mode 0600; raises `NotWritten` with the file as it was and nothing left beside it."""
    try:
        _write(target, content)
    except OSError as error:
        raise NotWritten(_why(target, "written", error)) from None


def _write(target: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _nothing(_sent: int, _total: int) -> None:
    """Report to nobody."""


def encrypt(  # noqa: PLR0913, PLR0917  # from, to, for whom, by whom: a shorter list would hide one
    vault: MemberProxy,
    source: Path,
    target: Path,
    recipients: Sequence[str],
    signer: str | None = None,
    report: Progress = _nothing,
) -> None:
    """Encrypt a file to every recipient, signed inside if a signer is named; the message is binary OpenPGP.

    `report(sent, total)` in bytes. Raises what the vault raises, `TooLarge`, `NotRead` and `NotWritten`.
    """
    call = vault.encrypt.progress(report)
    message: bytes = call(tuple(recipients), read(source), signer, armored=False).get(timeout=PATIENCE)
    write(target, message)


def decrypt(vault: MemberProxy, source: Path, target: Path, report: Progress = _nothing) -> Decrypted:
    """Decrypt a file with whichever own key fits, check the signatures inside, and write the plaintext.

    Raises what the vault raises: without a plaintext, and with none written, if a signature is invalid.
    """
    opened: Decrypted = vault.decrypt.progress(report)(read(source, LARGEST * 3 // 2)).get(timeout=PATIENCE)
    write(target, opened.plaintext)
    return opened


def sign(vault: MemberProxy, source: Path, target: Path, key: str, report: Progress = _nothing) -> None:
    """Sign a file and write the detached, armored signature; raises what the vault raises."""
    signature: bytes = vault.sign.progress(report)(key, read(source)).get(timeout=PATIENCE)
    write(target, signature)


def verify(vault: MemberProxy, source: Path, signature: Path, report: Progress = _nothing) -> Verified:
    """Check a file against its detached signature; raises `BadSignature` unless it is valid."""
    verified: Verified = vault.verify.progress(report)(read(source), read(signature)).get(timeout=PATIENCE)
    return verified
