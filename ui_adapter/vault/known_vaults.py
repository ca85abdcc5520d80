"""Which vaults a person has opened from here: for each path the vault's id and its mode.

May import: our whole_file, `messages`. Invariants: it lies outside of every vault's folder, so that whoever replaces a
vault's file does not change it with that; it holds no secret; a note that is there and cannot be read stands for no
vault, never for any.

Each path has a file of its own, of mode 0600, in `$XDG_STATE_HOME/trollbridge/vaults` (`places.state`).
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Final

import msgspec

from trollbridge.messages.errors import WrongMode
from trollbridge.messages.vault import MODES, VaultStatus
from trollbridge.ui_adapter.vault.refusals import OtherVault
from trollbridge.ui_adapter.vault.reports import tell
from trollbridge.ui_adapter.whole_file import NotWritten, WholeFile

_PRIVATE: Final = 0o700


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The vault that was opened at a path; its id in hexadecimal digits."""

    path: str
    vault: str
    mode: str


_DECODER: Final = msgspec.json.Decoder(Known)


class KnownVaults:
    """What is noted about one path."""

    def __init__(self, folder: str, path: str) -> None:
        """Take the folder of all notes, empty if there is none, and the vault's absolute path."""
        self._path: Final = path
        name = hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()
        self._file: Final = Path(folder) / f"{name[:32]}.json" if folder else None

    def noted(self) -> Known | None:
        """Return what is known of the path; raises `OtherVault` for a note that cannot be read."""
        if self._file is None:
            return None
        try:
            found = _DECODER.decode(self._file.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            found = None
        if found is None or found.path != self._path or found.mode not in MODES:
            msg = (
                f"{self._file}, which tells what vault belongs at {self._path}, cannot be read; `trollbridge vault "
                "adopt` writes it anew, if you are sure of the vault that is there now"
            )
            raise OtherVault(msg)
        return found

    def demanded(self, status: VaultStatus, mode: str) -> str:
        """Return the mode that the vault must prove: `mode` if it is given, else the one that is known, else its own.

        Raises `OtherVault` for another vault than the known one, and `WrongMode` if the file says another mode than
        the known one and `mode` does not accept it.
        """
        known = self.noted()
        if known is None:
            return mode or status.mode
        if known.vault != status.vault.hex():
            msg = (
                f"{self._path} is another vault ({status.mode}) than the one that was opened here before "
                f"({known.mode}); if you have put it there, `trollbridge vault adopt` accepts it"
            )
            raise OtherVault(msg)
        if not mode and known.mode != status.mode:
            msg = (
                f"{self._path} says that it is {status.mode}, and was {known.mode} when it was opened here before; "
                f"if you have changed that elsewhere, --mode {status.mode} accepts it"
            )
            raise WrongMode(msg)
        return mode or known.mode

    def remember(self, status: VaultStatus) -> None:
        """Note what has been made, opened or changed; a person is told if that cannot be done, and it goes on."""
        now = Known(self._path, status.vault.hex(), status.mode)
        try:
            known = self.noted()
        except OtherVault:
            known = None
        if known == now:
            return
        if self._file is None:
            tell(_unnoted("there is no folder for it"))
            return
        try:
            self._file.parent.mkdir(_PRIVATE, parents=True, exist_ok=True)
            with WholeFile(self._file) as sink:
                sink.write(msgspec.json.format(msgspec.json.encode(now)) + b"\n")
                sink.commit()
        except NotWritten as error:
            tell(_unnoted(str(error)))
        except OSError as error:
            tell(_unnoted(f"{self._file.parent} cannot be made: {error.strerror or error}"))

    def forget_other(self, status: VaultStatus) -> None:
        """Forget a note about any other vault than this one."""
        try:
            known = self.noted()
        except OtherVault:
            known = None
        if self._file is not None and (known is None or known.vault != status.vault.hex()):
            with contextlib.suppress(OSError):
                self._file.unlink()


def _unnoted(reason: str) -> str:
    return f"what vault this is could not be noted, so another one in its place would not be noticed: {reason}"
