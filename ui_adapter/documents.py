"""Documents on their way to the vault and back: files, pipes and streams of any length, in bounded memory.

May import: our bridge, document_work and what it is made of, `messages`. Invariants: a plaintext, and whatever goes
into a file, is seen complete or not at all (`whole_file`); nothing that a signature contradicts, that was cut off or
altered is ever seen; on any error nothing is left behind.

A short document goes through the vault in one call, a longer one through a job, in pieces; of a key whose every use is
approved the longest that goes is 64 MiB, but for detached signatures. A source is a path or an
open binary file; if it cannot be read twice, and has to be, it is kept in an unnamed temporary file meanwhile. A
target is a path, whose file is replaced, a `WholeFile`, which may refuse to replace one, or an open binary file.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

from trollbridge.messages.errors import TooLarge
from trollbridge.messages.vault import DETACHED
from trollbridge.messages.vault_documents import DECRYPT, ENCRYPT, OPEN, PLAIN, SEAL, SIGN, VERIFY, Job, Report
from trollbridge.ui_adapter.document_work import InOneCall, Work
from trollbridge.ui_adapter.replay import Replay
from trollbridge.ui_adapter.streaming import read as read_all
from trollbridge.ui_adapter.whole_file import Direct, Nowhere, Spool, WholeFile, why
from trollbridge.ui_adapter.whole_file import NotRead as NotRead  # noqa: PLC0414  # its users look for it here
from trollbridge.ui_adapter.whole_file import NotWritten as NotWritten  # noqa: PLC0414  # and for this

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from trollbridge.messages.vault import Decrypted, Verified
    from trollbridge.ui_adapter.bridge import MemberProxy
    from trollbridge.ui_adapter.streaming import Progress
    from trollbridge.ui_adapter.whole_file import Sink

    Approve = Callable[[], object]

Place: TypeAlias = Path | BinaryIO
"""Where a document comes from, or where it goes."""
Target: TypeAlias = Place | WholeFile
"""Where it goes."""

LARGEST: Final = 64 << 20
"""The largest document that the vault takes in one call, in bytes; a message may be half as long again."""
LONGEST_SIGNATURE: Final = 1 << 20
"""Bytes of a file of detached signatures."""
PATIENCE: Final = 120.0
"""Seconds that the vault may take over one call with a whole document."""
_NOTHING_KNOWN: Final = Report((), (), "", again=False)


def _nothing(_done: int, _total: int | None) -> None:
    """Report to nobody."""


def read(source: Path, limit: int = LARGEST) -> bytes:
    """Return the content of a file of at most `limit` bytes; raises `TooLarge` before reading more, and `NotRead`."""
    try:
        with source.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise NotRead(why(source, "read", error)) from None
    if len(content) > limit:
        msg = f"{source} is longer than {limit >> 20} MiB, the most that the vault takes"
        raise TooLarge(msg)
    return content


def write(target: Path, content: bytes) -> None:
    """Write a file atomically, mode 0600; raises `NotWritten` with the file as it was and nothing left beside it."""
    with WholeFile(target) as sink:
        sink.write(content)
        sink.commit()


@contextlib.contextmanager
def _opened(source: Place) -> Generator[Replay]:
    if not isinstance(source, Path):
        with Replay(source) as replay:
            yield replay
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise NotRead(why(source, "read", error)) from None
    with file, Replay(file) as replay:
        yield replay


def _sink(target: Target | None, kind: str) -> Sink:
    if target is None:
        return Nowhere()
    if isinstance(target, WholeFile):
        return target
    if isinstance(target, Path):
        return WholeFile(target)
    return Spool(target) if kind in PLAIN else Direct(target)


def _run(  # noqa: PLR0913, PLR0917  # what each of the functions below was given
    vault: MemberProxy,
    source: Place,
    target: Target | None,
    job: Job,
    whole: InOneCall | None,
    report: Progress,
    approve: Approve | None,
) -> Report:
    with _opened(source) as replay, _sink(target, job.kind) as sink:
        return Work(vault, replay, sink, report, approve).run(job, whole)


def encrypt(  # noqa: PLR0913, PLR0917  # from, to, for whom, by whom: a shorter list would hide one
    vault: MemberProxy,
    source: Place,
    target: Target,
    recipients: Sequence[str],
    signer: str | None = None,
    report: Progress = _nothing,
    *,
    armored: bool = False,
    approve: Approve | None = None,
) -> None:
    """Encrypt a document to every recipient, signed inside if a signer is named.

    `report(taken, total)` in bytes, the total None where nobody knows it. `approve` is called when the use of a key
    waits for approval, and returns to have it tried again; without it, `ApprovalNeeded` is raised. Raises what the
    vault raises, `NotRead` and `NotWritten`. All functions here have these in common.
    """

    def call(content: bytes) -> tuple[bytes, Report]:
        return vault.encrypt(tuple(recipients), content, signer, armored).get(timeout=PATIENCE), _NOTHING_KNOWN

    job = Job(ENCRYPT, tuple(recipients), signer, "", armored, None, again=False)
    _run(vault, source, target, job, InOneCall(call, LARGEST), report, approve)


def decrypt(
    vault: MemberProxy, source: Place, target: Target, report: Progress = _nothing, *, approve: Approve | None = None
) -> Report:
    """Decrypt a message with whichever own key fits, check the signatures inside, and write the plaintext.

    Raises what the vault raises: with nothing to be seen, if a signature is invalid, or the message damaged.
    """

    def call(content: bytes) -> tuple[bytes, Report]:
        found: Decrypted = vault.decrypt(content).get(timeout=PATIENCE)
        return found.plaintext, Report(found.signers, found.unknown, found.recipient, again=False)

    job = Job(DECRYPT, (), None, "", armored=False, signature=None, again=False)
    return _run(vault, source, target, job, InOneCall(call, LARGEST * 3 // 2), report, approve)


def sign(  # noqa: PLR0913  # as for encrypt
    vault: MemberProxy,
    source: Place,
    target: Target,
    key: str,
    report: Progress = _nothing,
    *,
    mode: str = DETACHED,
    armored: bool = True,
    approve: Approve | None = None,
) -> None:
    """Sign a document: write the signature alone, or the document with it, as `mode` says.

    With `approve`, a person has ten minutes to approve the signature of a long document; then it must be made again.
    """

    def call(content: bytes) -> tuple[bytes, Report]:
        return vault.sign(key, content, mode, armored).get(timeout=PATIENCE), _NOTHING_KNOWN

    job = Job(SIGN, (), key, mode, armored, None, again=False)
    _run(vault, source, target, job, InOneCall(call, LARGEST), report, approve)


def verify(vault: MemberProxy, source: Place, signature: Place | bytes, report: Progress = _nothing) -> Report:
    """Check a document against its detached signature; raises `BadSignature` unless it is valid."""
    against = signature if isinstance(signature, bytes) else _signature(signature)

    def call(content: bytes) -> tuple[bytes, Report]:
        found: Verified = vault.verify(content, against).get(timeout=PATIENCE)
        return b"", Report(found.signers, found.unknown, "", again=False)

    job = Job(VERIFY, (), None, "", armored=False, signature=against, again=False)
    return _run(vault, source, None, job, InOneCall(call, LARGEST), report, None)


def _signature(source: Place) -> bytes:
    with _opened(source) as replay:
        content = read_all(replay, LONGEST_SIGNATURE + 1)
    if len(content) > LONGEST_SIGNATURE:
        msg = f"a file of signatures is not longer than {LONGEST_SIGNATURE >> 20} MiB"
        raise TooLarge(msg)
    return content


def read_signed(vault: MemberProxy, source: Place, target: Target | None, report: Progress = _nothing) -> Report:
    """Check a signed message, and write what was signed, and nothing else of it; raises `BadSignature` as `verify`."""

    def call(content: bytes) -> tuple[bytes, Report]:
        found: Verified = vault.verify(content).get(timeout=PATIENCE)
        return found.content or b"", Report(found.signers, found.unknown, "", again=False)

    job = Job(VERIFY, (), None, "", armored=False, signature=None, again=False)
    return _run(vault, source, target, job, InOneCall(call, LARGEST * 3 // 2), report, None)


def seal(vault: MemberProxy, source: Place, target: Target, report: Progress = _nothing) -> None:
    """Seal a file under the vault's key: only this vault opens it, and only with all of its layers."""
    job = Job(SEAL, (), None, "", armored=False, signature=None, again=False)
    _run(vault, source, target, job, None, report, None)


def open_sealed(vault: MemberProxy, source: Place, target: Target, report: Progress = _nothing) -> None:
    """Open a sealed file; raises `NotASealedFile` and `FileDamaged`, with nothing to be seen."""
    job = Job(OPEN, (), None, "", armored=False, signature=None, again=False)
    _run(vault, source, target, job, None, report, None)
