"""An `sq` of the test's own: a folder of files, in the place of a key store."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MODES: Final = {"detached": ("--detached",), "inline": (), "clear": ("--cleartext-signature",)}


class Sq:
    """sq, with its files in one folder."""

    def __init__(self, folder: Path) -> None:
        """Take an empty folder."""
        self._folder: Final = folder

    def run(self, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run sq without a terminal."""
        return subprocess.run(["sq", *arguments], input=data, capture_output=True, timeout=60, check=False)  # noqa: S607  # from PATH

    def out(self, *arguments: str, data: bytes = b"") -> bytes:
        """Return what sq writes; its failure is the test's."""
        done = self.run(*arguments, data=data)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def file(self, name: str, content: bytes) -> str:
        """Write a file for sq to read; return its path."""
        path = self._folder / name
        path.write_bytes(content)
        return str(path)

    def new_key(self, user_id: str) -> tuple[bytes, bytes, bytes]:
        """Return a new secret key without a password, its certificate, and its revocation."""
        key, revocation = self._folder / "made.key", self._folder / "made.rev"
        self.out("--force", "key", "generate", "--userid", user_id, "--export", str(key), "--rev-cert", str(revocation))
        return key.read_bytes(), self.out("key", "extract-cert", str(key)), revocation.read_bytes()

    def sign(self, key: bytes, mode: str, text: bytes) -> bytes:
        """Return a signature of the text, or the signed text."""
        return self.out("sign", "--signer-key", self.file("key", key), *MODES[mode], data=text)

    def verifies(self, certificate: bytes, mode: str, signed: bytes, text: bytes) -> bool:
        """Return whether sq finds a signature good, and the right text in it."""
        known = ("verify", "--signer-cert", self.file("signer", certificate))
        if mode == "detached":
            detached = ("--detached", self.file("signature", signed))
            return self.run(*known, *detached, self.file("document", text)).returncode == 0
        done = self.run(*known, data=signed)
        return done.returncode == 0 and done.stdout.rstrip(b"\n") == text.rstrip(b"\n")

    def encrypt(self, recipient: bytes, text: bytes, signer: bytes = b"") -> bytes | None:
        """Return a message, None if sq cannot encrypt to that certificate."""
        by = ("--signer-key", self.file("key", signer)) if signer else ()
        done = self.run("encrypt", "--recipient-cert", self.file("recipient", recipient), *by, data=text)
        return done.stdout if done.returncode == 0 else None

    def decrypts(self, key: bytes, message: bytes, text: bytes, signer: bytes = b"") -> bool:
        """Return whether sq reads a message, and finds the signature in it good."""
        by = ("--signatures", "1", "--signer-cert", self.file("signer", signer)) if signer else ()
        done = self.run("decrypt", "--recipient-key", self.file("key", key), *by, data=message)
        return done.returncode == 0 and done.stdout == text
