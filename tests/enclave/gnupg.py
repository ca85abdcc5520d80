"""A GnuPG of the test's own: a home directory, keys without passwords, an agent that is ended when the test is."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

YEARS_AGO: Final = ("--faked-system-time", "20220101T000000!")


class GnuPG:
    """gpg with one home directory. Ends its agent on `close`."""

    patience = 240.0
    """Seconds that one call may take."""

    def __init__(self, home: Path) -> None:
        """Take an empty folder whose path is short: the agent's socket lies in it. It starts here, in no test."""
        home.chmod(0o700)
        self._environment = {**os.environ, "GNUPGHOME": str(home), "LC_ALL": "C"}
        self._configure("--launch", "gpg-agent")

    def run(self, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run gpg without a terminal and without questions."""
        fixed = (
            "gpg",
            "--batch",
            "--yes",
            "--no-tty",
            "--status-fd",
            "2",
            "--trust-model",
            "always",
            "--pinentry-mode",
        )
        command = (*fixed, "loopback", "--passphrase", "", *arguments)
        return subprocess.run(
            command, input=data, capture_output=True, env=self._environment, timeout=self.patience, check=False
        )

    def out(self, *arguments: str, data: bytes = b"") -> bytes:
        """Return what gpg writes; its failure is the test's."""
        done = self.run(*arguments, data=data)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def new_key(self, user_id: str, algorithm: str = "future-default", usage: str = "default", *more: str) -> str:
        """Make a key and return its fingerprint, in lower case."""
        self.out(*more, "--quick-gen-key", user_id, algorithm, usage, "0")
        return self.fingerprint(user_id)

    def fingerprint(self, user_id: str) -> str:
        """Return the fingerprint of a key, in lower case."""
        listing = self.out("--with-colons", "-k", f"={user_id}").decode().splitlines()
        return next(line.split(":")[9] for line in listing if line.startswith("fpr:")).lower()

    def certificate(self, name: str) -> bytes:
        """Return a public key."""
        return self.out("--export", name)

    def close(self) -> None:
        """End the agent."""
        self._configure("--kill", "all")

    def _configure(self, *arguments: str) -> None:
        subprocess.run(["gpgconf", *arguments], env=self._environment, timeout=self.patience, check=True)  # noqa: S607


def good_signers(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    """Return the primary fingerprints, in lower case, of the signatures that gpg found valid."""
    lines = done.stderr.decode(errors="replace").splitlines()
    return [line.split()[-1].lower() for line in lines if line.startswith("[GNUPG:] VALIDSIG ")]
