"""Where a result goes that must not be seen before it is complete: a file without a name until then.

May import: our errors. Invariants: a file appears under its name complete and synced, readable by its owner only
unless it is public; before that it has no name; what was there before stays until then; after an error nothing is left.

What a SIGKILL, or a machine that loses its power, can leave in the folder, always of mode 0600 and named `.NAME.` and
eight characters or more: nothing, as long as the file is not complete, and nothing at all where no file is replaced. A
file that is to take the place of another needs a name for the moment before: killed in that moment, it stays under it,
complete, checked and synced, beside the old one. Where the file system has no unnamed files (FAT, some network ones), a
hidden one is used from the beginning, and stays as far as it was written; where it has no links either, an empty file
may stay under the name that was to be taken. Nothing here removes any of these later: while somebody writes them, they
look the same.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, Self

from trollbridge.messages.errors import TrollbridgeError

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

PRIVATE: Final = 0o600
"""The permissions of what nobody else is to read."""
_COPIED: Final = 1 << 20
"""Bytes of a result that are copied at a time."""


class NotRead(TrollbridgeError):
    """The file cannot be read."""


class NotWritten(TrollbridgeError):
    """The file cannot be written; what was there before is unchanged."""


def why(path: Path, what: str, error: OSError) -> str:
    """Return the sentence about a path that cannot be read or written."""
    return f"{path} cannot be {what}: {error.strerror or error}"


class Sink(Protocol):
    """Where a document is written, piece by piece. Left with an error, it leaves nothing behind."""

    def write(self, data: bytes) -> None:
        """Take more; raises `NotWritten`."""

    def restart(self) -> None:
        """Forget what was written."""

    def commit(self) -> None:
        """Let it be seen; raises `NotWritten`."""

    def __enter__(self) -> Self:
        """Return itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of what was not committed."""


class WholeFile:
    """A file under a name, once it is committed."""

    def __init__(self, target: Path, *, replace: bool = True, mode: int = PRIVATE) -> None:
        """Make it, without a name; `replace`: it may take the place of what has the name then. Raises `NotWritten`.

        `mode`: its permissions once it is complete.
        """
        self._mode: Final = mode
        self._target: Final = target
        self._replace: Final = replace
        self._folder: Final = target.parent
        self._hidden: Path | None = None
        try:
            self._file: BinaryIO = self._unnamed()
        except OSError as error:
            raise NotWritten(why(target, "written", error)) from None

    def _unnamed(self) -> BinaryIO:
        try:
            return os.fdopen(os.open(self._folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600), "w+b", buffering=0)
        except FileNotFoundError:
            raise
        except OSError:  # EOPNOTSUPP and EISDIR say that there are none; anything else is said again by this
            descriptor, self._hidden = self._named()
            return os.fdopen(descriptor, "w+b", buffering=0)

    def _named(self) -> tuple[int, Path]:
        descriptor, name = tempfile.mkstemp(prefix=self._prefix(), dir=self._folder)
        return descriptor, Path(name)

    def _prefix(self) -> str:
        """Return how a hidden name begins; with what follows it is not longer than a name may be."""
        return f".{os.fsdecode(os.fsencode(self._target.name)[:100])}."

    def write(self, data: bytes) -> None:
        """Write more; raises `NotWritten`."""
        try:
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise NotWritten(why(self._target, "written", error)) from None

    def restart(self) -> None:
        """Forget what was written."""
        self._file.seek(0)
        self._file.truncate()

    def commit(self) -> None:
        """Give it its name, in place of what has it now; raises `NotWritten` with that unchanged.

        Raises `FileExistsError` if something has the name, whatever it is, and must not be replaced.
        """
        try:
            if self._mode != PRIVATE:
                os.fchmod(self._file.fileno(), self._mode)
            os.fsync(self._file.fileno())
            with _opened_folder(self._folder) as folder:
                if self._hidden is None:
                    self._link(folder)
                if self._hidden is not None:
                    self._rename(self._hidden)
                    self._hidden = None
                os.fsync(folder)
        except OSError as error:
            if isinstance(error, FileExistsError) and not self._replace:
                raise
            raise NotWritten(why(self._target, "written", error)) from None

    def _link(self, folder: int) -> None:
        """Link the file under its name or, where that is taken, under a hidden one, which is to replace it."""
        unnamed = f"/proc/self/fd/{self._file.fileno()}"
        try:
            os.link(unnamed, self._target.name, dst_dir_fd=folder, follow_symlinks=True)
        except FileExistsError:
            if not self._replace:
                raise
            hidden = self._folder / f"{self._prefix()}{secrets.token_hex(8)}"
            os.link(unnamed, hidden.name, dst_dir_fd=folder, follow_symlinks=True)
            self._hidden = hidden

    def _rename(self, hidden: Path) -> None:
        """Give a hidden file its name; where nothing may be replaced, the kernel refuses a name that is taken."""
        if not self._replace:
            try:
                os.link(hidden, self._target, follow_symlinks=False)
            except FileExistsError:
                raise
            except OSError:  # the file system has no links
                self._claim(hidden)
            else:
                hidden.unlink()
            return
        hidden.replace(self._target)

    def _claim(self, hidden: Path) -> None:
        """Take a name that is free by an empty file, and put the file in its place."""
        os.close(os.open(self._target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        try:
            hidden.replace(self._target)
        except OSError:
            self._target.unlink()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; what was not committed is gone."""
        self._file.close()
        hidden, self._hidden = self._hidden, None
        if hidden is not None:
            with contextlib.suppress(FileNotFoundError):
                hidden.unlink()


class Spool:
    """A stream, such as standard output, that gets all of a document at once when it is committed.

    Until then it lies in an unnamed file of the folder for temporary ones (`TMPDIR`).
    """

    def __init__(self, target: BinaryIO) -> None:
        """Take the stream, which stays open."""
        self._target: Final = target
        self._file: BinaryIO = temporary()

    def write(self, data: bytes) -> None:
        """Write more; raises `NotWritten`."""
        try:
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise NotWritten(temporary_failed(error)) from None

    def restart(self) -> None:
        """Forget what was written."""
        self._file.seek(0)
        self._file.truncate()

    def commit(self) -> None:
        """Copy it to the stream; raises what the stream raises."""
        self._file.seek(0)
        shutil.copyfileobj(self._file, self._target, _COPIED)
        self._target.flush()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it, which removes it."""
        self._file.close()


class Direct:
    """A stream that may be seen as it is written: what was encrypted, or a signature."""

    def __init__(self, target: BinaryIO) -> None:
        """Take the stream, which stays open."""
        self._target: Final = target

    def write(self, data: bytes) -> None:
        """Write more; raises what the stream raises."""
        self._target.write(data)

    def restart(self) -> None:
        """Do nothing: only what is held back is begun again."""

    def commit(self) -> None:
        """Have it written out; raises what the stream raises."""
        self._target.flush()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the stream as it is."""


class Nowhere:
    """For a job out of which nothing comes but its report."""

    def write(self, data: bytes) -> None:
        """Take nothing."""

    def restart(self) -> None:
        """Do nothing."""

    def commit(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing."""


def temporary() -> BinaryIO:
    """Return an unnamed file in the folder for temporary ones; raises `NotWritten`."""
    try:
        return tempfile.TemporaryFile(buffering=0)  # whoever asks closes it
    except OSError as error:
        raise NotWritten(temporary_failed(error)) from None


def temporary_failed(error: OSError) -> str:
    """Return the sentence about a temporary file that cannot be written."""
    return why(Path(tempfile.gettempdir()), "written", error)


@contextlib.contextmanager
def _opened_folder(folder: Path) -> Generator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
