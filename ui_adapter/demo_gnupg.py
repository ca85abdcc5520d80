"""GnuPG beside the vault: a home directory of its own, a key without a password, an agent that is ended.

May import: the standard library. Invariants: nothing of the user's own GnuPG is read or written, nothing is asked; an
agent that was ended has ended.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_PATIENCE: Final = 60.0
"""Seconds for one run of gpg."""
_QUIET: Final = ("--batch", "--yes", "--no-tty", "--trust-model", "always", "--pinentry-mode", "loopback")


class GnuPGFailed(Exception):
    """gpg ended with an error; the text is its own last line."""


class GnuPG:
    """gpg with one home directory; `close` ends its agent."""

    def __init__(self, home: Path) -> None:
        """Make the home, mode 0700, or gpg warns; raises `FileNotFoundError` if there is no gpg."""
        program = shutil.which("gpg")
        if program is None:
            msg = "gpg is not installed"
            raise FileNotFoundError(msg)
        self._program: Final = program
        self._home: Final = home
        home.mkdir(mode=0o700)

    def _run(self, *arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        home = ("--homedir", str(self._home))
        command = [self._program, *home, *_QUIET, "--passphrase", "", "--status-fd", "2", *arguments]
        done = subprocess.run(command, input=data or b"", capture_output=True, timeout=_PATIENCE, check=False)  # noqa: S603  # gpg and fixed words
        if done.returncode:
            words = [
                each for each in done.stderr.decode(errors="replace").splitlines() if not each.startswith("[GNUPG:]")
            ]
            raise GnuPGFailed(words[-1] if words else f"gpg ended with exit code {done.returncode}")
        return done

    def version(self) -> str:
        """Return the version, such as 2.2.40."""
        return self._run("--version").stdout.decode().splitlines()[0].split()[-1]

    def generate(self, user_id: str) -> bytes:
        """Make a key of the modern default kind and return its certificate."""
        self._run("--quick-gen-key", user_id, "future-default", "default", "never")
        return self._run("--export", f"={user_id}").stdout

    def add(self, certificate: bytes) -> None:
        """Import somebody's certificate."""
        self._run("--import", data=certificate)

    def decrypt(self, message: Path, target: Path) -> list[str]:
        """Decrypt a message into `target`; return the fingerprints whose signatures inside are valid."""
        return _valid(self._run("--output", str(target), "--decrypt", str(message)))

    def verify(self, document: Path, signature: Path) -> list[str]:
        """Return the fingerprints whose detached signatures of the document are valid."""
        return _valid(self._run("--verify", str(signature), str(document)))


def _valid(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    lines = done.stderr.decode(errors="replace").splitlines()
    return [line.split()[-1].lower() for line in lines if line.startswith("[GNUPG:] VALIDSIG ")]


def end_agent(home: Path) -> None:
    """End the agent of a home directory, if there is one, and wait for its end; harmless if not."""
    program = shutil.which("gpgconf")
    if program is not None and home.is_dir():
        command = [program, "--homedir", str(home), "--kill", "all"]
        with _awaited(home):  # gpgconf says that it is done once the agent means to end
            subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)  # noqa: S603  # gpgconf and fixed words


@contextlib.contextmanager
def _awaited(home: Path) -> Generator[None]:
    """Have the block tell the agent of a home directory to end, if there is one; then wait for its end."""
    agent = _agent(home)
    yield
    if agent is not None:
        poll = select.poll()
        poll.register(agent, select.POLLIN)
        poll.poll(_PATIENCE * 1000)
        os.close(agent)


def _agent(home: Path) -> int | None:
    """Return a descriptor of the agent's process; None if there is none, or nobody to ask."""
    program = shutil.which("gpg-connect-agent")
    if program is None:
        return None
    command = [program, "--homedir", str(home), "--no-autostart", "getinfo pid", "/bye"]
    asked = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)  # noqa: S603  # fixed words
    found = re.search(rb"^D (\d+)$", asked.stdout, re.MULTILINE)
    try:
        return None if found is None else os.pidfd_open(int(found[1]))
    except ProcessLookupError:
        return None
